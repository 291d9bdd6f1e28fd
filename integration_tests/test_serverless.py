"""airbyte-serverless runs each connector, with the file and the lines of docs/airbyte-serverless.md."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness.runner import Runner
from harness.suite import ROOT, Connector
from harness.vendors import Vendor, running
from test_kit.catalogs import Row

pytestmark = [pytest.mark.serverless, pytest.mark.slow]

_ABS = ROOT / "integration_tests" / "clients" / "serverless" / ".venv" / "bin" / "abs"
_PAGE = (ROOT / "docs" / "airbyte-serverless.md").read_text(encoding="utf-8")
#: What the file names in place of the page's streams; all of Heap's
_STREAMS = {"source-customerio": "campaigns,campaign_actions", "source-heap": None}


@pytest.fixture
def vendor(connector: Connector) -> Iterator[Vendor]:
    """The connector's simulator."""
    with running(connector) as found:
        yield found


def _connection(connector: Connector, config: Row, folder: Path) -> Row:
    """Writes the page's file with the connector's program and configuration, as `pendo.yaml`, and returns `source`."""
    (text,) = re.findall(r"```yaml\n(source:.*?)```", _PAGE, re.DOTALL)
    file: Row = yaml.safe_load(text)
    streams = _STREAMS.get(connector.name, file["source"]["streams"])
    file["source"] |= {"executable": str(connector.script), "config": config, "streams": streams}
    (folder / "connections").mkdir()
    (folder / "connections" / "pendo.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")
    return dict(file["source"])


def _run(line: str, folder: Path) -> str:
    done = subprocess.run(
        [_ABS, *shlex.split(line)[1:]], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def _rows(output: str) -> Counter[str]:
    """How many rows each table got."""
    found = Counter[str]()
    table = ""
    for line in output.splitlines():
        if re.fullmatch(r"_AIRBYTE_\w+", line):
            table = line
        elif table.startswith("_AIRBYTE_RAW_") and line.startswith("{") and "_airbyte_data" in line:
            json.loads(line)
            found[table.removeprefix("_AIRBYTE_RAW_").lower()] += 1
    return found


def test_the_lines_of_the_page_read_every_row(connector: Connector, vendor: Vendor, tmp_path: Path) -> None:
    source = _connection(connector, vendor.config, tmp_path)
    (block,) = re.findall(r"```sh\n(abs list.*?)```", _PAGE, re.DOTALL)
    listing, run = block.strip().splitlines()

    available = _run(listing, tmp_path).rpartition("SUCCESS: ")[2].strip().split(",")
    output = _run(run, tmp_path)

    chosen = source["streams"].split(",") if source["streams"] else available
    assert set(chosen) <= set(available)
    assert output.rstrip().endswith("SUCCESS: OK")
    read = Runner(connector, vendor, tmp_path).read(*chosen).succeeded()
    assert _rows(output) == Counter({name: len(rows) for name, rows in read.records.items()})


def test_a_run_that_failed_says_so_and_exits_with_0(connector: Connector, vendor: Vendor, tmp_path: Path) -> None:
    _connection(connector, vendor.wrong_config, tmp_path)

    output = _run("abs run pendo", tmp_path)

    assert "SUCCESS: OK" not in output
    assert re.search(r"^ERROR: .*failure_type", output, re.MULTILINE)
