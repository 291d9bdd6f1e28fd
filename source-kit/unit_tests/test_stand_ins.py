"""The command imports the CDK without two libraries: what is used of them fails, and nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

LAZILY = "from source_kit.cdk.lazy_import import import_lazily; import_lazily()\n"
PREPARED = f"{LAZILY}import source_kit.cdk.entry_point, sys\n"
#: What each module of the CDK has of the stand-ins, and of classes that inherit from one
NAMED = {
    "airbyte_cdk.sources": ["BaseConfig"],
    "airbyte_cdk.sources.abstract_source": ["InternalConfig"],
    "airbyte_cdk.sources.config": ["BaseConfig", "BaseModel"],
    "airbyte_cdk.sources.streams.call_rate": ["CachedLimiterSession", "requests_cache"],
    "airbyte_cdk.sources.streams.core": ["InternalConfig"],
    "airbyte_cdk.sources.streams.http.http_client": ["CachedLimiterSession", "requests_cache"],
    "airbyte_cdk.sources.utils.schema_helpers": ["BaseModel", "InternalConfig"],
    "source_kit.cdk.entry_point": ["InternalConfig"],
}


def run(code: str) -> Any:
    """The JSON that the code prints, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_stand_ins_are_where_they_are_expected() -> None:
    """If the CDK names the libraries elsewhere, or no more, look whether the stand-ins still fit."""
    found = run(
        f"{PREPARED}import json\nfrom source_kit.cdk.stand_ins import StandIn, Unusable\n"
        "here = {name: sorted(known for known, value in vars(module).items() if isinstance(value, StandIn | Unusable))"
        " for name, module in sys.modules.items() if name.startswith(('airbyte_cdk', 'source_kit.cdk.entry'))}\n"
        "print(json.dumps({name: known for name, known in here.items() if known}))"
    )
    assert found == NAMED


@pytest.mark.slow
def test_neither_library_is_imported() -> None:
    heavy = ("requests_cache", "cattrs", "pydantic", "pydantic_core")
    found = run(f"{PREPARED}import json\nprint(json.dumps([name for name in sys.modules if name.startswith({heavy})]))")
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (
            "HttpStream.use_cache, HttpStream.__abstractmethods__ = True, (); HttpStream()",
            "airbyte_cdk.sources.streams.call_rate.CachedLimiterSession was used, which needs requests_cache: ",
        ),
        (
            "schema_helpers.split_config({})",
            "airbyte_cdk.sources.utils.schema_helpers.InternalConfig was used, which needs pydantic.v1: ",
        ),
        (
            "schema_helpers.InternalConfig()",
            "airbyte_cdk.sources.utils.schema_helpers.InternalConfig was used, which needs pydantic.v1: ",
        ),
    ],
)
def test_what_is_used_after_all_fails_with_a_sentence(use: str, sentence: str) -> None:
    told = run(
        f"{PREPARED}import json\nfrom airbyte_cdk.sources.streams.http import HttpStream\n"
        "from airbyte_cdk.sources.utils import schema_helpers\nfrom source_kit.cdk.stand_ins import StandInUsed\n"
        f"try:\n    {use}\nexcept StandInUsed as used:\n"
        "    print(json.dumps(str(used)))"
    )
    assert told.startswith(sentence)


@pytest.mark.slow
def test_everybody_else_finds_the_libraries_themselves() -> None:
    found = run(
        f"{PREPARED}import json, requests_cache\nfrom pydantic.v1 import BaseModel, Field\n"
        "class Model(BaseModel):\n    size: int = Field(None, alias='s')\n"
        "print(json.dumps([requests_cache.CachedSession('x', 'memory').cache is not None, Model(s='5').size]))"
    )
    assert found == [True, 5]


@pytest.mark.slow
def test_without_the_command_there_are_no_stand_ins() -> None:
    found = run(
        "import json, source_kit.source\nfrom airbyte_cdk.sources.utils.schema_helpers import split_config\n"
        "from airbyte_cdk.sources.streams.call_rate import CachedLimiterSession\n"
        "_, limits = split_config({'_limit': 3})\n"
        "print(json.dumps([limits.limit, CachedLimiterSession.__mro__[1].__module__]))"
    )
    assert found == [3, "requests_cache.session"]


@pytest.mark.slow
def test_a_name_that_no_stand_in_has_is_the_librarys_own() -> None:
    found = run(
        "import json, sys\nfrom source_kit.cdk.stand_ins import stand_ins\nwith stand_ins():\n"
        "    import requests_cache\n    first = requests_cache.CacheMixin\n    from requests_cache import FileCache\n"
        "    from requests_cache import CacheMixin\n    from pydantic.v1 import Field, BaseModel, conint\n"
        "    import pydantic.v1\n"
        "print(json.dumps([type(first).__name__, type(CacheMixin).__name__, FileCache.__module__, "
        "pydantic.v1.BaseModel is not BaseModel]))"
    )
    assert found == ["Unusable", "type", "requests_cache.backends.filesystem", True]


@pytest.mark.slow
def test_a_library_that_was_imported_before_stays() -> None:
    found = run(
        "import json, pydantic, sys\nfrom source_kit.cdk.stand_ins import stand_ins\nwith stand_ins():\n"
        "    from pydantic.v1 import BaseModel\n    import requests_cache\n"
        "found = [BaseModel.__module__, 'requests_cache' in sys.modules, sys.modules['pydantic'] is pydantic]\n"
        "print(json.dumps(found))"
    )
    assert found == ["pydantic.v1.main", False, True]


@pytest.mark.slow
def test_with_a_cdk_that_the_stand_ins_do_not_fit_a_command_starts_without_them() -> None:
    """Here a class of the CDK is made with a library that has a stand-in."""
    found = run(
        "import json, source_kit.cdk.stand_ins as stand_ins\n"
        "stand_ins.CLASSES = {**stand_ins.CLASSES, 'backoff': ('on_exception',)}\n"
        f"{PREPARED}from airbyte_cdk.sources.utils.schema_helpers import split_config\n"
        "from airbyte_cdk.sources.streams.http.requests_native_auth import Oauth2Authenticator\n"
        "_, limits = split_config({'_limit': 3})\n"
        "print(json.dumps([limits.limit, sys.modules['backoff'].on_exception.__module__]))"
    )
    assert found == [3, "backoff._decorator"]


@pytest.mark.slow
def test_the_garbage_collector_runs_again_after_an_import_that_fails() -> None:
    """A program that runs the command, such as a test kit, may live on."""
    found = run(
        "import gc, json, sys\nfrom source_kit.cli import command\nsys.argv = ['x', 'discover']\n"
        "try:\n    command('no_such_package.source', 'Source')\nexcept ModuleNotFoundError:\n"
        "    print(json.dumps([gc.isenabled(), 'requests_cache' in sys.modules]))"
    )
    assert found == [True, False]
