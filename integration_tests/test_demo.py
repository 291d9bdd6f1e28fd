"""`make demo`, as a stranger runs it: twice, from the environment and in containers."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from demo import EVENTS, POSTED, TIMED
from harness.suite import ROOT, connectors

_NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROW = re.compile(
    r"^  (?P<stream>\w+) +(?P<read>\d+) +(?P<held>\d+) +[\d.]+  (?P<kind>first|incremental)$", re.MULTILINE
)


def _demo(database: Path, *flags: str) -> str:
    """What the demo prints; it must end well."""
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--database", str(database), *flags]
    command += ["--size", "tiny", "--now", _NOW]  # the same present for both runs
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_demo_reads_everything_and_then_only_what_is_new(tmp_path: Path) -> None:
    database = tmp_path / "demo.duckdb"
    first, second = _demo(database, "--no-docker"), _demo(database, "--no-docker")

    read, read_again = _ROW.findall(first), _ROW.findall(second)
    assert {kind for *_, kind in read} == {"first"}
    assert "incremental" in {kind for *_, kind in read_again}
    assert "First run: everything" in first
    assert "This sync was incremental." in second
    assert sum(int(count) for _, count, _, _ in read_again) < sum(int(count) for _, count, _, _ in read)
    # nothing happened between the two: what the tables hold is the same
    assert {name: held for name, _, held, _ in read_again if name != EVENTS} == {
        name: held for name, _, held, _ in read if name != EVENTS
    }
    # Pendo's sender posts the same events again, which the inlet knows; Customer.io's posts new ones
    assert [row[1:3] for row in read if row[0] == EVENTS] == [(str(POSTED), str(POSTED))] * 2
    assert [row[1:3] for row in read_again if row[0] == EVENTS] == [
        ("0", str(POSTED)),
        (str(POSTED), str(2 * POSTED + TIMED)),
    ]
    _expect_all(first + second, "from the virtual environment")


@pytest.mark.docker
def test_the_demo_reads_everything_in_containers(tmp_path: Path) -> None:
    _expect_all(_demo(tmp_path / "demo.duckdb"), "in its container")


def _expect_all(text: str, where: str) -> None:
    for connector in connectors():
        assert f"{connector.name} {where}" in text
    assert "FAILED" not in text
    assert f"webhook-inlet {where}" in text
    assert re.search(rf"^webhook event posted -> row in DuckDB: \d+\.\d s \(median of {TIMED}\)$", text, re.MULTILINE)
