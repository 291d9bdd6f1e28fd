"""CONTRIBUTING's worked "add a stream": its code blocks are applied to a copy of the connector, which is then run."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from airbyte_cdk.models import AirbyteCatalog, AirbyteStream, SyncMode
from airbyte_cdk.test.standard_tests._catalog_checks import find_catalog_problems
from harness.suite import ROOT, connectors
from harness.vendors import Vendor, running
from test_kit.catalogs import Row, configured
from test_kit.command import arguments, run_process
from test_kit.messages import Output

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
    second = _read(copy, tmp_path, vendor, catalog, first.last_state_messages())
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
