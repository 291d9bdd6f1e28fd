"""Imports: only the command leaves out the CDK's top-level package; only a source that reads a bucket has botocore."""

from __future__ import annotations

import subprocess
import sys

import pytest

LAZILY = "from source_kit.cdk.lazy_import import import_lazily; import_lazily()\n"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.slow
def test_a_command_starts_without_the_low_code_engine_and_the_destinations() -> None:
    """The module and the class in the command stand for those of a connector."""
    assert (
        run(
            "import sys, source_kit.cli as cli\n"
            "def launch(make_source, args):\n"
            "    assert make_source.__name__ == 'Source' and 'source_kit.cdk.entry_point' in sys.modules\n"
            "    heavy = ('airbyte_cdk.sources.declarative', 'airbyte_cdk.destinations')\n"
            "    print([name for name in sys.modules if name.startswith(heavy)])\n"
            "cli.launch = launch\n"
            "cli.command('source_kit.source', 'Source')"
        )
        == "[]"
    )


@pytest.mark.slow
@pytest.mark.parametrize("imported", ["cli", "cdk", "cdk.lazy_import", "limits"])
def test_importing_the_kit_leaves_the_cdk_alone(imported: str) -> None:
    code = f"import sys, source_kit.{imported}\nprint([name for name in sys.modules if 'airbyte' in name])"
    assert run(code) == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["source_pendo", "source_customerio"])
def test_a_source_that_may_read_a_bucket_starts_without_botocore(source: str) -> None:
    imports = f"{LAZILY}import sys, source_kit.s3.options, {source}.source\n"
    code = f"{imports}print([name for name in sys.modules if 'boto' in name])"
    assert run(code) == "[]"


@pytest.mark.slow
def test_without_the_command_the_cdk_is_imported_as_usual() -> None:
    code = "import source_kit.source, airbyte_cdk, attributes_doc\nprint('HttpStream' in vars(airbyte_cdk))"
    assert run(code) == "True"


@pytest.mark.slow
def test_a_name_of_the_package_itself_can_be_imported() -> None:
    code = f"{LAZILY}from airbyte_cdk import HttpStream, __version__\nprint(HttpStream.__name__)"
    assert run(code) == "HttpStream"


@pytest.mark.slow
def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    code = f"{LAZILY}import airbyte_cdk\nprint(hasattr(airbyte_cdk, 'nothing'), hasattr(airbyte_cdk, '__x__'))"
    assert run(code) == "False False"


@pytest.mark.slow
def test_nothing_happens_where_the_cdk_was_imported_before() -> None:
    code = f"import airbyte_cdk\nfirst = airbyte_cdk\n{LAZILY}import sys\nprint(sys.modules['airbyte_cdk'] is first)"
    assert run(code) == "True"


@pytest.mark.slow
def test_the_serializers_do_not_parse_the_source_text_of_the_models() -> None:
    read = run(
        "import ast\nread = []\nparse = ast.parse\n"
        "ast.parse = lambda *args, **kwargs: read.append(args) or parse(*args, **kwargs)\n"
        f"{LAZILY}import source_kit.cdk.entry_point, attributes_doc\n"
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
    assert run(code.format(first=LAZILY)) == run(code.format(first="import airbyte_cdk"))
