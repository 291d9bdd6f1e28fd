"""What a command imports: the time in which it starts is mostly that of its imports."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest
from harness.runner import ScriptRunner
from harness.suite import Connector
from test_kit.catalogs import configured
from test_kit.command import arguments, run_process

#: Runs what the console script runs, and prints the imported modules to stderr at the end
_COMMAND = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print(*(sys.modules.keys() - before), sep="\\n", file=sys.stderr))
from {package}.run import run
run()
"""
#: More modules than a command needs today, without those of a bucket. Before you raise a number, see what was added.
MOST_FOR_SPEC, MOST = 100, 720
#: Each takes from 10 ms up to half a second, and no command needs one.
HEAVY = {
    *("airbyte_cdk.cli", "airbyte_cdk.connector_builder", "airbyte_cdk.destinations", "airbyte_cdk.manifest_server"),
    *("airbyte_cdk.sources.declarative", "airbyte_cdk.sources.file_based", "airbyte_cdk.sql", "airbyte_cdk.test"),
    *("cattrs", "pydantic", "pydantic_core", "requests_cache"),
    *("boto3", "cryptography", "matplotlib", "numpy", "pandas", "pyarrow", "s3transfer", "sqlalchemy"),
}
#: Only a source that reads a bucket needs it.
BUCKET = {"botocore"}


def imported(script_runner: ScriptRunner, verb: str, **files: object) -> set[str]:
    """The modules that a command of the connector imports. It must succeed."""
    code = _COMMAND.format(package=script_runner.connector.package)
    done = run_process([sys.executable, "-c", code, *arguments(script_runner.folder, verb, (), files)])
    return set(done.succeeded().stderr.splitlines())


def among(modules: Iterable[str], packages: set[str]) -> list[str]:
    """The modules that are, or are in, one of the packages."""
    return sorted(name for name in modules if any(f"{name}.".startswith(f"{package}.") for package in packages))


def test_spec_imports_the_standard_library_and_yaml_only(script_runner: ScriptRunner) -> None:
    package = script_runner.connector.package
    modules = imported(script_runner, "spec")
    own = {package, f"{package}.run", "source_kit", "source_kit.cli", "source_kit.specification"}
    # Cython made the binding of libyaml. A child's coverage is measured where this process's is.
    others = {*sys.stdlib_module_names, "yaml", "_yaml", "cython_runtime", "coverage"}
    foreign = {name for name in modules if name.partition(".")[0] not in others and not name.startswith("_cython_")}

    assert foreign == own
    assert among(modules, {"asyncio", "http", "logging", "ssl"}) == []
    assert len(modules) < MOST_FOR_SPEC


@pytest.mark.parametrize("verb", ["check", "discover", "read"])
def test_other_commands_import_nothing_heavy(script_runner: ScriptRunner, connector: Connector, verb: str) -> None:
    """A read reads a stream, so that what is imported late counts as well."""
    files = {"config": script_runner.vendor.config}
    if verb == "read":
        catalog = script_runner.catalog
        files["catalog"] = configured(catalog, [catalog["streams"][0]["name"]])

    modules = imported(script_runner, verb, **files)
    of_a_bucket = among(modules, BUCKET)

    assert among(modules, HEAVY) == []
    assert bool(of_a_bucket) == (connector.vendor == "heap")
    assert len(modules) - len(of_a_bucket) < MOST
