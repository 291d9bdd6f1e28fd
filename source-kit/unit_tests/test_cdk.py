"""The CDK's top-level package is not executed at the start, and is there for whoever asks."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.slow
def test_a_source_starts_without_the_low_code_engine_and_the_destinations() -> None:
    loaded = run(
        "import source_kit.run, sys\n"
        "print([name for name in sys.modules if '.declarative' in name or name == 'airbyte_cdk.destinations'])"
    )
    assert loaded == "[]"


@pytest.mark.slow
def test_a_name_of_the_package_itself_is_there_when_it_is_asked_for() -> None:
    assert run(
        "import source_kit.run\nfrom airbyte_cdk import HttpStream, __version__\nprint(HttpStream.__name__)"
    ) == ("HttpStream")


@pytest.mark.slow
def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    assert run(
        "import source_kit, airbyte_cdk\nprint(hasattr(airbyte_cdk, 'nothing'), hasattr(airbyte_cdk, '__x__'))"
    ) == ("False False")


@pytest.mark.slow
def test_nothing_happens_where_the_cdk_was_imported_before() -> None:
    assert run(
        "import airbyte_cdk\nfirst = airbyte_cdk\nimport source_kit, sys\nprint(sys.modules['airbyte_cdk'] is first)"
    ) == ("True")


@pytest.mark.slow
def test_the_serializers_of_messages_do_without_the_source_text_of_the_models() -> None:
    read = run(
        "import ast\nread = []\nparse = ast.parse\n"
        "ast.parse = lambda *args, **kwargs: read.append(args) or parse(*args, **kwargs)\n"
        "import source_kit.run, attributes_doc\n"
        "print([text for text, *_ in read if 'class Airbyte' in text], attributes_doc.get_attributes_doc.__module__)"
    )
    assert read == "[] attributes_doc._base"


@pytest.mark.slow
def test_messages_look_as_they_do_with_the_whole_cdk() -> None:
    code = (
        "{first}\nfrom airbyte_cdk.models import *\nimport json\n"
        "message = AirbyteMessageSerializer.load({{'type': 'STATE', 'state': {{'type': 'STREAM', 'stream': "
        "{{'stream_descriptor': {{'name': 'a'}}, 'stream_state': {{'b': 1}}}}}}}})\n"
        "print(AirbyteMessageSerializer.dump(message))"
    )
    assert run(code.format(first="import source_kit")) == run(code.format(first="import airbyte_cdk"))
