"""CONTRIBUTING's worked "add a stream": its code blocks are applied to a copy of the connector, which is then run."""

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

CONNECTOR = next(connector for connector in connectors() if connector.name == "source-pendo")
STREAM = "guide_steps"

_SECTION = re.compile(r"<!-- add-a-stream:begin -->\n(.*)<!-- add-a-stream:end -->", re.DOTALL)
_BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`(source_pendo/[\w/]+\.(?:py|json))`")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The connector with the stream that the section adds."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(CONNECTOR.folder / CONNECTOR.package, folder / CONNECTOR.package)
    found = _SECTION.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert found is not None
    section = found[1]
    for block in _BLOCK.finditer(section):
        path = folder / _FILE.findall(section[: block.start()])[-1]
        _apply(path, block[1], textwrap.dedent(block[2]))
    return folder


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    """A Pendo to read."""
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


def _run(copy: Path, folder: Path, verb: str, **files: object) -> Output:
    """The copy, in a process of its own."""
    argv = arguments(folder, verb, (), files)
    script = f"import sys; from {CONNECTOR.package}.run import run; sys.exit(run())"
    return run_process([sys.executable, "-c", script, *argv], env={**os.environ, "PYTHONPATH": str(copy)})


def test_the_stream_that_the_section_adds_is_discovered_and_read(copy: Path, vendor: Vendor, tmp_path: Path) -> None:
    catalog = _run(copy, tmp_path, "discover", config=vendor.config).succeeded().catalog
    added = next(stream for stream in catalog["streams"] if stream["name"] == STREAM)
    assert find_catalog_problems(_typed(added)) == {}

    first = _read(copy, tmp_path, vendor, catalog)
    steps = [step for guide in vendor.simulator.truth("guides") for step in guide["steps"]]
    assert len(steps) > len(vendor.simulator.truth("guides"))
    assert sorted((row["guide_id"], row["id"], row["name"]) for row in first.records[STREAM]) == sorted(
        (step["guideId"], step["id"], step["name"]) for step in steps
    )

    vendor.simulator.mutate("touch_definition", kind="guides")
    second = _read(copy, tmp_path, vendor, catalog, first.last_states())
    assert 0 < len(second.records[STREAM]) < len(steps)


def test_the_added_code_is_as_clean_as_the_rest(copy: Path) -> None:
    ruff = [str(Path(sys.executable).parent / "ruff"), "--config", str(ROOT / "pyproject.toml")]
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        output = run_process([ruff[0], command[0], *ruff[1:], *command[1:], str(copy / CONNECTOR.package / "streams")])
        assert output.code == 0, output.stdout.decode()


def _typed(stream: Row) -> AirbyteCatalog:
    modes = [SyncMode(mode) for mode in stream["supported_sync_modes"]]
    return AirbyteCatalog(streams=[AirbyteStream(**{**stream, "supported_sync_modes": modes})])


def _read(copy: Path, folder: Path, vendor: Vendor, catalog: Row, state: list[Row] | None = None) -> Output:
    chosen = json.loads(json.dumps(configured(catalog, [STREAM])))
    return _run(copy, folder, "read", config=vendor.config, catalog=chosen, state=state).succeeded()


#: Connectors whose section is done on a copy of the repository, with the streams that it adds
ADDED = {"source-customerio": ("brands", "transactional_variants")}
_FILE_OF_REPOSITORY = re.compile(r"`([\w./-]+/[\w./-]+\.(?:py|json|yaml|md))`")


def _repository_with_streams_of(connector: str, folder: Path) -> Path:
    """A copy of the repository after every block of the connector's section."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "dist")
    shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
    marker = f"add-a-stream-to-{connector}"
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split(f"<!-- {marker}:begin -->\n")[1].split(f"<!-- {marker}:end -->")[0]
    for block in _BLOCK.finditer(section):
        content = textwrap.dedent(block[2])
        if block[1] == "sh":
            for command in content.splitlines():
                _python_in(folder, *command.removeprefix(".venv/bin/python ").split())
        else:
            _apply(folder / _FILE_OF_REPOSITORY.findall(section[: block.start()])[-1], block[1], content)
    return folder


def _python_in(folder: Path, *arguments: str) -> None:
    """Python in a copy of the repository, whose packages come before the installed ones."""
    packages = [str(package.parent) for package in folder.glob("*/pyproject.toml")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{arguments}:\n{done.stdout[-5000:]}{done.stderr[-5000:]}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("connector", ADDED)
def test_a_repository_with_the_added_streams_is_clean_and_its_suites_are_green(connector: str, tmp_path: Path) -> None:
    folder = _repository_with_streams_of(connector, tmp_path)
    expected = (folder / connector / "integration_tests" / "expected_records.jsonl").read_text(encoding="utf-8")
    assert {json.loads(line)["stream"] for line in expected.splitlines()} >= set(ADDED[connector])
    page = (folder / "docs" / f"{connector.removeprefix('source-')}.md").read_text(encoding="utf-8")
    assert all(f"| `{stream}` |" in page for stream in ADDED[connector])

    _python_in(folder, "-m", "ruff", "check", connector, "simulators")
    _python_in(folder, "-m", "ruff", "format", "--check", connector, "simulators")
    simulator = f"simulators/unit_tests/{connector.removeprefix('source-')}"
    _python_in(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", simulator, "-m", "not slow")
    _python_in(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{connector}/unit_tests", "-m", "not slow")
    conformance = f"{connector}/unit_tests/test_conformance.py"
    _python_in(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", conformance, "-m", "slow")
