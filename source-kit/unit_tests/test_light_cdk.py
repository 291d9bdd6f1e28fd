"""The CDK's top-level package is not executed at the start, and is there for whoever asks."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_a_source_starts_without_the_low_code_engine_and_the_destinations() -> None:
    loaded = run(
        "import source_kit.run, sys\n"
        "print([name for name in sys.modules if '.declarative' in name or name == 'airbyte_cdk.destinations'])"
    )
    assert loaded == "[]"


def test_a_name_of_the_package_itself_is_there_when_it_is_asked_for() -> None:
    assert run(
        "import source_kit.run\nfrom airbyte_cdk import HttpStream, __version__\nprint(HttpStream.__name__)"
    ) == ("HttpStream")


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    assert run(
        "import source_kit, airbyte_cdk\nprint(hasattr(airbyte_cdk, 'nothing'), hasattr(airbyte_cdk, '__x__'))"
    ) == ("False False")


def test_nothing_happens_where_the_cdk_was_imported_before() -> None:
    assert run(
        "import airbyte_cdk\nfirst = airbyte_cdk\nimport source_kit, sys\nprint(sys.modules['airbyte_cdk'] is first)"
    ) == ("True")
