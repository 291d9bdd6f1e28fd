"""CONTRIBUTING's examples of new streams: their steps are done on a copy of the repository, which is then tested."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from airbyte_cdk.models import AirbyteCatalog, AirbyteStream, SyncMode
from airbyte_cdk.test.standard_tests._catalog_checks import find_catalog_problems
from harness.suite import ROOT, connectors
from harness.vendors import Vendor, running
from simulators.faults import Fault
from test_kit.catalogs import Row, configured

#: Connectors that have such a section, with the streams that it adds
ADDED = {
    "source-pendo": ("themes", "guide_steps"),
    "source-customerio": ("brands", "broadcast_messages"),
}

_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`([\w./-]+/[\w./-]+\.(?:py|json|yaml|md))`")
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "dist")


class Copy(NamedTuple):
    """A copy of the repository with the streams that the section of a connector adds."""

    connector: str
    folder: Path

    @property
    def vendor(self) -> str:
        """The vendor's name, as files use it."""
        return self.connector.removeprefix("source-")

    def python(self, *arguments: str) -> str:
        """What Python writes to stdout; packages of the copy come before the installed ones."""
        packages = [str(package.parent) for package in self.folder.glob("*/pyproject.toml")]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{arguments}:\n{done.stdout[-5000:]}{done.stderr[-5000:]}"
        return done.stdout

    def pytest(self, marker: str, *paths: str) -> None:
        """Tests of the copy."""
        self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marker, *paths)


@pytest.fixture(scope="module", params=ADDED)
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The copy after every block of the section."""
    copy = Copy(request.param, tmp_path_factory.mktemp("copy") / "repository")
    shutil.copytree(ROOT, copy.folder, ignore=_NOT_COPIED)
    marker = f"add-a-stream-to-{copy.connector}"
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split(f"<!-- {marker}:begin -->\n")[1].split(f"<!-- {marker}:end -->")[0]
    for block in _BLOCK.finditer(section):
        content = textwrap.dedent(block[2])
        if block[1] == "sh":
            for command in content.splitlines():
                copy.python(*command.removeprefix(".venv/bin/python ").split())
        else:
            _apply(copy.folder / _FILE.findall(section[: block.start()])[-1], block[1], content)
    return copy


def _apply(path: Path, language: str, text: str) -> None:
    """What a reader does with a block: a change of lines, a new file, or code at the end of a file."""
    if language == "json":
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        return
    before = path.read_text(encoding="utf-8")
    if language == "python":
        path.write_text(f"{before}\n\n{text}", encoding="utf-8")
        return
    assert language == "diff"
    old, new = (_lines(text, sign) for sign in "-+")
    assert before.count(old) == 1, f"not once in {path.name}:\n{old}"
    path.write_text(before.replace(old, new), encoding="utf-8")


def _lines(diff: str, sign: str) -> str:
    """One side of a change."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in (" ", sign))


def test_the_generated_files_hold_the_added_streams(copy: Copy) -> None:
    page = (copy.folder / "docs" / f"{copy.vendor}.md").read_text(encoding="utf-8")
    records = copy.folder / copy.connector / "integration_tests" / "expected_records.jsonl"
    emitted = {json.loads(line)["stream"] for line in records.read_text(encoding="utf-8").splitlines()}
    assert emitted >= set(ADDED[copy.connector])
    assert all(page.count(f"\n| `{stream}` |") == 1 for stream in ADDED[copy.connector])


def test_the_added_code_is_as_clean_as_the_rest(copy: Copy) -> None:
    copy.python("-m", "ruff", "check", copy.connector, "simulators")
    copy.python("-m", "ruff", "format", "--check", copy.connector, "simulators")


@pytest.mark.timeout(900)
def test_the_suites_of_the_copy_are_green(copy: Copy) -> None:
    simulator = [str(path) for path in copy.folder.glob(f"simulators/unit_tests/*{copy.vendor}*")]
    copy.pytest("not slow", *simulator, f"{copy.connector}/unit_tests")
    copy.pytest("slow", f"{copy.connector}/unit_tests/test_conformance.py")


@pytest.fixture(scope="module")
def pendo() -> Iterator[Vendor]:
    """The repository's own simulator, which lacks the route of the first stream."""
    with running(next(connector for connector in connectors() if connector.name == "source-pendo")) as vendor:
        vendor.simulator.faults.add(Fault("status", path="/group", status=200, answer="[]", times=-1))
        yield vendor


@pytest.mark.parametrize("copy", ["source-pendo"], indirect=True)
def test_the_steps_of_guides_are_discovered_and_read(copy: Copy, pendo: Vendor, tmp_path: Path) -> None:
    (catalog,) = (
        line["catalog"] for line in _run(copy, tmp_path, "discover", config=pendo.config) if "catalog" in line
    )
    added = [stream for stream in catalog["streams"] if stream["name"] in ADDED[copy.connector]]
    assert [find_catalog_problems(_typed(stream)) for stream in added] == [{}, {}]

    chosen = json.loads(json.dumps(configured(catalog, ["guide_steps"])))
    first = _run(copy, tmp_path, "read", config=pendo.config, catalog=chosen)
    steps = [step for guide in pendo.simulator.truth("guides") for step in guide["steps"]]
    assert len(steps) > len(pendo.simulator.truth("guides"))
    assert sorted((row["guide_id"], row["id"], row["name"]) for row in _records(first)) == sorted(
        (step["guideId"], step["id"], step["name"]) for step in steps
    )

    pendo.simulator.mutate("touch_definition", kind="guides")
    state = [line["state"] for line in first if line["type"] == "STATE"][-1:]
    second = _run(copy, tmp_path, "read", config=pendo.config, catalog=chosen, state=state)
    assert 0 < len(_records(second)) < len(steps)


def _run(copy: Copy, folder: Path, verb: str, **files: object) -> list[Row]:
    """The messages of the copy's connector."""
    argv = [verb]
    for option, content in files.items():
        (folder / f"{option}.json").write_text(json.dumps(content), encoding="utf-8")
        argv += [f"--{option}", str(folder / f"{option}.json")]
    script = f"import sys; from {copy.connector.replace('-', '_')}.run import run; sys.exit(run())"
    return [json.loads(line) for line in copy.python("-c", script, *argv).splitlines()]


def _records(messages: list[Row]) -> list[Row]:
    return [message["record"]["data"] for message in messages if message["type"] == "RECORD"]


def _typed(stream: Row) -> AirbyteCatalog:
    modes = [SyncMode(mode) for mode in stream["supported_sync_modes"]]
    return AirbyteCatalog(streams=[AirbyteStream(**{**stream, "supported_sync_modes": modes})])
