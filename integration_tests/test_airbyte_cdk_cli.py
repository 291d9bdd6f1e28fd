"""Airbyte's command line, `airbyte-cdk connector test` and `airbyte-cdk image test`, in each connector's folder.

The lines are those of docs/running-in-airbyte.md. They run in a copy of the folder, because they write into
it. The harness reports problems of a catalog as warnings for now: the connectors' settings make every warning an error.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness.standard_tests import NO_IMAGE
from harness.suite import ROOT, Connector, connectors

pytestmark = [pytest.mark.airbyte_cdk, pytest.mark.slow]

#: The commands of the page; it has them for source-pendo
CONNECTOR_TEST, IMAGE_TEST = re.findall(
    r"^\S+/airbyte-cdk (?:connector|image) test.*$",
    (ROOT / "docs" / "running-in-airbyte.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
#: What a connector's folder reads of the repository around it
AROUND = ("acceptance-test-config.yml", "integration_tests", "simulators", "source-kit", "test-kit", "tools")
IN_PROCESS = {
    "test_spec",
    "test_config_matches_spec['sample_config' Test Scenario]",
    "test_check['config' Test Scenario]",
    "test_check['refused' Test Scenario]",
    "test_discover['config' Test Scenario]",
    "test_basic_read['config' Test Scenario]",
    "test_fail_read_with_bad_catalog['config' Test Scenario]",
}
IN_IMAGE = {
    "test_docker_image_build_and_spec",
    "test_docker_image_build_and_config_matches_spec['sample_config' Test Scenario]",
    "test_docker_image_build_and_check['config' Test Scenario]",
    "test_docker_image_build_and_check['refused' Test Scenario]",
    "test_docker_image_build_and_discover['config' Test Scenario]",
    "test_docker_image_build_and_read['config' Test Scenario]",
}


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended, by the tests' names."""

    code: int
    output: str
    passed: set[str]
    skipped: dict[str, str]


def _copied(connector: Connector, folder: Path) -> Path:
    """The connector's folder in a repository that is otherwise this one."""
    for name in AROUND:
        (folder / name).symlink_to(ROOT / name)
    left_out = shutil.ignore_patterns(".tmp", "build", "secrets", "unit_tests", "__pycache__")
    return shutil.copytree(connector.folder, folder / connector.name, ignore=left_out)


def _run(folder: Path, command: str) -> Ran:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False, cwd=folder, timeout=280)
    report = folder / "build" / "test-results" / "standard-tests-junit.xml"
    assert report.exists(), done.stdout + done.stderr
    # a configuration's name has its folder where that tells two of the same name apart
    cases = {str(case.get("name")).replace(".tmp/", ""): case for case in ElementTree.parse(report).iter("testcase")}  # noqa: S314 - our own
    skips = {
        name: skip.get("message", "") for name, case in cases.items() if (skip := case.find("skipped")) is not None
    }
    return Ran(done.returncode, done.stdout, {name for name, case in cases.items() if len(case) == 0}, skips)


def test_connector_test_passes_and_skips_only_what_needs_docker(connector: Connector, tmp_path: Path) -> None:
    ran = _run(_copied(connector, tmp_path), CONNECTOR_TEST)
    no_docker = {name for name, reason in ran.skipped.items() if reason == NO_IMAGE.format(connector.image)}
    # the harness pairs each test with each configuration, also with those that another section names
    others = {name for name, reason in ran.skipped.items() if re.search(r"do(es)? not run for scenario", reason)}

    assert ran.code == 0, ran.output
    assert ran.passed - no_docker >= IN_PROCESS
    assert set(ran.skipped) == no_docker | others
    assert no_docker == set() or (no_docker >= IN_IMAGE and "docker" in min(no_docker))


def test_a_column_of_a_wrong_type_fails(tmp_path: Path) -> None:
    connector = next(each for each in connectors() if each.name == "source-customerio")
    folder = _copied(connector, tmp_path)
    path = folder / connector.package / "schemas" / "campaigns.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    schema["properties"]["name"]["type"] = ["null", "integer"]
    path.write_text(json.dumps(schema), encoding="utf-8")

    ran = _run(folder, f"{CONNECTOR_TEST} --pytest-arg=-k --pytest-arg=test_basic_read")

    assert ran.code == 1
    assert "Stream 'campaigns': 6 of 6 records do not match" in ran.output
    assert "at `$.name`: expected type 'null' or 'integer', got string" in ran.output


@pytest.mark.docker
def test_image_test_passes_and_reads_every_stream(tmp_path: Path) -> None:
    """One connector: where there is an image, `connector test` has run the same tests for each."""
    connector = next(each for each in connectors() if each.name == "source-heap")

    ran = _run(_copied(connector, tmp_path), IMAGE_TEST.replace("source-pendo", connector.name))

    assert ran.code == 0, ran.output
    assert ran.passed == IN_IMAGE
