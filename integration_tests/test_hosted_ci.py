"""The files for the hosting service, as far as they can be held to something without it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.suite import ROOT, connectors

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [ROOT / ".github" / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "stream.yml")]
#: A major version or a commit; a branch would be whatever its owner makes of it.
_PINNED = re.compile(r"\./.*|[\w./-]+@(v\d+|[0-9a-f]{40})")
MISTAKE = """\
on: push
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - run: echo ${{ github.nothing }}
"""


def _loaded(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _used(jobs: dict[str, Any]) -> Iterator[str]:
    """The actions and workflows that jobs use."""
    for job in jobs.values():
        yield from (part["uses"] for part in (job, *job.get("steps", ())) if "uses" in part)


def test_make_check_lints_the_workflows(tmp_path: Path) -> None:
    recipe = subprocess.run(["make", "-n", "check"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    (tmp_path / "wrong.yml").write_text(MISTAKE, encoding="utf-8")
    linter = Path(sys.executable).parent / "actionlint"
    done = subprocess.run([linter, tmp_path / "wrong.yml"], capture_output=True, text=True, check=False)

    assert "actionlint -shellcheck= -pyflakes= .github/workflows/*.yml" in recipe
    assert done.returncode == 1
    assert 'property "nothing" is not defined' in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_pinned_actions_and_an_end(path: Path) -> None:
    workflow = _loaded(path)
    jobs = workflow["jobs"]

    assert set(workflow["permissions"].values()) <= {"read"}, "write is for single jobs"
    assert workflow["concurrency"]["group"]
    assert [name for name, job in jobs.items() if "timeout-minutes" not in job and "uses" not in job] == []
    assert [used for used in _used(jobs) if not _PINNED.fullmatch(used)] == []


def test_the_hosted_ci_checks_every_python_that_the_packages_allow_and_runs_the_whole_suite() -> None:
    jobs = _loaded(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", allowed)
    assert bounds is not None

    assert jobs["python"]["strategy"]["matrix"]["python"] == [
        f"3.{minor}" for minor in range(*map(int, bounds.groups()))
    ]
    assert any(".ci/run" in step.get("run", "") for step in jobs["whole"]["steps"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_knows_every_connector_and_asks_for_the_facts(path: Path) -> None:
    fields = {field["id"]: field for field in _loaded(path)["body"] if "id" in field}
    required = {name for name, field in fields.items() if field.get("validations", {}).get("required")}
    facts = {"bug.yml": {"connector", "version", "stream", "mode", "happened", "log"}}

    assert fields["connector"]["attributes"]["options"] == [connector.name for connector in connectors()]
    assert required >= facts.get(path.name, {"connector", "wanted", "source"})


def test_the_hooks_before_a_commit_call_programs_of_the_environment() -> None:
    (repository,) = _loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}

    assert repository["repo"] == "local"
    assert programs - {"make"} == {".venv/bin/ruff"}
