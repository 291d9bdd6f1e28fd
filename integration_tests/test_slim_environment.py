"""The connectors run on what the lock installs with them: everything else in this environment refuses to be imported.

What airbyte-cdk requires and no source imports is not in the images (`dependency-metadata` in pyproject.toml). Here it
is taken from every verb of every connector, failing ones included, and nothing of it may even be asked for.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness.runner import ScriptRunner
from harness.suite import ROOT, Connector, connectors
from licenses import normalized
from simulators.faults import Fault
from test_kit.catalogs import configured
from test_kit.command import arguments, run_process
from test_kit.messages import Output

#: What airbyte-cdk requires and the images do not have: the package, and the module by which it would be imported
NOT_SHIPPED = {
    "anyascii": "anyascii",
    "boltons": "boltons",
    "cachetools": "cachetools",
    "click": "click",
    "cryptography": "cryptography",
    "dateparser": "dateparser",
    "dunamai": "dunamai",
    "google-cloud-secret-manager": "google",
    "ijson": "ijson",
    "isodate": "isodate",
    "jinja2": "jinja2",
    "nltk": "nltk",
    "packaging": "packaging",
    "pandas": "pandas",
    "pyjwt": "jwt",
    "python-ulid": "ulid",
    "pytz": "pytz",
    "rapidfuzz": "rapidfuzz",
    "rich": "rich",
    "rich-click": "rich_click",
    "setuptools": "setuptools",
    "unidecode": "unidecode",
    "wcmatch": "wcmatch",
    "xmltodict": "xmltodict",
}
#: Python executes a module of this name at its start, in child processes, too.
_HOOK = """
    import os, sys

    class Refusal:
        absent = set({absent!r})

        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in self.absent:
                with open({log!r}, "a") as log:
                    log.write(name + "\\n")
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

    sys.meta_path.insert(0, Refusal())
"""


def _requirements(lines: list[str]) -> dict[str, str]:
    """Version limits by package, of requirements in the form that the metadata or this repository write."""
    parts = [re.fullmatch(r"([\w.-]+)\s*\(?([^();]*)\)?", line) for line in lines if "extra ==" not in line]
    return {normalized(part[1]): ",".join(sorted(part[2].split(","))).strip() for part in parts if part}


def test_the_list_of_what_is_not_shipped_is_airbyte_cdks_own_list_without_what_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (declared,) = project["tool"]["uv"]["dependency-metadata"]
    wanted = _requirements(declared["requires-dist"])
    asked = _requirements(importlib.metadata.requires("airbyte-cdk") or [])

    assert declared["version"] == importlib.metadata.version("airbyte-cdk")
    assert {name: asked[name] for name in wanted} == wanted, "other limits than the CDK's own"
    assert set(asked) - set(wanted) == set(NOT_SHIPPED)


def _shipped(connector: Connector) -> set[str]:
    """What the lock installs with a connector, itself and the kit included."""
    options = ["--frozen", "--offline", "--quiet", "--no-dev", "--no-hashes", "--no-annotate", "--no-header"]
    command = [ROOT / ".uv/bin/uv", "export", *options, "--no-emit-workspace", "--package", connector.name]
    lines = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True).stdout.splitlines()
    return {line.split("==")[0] for line in lines} | {"source-kit", connector.name}


def test_neither_an_image_nor_this_environment_has_spark_or_arrow() -> None:
    here = {normalized(package.name) for package in importlib.metadata.distributions()}

    for names in (here, *map(_shipped, connectors())):
        assert {"source-kit"} <= names
        assert {"pyspark", "pyarrow", "pandas", "product-analytics-spark"}.isdisjoint(names)


class SlimRunner(ScriptRunner):
    """The console script, in an environment in which only what ships can be imported."""

    def __init__(self, full: ScriptRunner) -> None:
        super().__init__(full.connector, full.vendor, full.folder)
        shipped = _shipped(self.connector)
        modules = importlib.metadata.packages_distributions()
        absent = {module for module, names in modules.items() if not shipped & {normalized(name) for name in names}}
        self.log = self.folder / "asked"
        self.log.touch()
        hook = self.folder / "sitecustomize.py"
        text = _HOOK.format(absent=sorted(absent | set(NOT_SHIPPED.values())), log=str(self.log))
        hook.write_text(textwrap.dedent(text), encoding="utf-8")

    def run(self, verb: str, *flags: str, **files: Any) -> Output:
        return self.started([verb, *flags], files, {})

    def started(self, argv: list[str], files: Mapping[str, Any], variables: Mapping[str, str]) -> Output:
        """A command line with these environment variables."""
        line = arguments(self.folder, argv[0], argv[1:], files) if argv else []
        environment = {**os.environ, "PYTHONPATH": str(self.folder), **variables}
        return run_process([str(self.connector.script), *line], env=environment)

    def asked_for(self) -> set[str]:
        """The modules that were refused."""
        return set(self.log.read_text(encoding="utf-8").split())


@pytest.fixture
def slim(script_runner: ScriptRunner) -> SlimRunner:
    """The connector on its simulator, with nothing but what ships."""
    return SlimRunner(script_runner)


def _proven(slim: SlimRunner, outputs: list[Output]) -> None:
    """No output names a missing module, and no package outside the declared list was imported."""
    for output in outputs:
        text = output.stdout.decode() + output.stderr
        assert "No module named" not in text, output.tail()
        assert "Traceback" not in output.stderr, output.tail()
    assert {name for name in slim.asked_for() if name.partition(".")[0] in NOT_SHIPPED.values()} == set()


def _small(slim: SlimRunner) -> dict[str, Any]:
    """The suggested streams where there are some: Customer.io's pace makes a read of everything slow."""
    suggested = slim.connector.metadata.get("suggestedStreams", {}).get("streams", [])
    offered = {stream["name"] for stream in slim.catalog["streams"]}  # without what an option adds
    return configured(slim.catalog, [name for name in suggested if name in offered])


def test_the_refusal_refuses_so_that_the_tests_below_mean_something(slim: SlimRunner) -> None:
    python = slim.connector.script.parent / "python"
    refused = run_process([str(python), "-c", "import jinja2"], env={**os.environ, "PYTHONPATH": str(slim.folder)})

    assert "No module named 'jinja2'" in refused.stderr
    assert slim.asked_for() == {"jinja2"}


def test_every_verb_works_with_and_without_debug(slim: SlimRunner) -> None:
    config = slim.vendor.config
    catalog = _small(slim)
    first = slim.run("read", config=config, catalog=catalog).succeeded()
    outputs = [
        slim.run("spec").succeeded(),
        slim.run("check", config=config).succeeded(),
        first,
        slim.run("read", config=config, catalog=catalog, state=first.last_state_messages()).succeeded(),
        slim.run("spec", "--debug").succeeded(),
        slim.run("check", "--debug", config=config).succeeded(),
        slim.run("discover", "--debug", config=config).succeeded(),
        slim.run("read", "--debug", config=config, catalog=catalog).succeeded(),
    ]

    assert first.records
    _proven(slim, outputs)


def test_every_refusal_is_said_as_it_is_with_everything_installed(slim: SlimRunner) -> None:
    config, wrong = slim.vendor.config, slim.vendor.wrong_config
    catalog = configured(slim.catalog, [slim.catalog["streams"][0]["name"]])
    unknown = {"streams": [{**catalog["streams"][0], "stream": {**catalog["streams"][0]["stream"], "name": "unknown"}}]}
    failed_checks = [
        slim.run("check", config=wrong),
        slim.run("check", "--debug", config={**config, "start_date": "yesterday"}),
        slim.run("check", config={}),
    ]
    failed_reads = [
        slim.run("read", config=wrong, catalog=catalog),
        slim.run("read", "--debug", config=config, catalog=unknown),
        slim.run("read", config=config, catalog=catalog, state="[1, 2"),
        slim.run("read", config="{", catalog=catalog),
        slim.run("discover", config={**config, slim.connector.address_option: "nowhere"}),
    ]
    others = [slim.started([], {}, {}), slim.run("--help"), slim.run("read", "--config", "/nonexistent")]

    assert {output.connection_status["status"] for output in failed_checks} == {"FAILED"}
    for output in failed_reads:
        assert output.code != 0, output.tail()
        assert "config_error" in {error["failure_type"] for error in output.errors}, output.tail()
    _proven(slim, [*failed_checks, *failed_reads, *others])


@pytest.mark.parametrize(
    "break_simulator",
    [
        lambda simulator: simulator.stop(),
        lambda simulator: simulator.faults.add(Fault("html", times=1000)),
        lambda simulator: simulator.faults.add(Fault("cut", times=1000)),
    ],
    ids=["no server", "pages of HTML", "answers that break off"],
)
def test_a_vendor_that_answers_nonsense_or_not_at_all_fails_the_check_alike(
    slim: SlimRunner, break_simulator: Callable[[Any], None]
) -> None:
    break_simulator(slim.vendor.simulator)
    output = slim.run("check", config=slim.vendor.config)

    assert output.connection_status["status"] == "FAILED"
    _proven(slim, [output])


@pytest.mark.parametrize("connector", [one for one in connectors() if one.vendor == "heap"], indirect=True)
def test_every_kind_of_aws_credentials_is_taken_or_refused_alike(slim: SlimRunner, tmp_path: Path) -> None:
    """botocore's optional helpers (awscrt, for example) are no part of an image; nothing else may be missing."""
    process, absent = shutil.which("false"), tmp_path / "absent"
    profiles = {
        "process": f"credential_process = {process}",
        "sso": "sso_session = none\nsso_account_id = 1\nsso_role_name = r\n[sso-session none]\nsso_region = us-east-1\n"
        "sso_start_url = https://x.invalid\nsso_registration_scopes = sso:account:access",
        "login": "login_session = arn:aws:iam::123456789012:user/x\nregion = us-east-1",
        "web": f"role_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = {absent}",
        "role": "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = keys",
        "keys": "aws_access_key_id = AKIASIMULATED0000001\naws_secret_access_key = abc",
    }
    text = "\n".join(f"[profile {name}]\n{lines}" for name, lines in profiles.items())
    (tmp_path / "config").write_text(text, encoding="utf-8")
    base = {key: value for key, value in slim.vendor.config.items() if key != "credentials"}
    base["endpoint_url"] = slim.vendor.simulator.url
    role = {"auth_type": "role", "account_id": "123456789012", "role_name": "r", "external_id": "x"}
    common = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(absent),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_STS": slim.vendor.simulator.url,
    }
    outputs = [
        slim.started(["check"], {"config": {**base, "credentials": {"auth_type": "default"}}}, {**common, **profile})
        for profile in ({}, *({"AWS_PROFILE": name} for name in profiles))
    ]
    outputs.append(
        slim.started(["check"], {"config": {**base, "credentials": role}}, {**common, "AWS_PROFILE": "keys"})
    )

    for output in outputs:
        assert output.connection_status["status"] in {"SUCCEEDED", "FAILED"}, output.tail()
    assert outputs[-2].connection_status["status"] == "SUCCEEDED"
    _proven(slim, outputs)
