"""CONTRIBUTING's examples of a new stream: their steps are done on a copy of the repository, which is then tested."""

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

import pytest
from airbyte_cdk.models import AirbyteCatalog, AirbyteStream, SyncMode
from airbyte_cdk.test.standard_tests._catalog_checks import find_catalog_problems
from proof.output import Output, Row, configured
from proof.stage import arguments, run_process
from proof.suite import ROOT, connectors
from proof.vendors import Vendor, running
from simulators.faults import Fault

CONNECTOR = next(connector for connector in connectors() if connector.name == "source-pendo")
STREAMS = ("product_areas", "guide_steps")

_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`([\w-]+/[\w/-]+\.(?:py|json|md)|[\w-]+/CHANGELOG\.md)`")
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.egg-info", "node_modules")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the streams that the section adds."""
    folder = tmp_path_factory.mktemp("copy") / "repository"
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split(f"\n## Add a stream to {CONNECTOR.name}\n")[1].split("\n## ")[0]
    for block in _BLOCK.finditer(section):
        if block[1] == "sh":
            for line in textwrap.dedent(block[2]).splitlines():
                _succeeded(_python(folder, *line.removeprefix("python ").split()))
        else:
            _apply(folder / _FILE.findall(section[: block.start()])[-1], block[1], textwrap.dedent(block[2]))
    return folder


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    """The repository's own simulator, which lacks the route of the first stream."""
    with running(CONNECTOR) as vendor:
        yield vendor


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


def _python(copy: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Python with the packages of the copy."""
    packages = (CONNECTOR.name, "source-kit", "simulators")
    path = os.pathsep.join(str(copy / package) for package in packages)
    return subprocess.run(
        [sys.executable, *argv],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _succeeded(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]


def _run(copy: Path, folder: Path, verb: str, **files: object) -> Output:
    """The copy's connector, in a process of its own."""
    argv = arguments(folder, verb, (), files)
    script = f"import sys; from {CONNECTOR.package}.run import run; sys.exit(run())"
    return run_process(
        [sys.executable, "-c", script, *argv], env={**os.environ, "PYTHONPATH": str(copy / CONNECTOR.name)}
    )


def test_the_streams_that_the_section_adds_are_discovered_and_read(copy: Path, vendor: Vendor, tmp_path: Path) -> None:
    vendor.simulator.faults.add(Fault("status", path="/group", status=200, answer="[]", times=-1))
    catalog = _run(copy, tmp_path, "discover", config=vendor.config).succeeded().catalog
    added = [stream for stream in catalog["streams"] if stream["name"] in STREAMS]
    assert [find_catalog_problems(_typed(stream)) for stream in added] == [{}, {}]

    first = _read(copy, tmp_path, vendor, catalog)
    steps = [step for guide in vendor.simulator.truth("guides") for step in guide["steps"]]
    assert len(steps) > len(vendor.simulator.truth("guides"))
    assert sorted((row["guide_id"], row["id"], row["name"]) for row in first.records["guide_steps"]) == sorted(
        (step["guideId"], step["id"], step["name"]) for step in steps
    )

    vendor.simulator.mutate("touch_definition", kind="guides")
    second = _read(copy, tmp_path, vendor, catalog, first.last_states())
    assert 0 < len(second.records["guide_steps"]) < len(steps)


def test_the_generated_files_hold_the_added_streams(copy: Path) -> None:
    page = (copy / "docs" / "pendo.md").read_text(encoding="utf-8")
    records = CONNECTOR.sample("expected_records.jsonl").relative_to(ROOT)
    emitted = [json.loads(line)["stream"] for line in (copy / records).read_text(encoding="utf-8").splitlines()]
    for name in STREAMS:
        assert page.count(f"\n| `{name}` |") == 1
        assert emitted.count(name) == 2


def test_the_added_code_is_as_clean_as_the_rest(copy: Path) -> None:
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        _succeeded(_python(copy, "-m", "ruff", *command, CONNECTOR.name, "simulators"))


def test_the_unit_tests_of_the_connector_pass_on_the_copy(copy: Path) -> None:
    _succeeded(_python(copy, "-m", "pytest", "-q", "-m", "not slow", f"{CONNECTOR.name}/unit_tests"))


def _typed(stream: Row) -> AirbyteCatalog:
    modes = [SyncMode(mode) for mode in stream["supported_sync_modes"]]
    return AirbyteCatalog(streams=[AirbyteStream(**{**stream, "supported_sync_modes": modes})])


def _read(copy: Path, folder: Path, vendor: Vendor, catalog: Row, state: list[Row] | None = None) -> Output:
    chosen = json.loads(json.dumps(configured(catalog, [*STREAMS])))
    return _run(copy, folder, "read", config=vendor.config, catalog=chosen, state=state).succeeded()
