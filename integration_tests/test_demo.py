"""`make demo`, as a stranger runs it: twice, from the environment and in containers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from demo import jobs
from proof.suite import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROW = re.compile(
    r"^  (?P<stream>\w+) +(?P<read>\d+) +(?P<held>\d+) +[\d.]+  (?P<kind>first|incremental)$", re.MULTILINE
)


def _demo(database: Path, *flags: str) -> str:
    """What the demo prints; it must end well."""
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--database", str(database), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "flags", [pytest.param(("--no-docker",), id="environment"), pytest.param((), marks=pytest.mark.docker, id="docker")]
)
def test_the_demo_reads_everything_and_then_only_what_is_new(tmp_path: Path, flags: tuple[str, ...]) -> None:
    database = tmp_path / "demo.duckdb"
    first, second = _demo(database, *flags), _demo(database, *flags)

    read, read_again = _ROW.findall(first), _ROW.findall(second)
    assert {kind for *_, kind in read} == {"first"}
    assert "incremental" in {kind for *_, kind in read_again}
    assert "First run: everything" in first
    assert "This sync was incremental." in second
    assert sum(int(count) for _, count, _, _ in read_again) < sum(int(count) for _, count, _, _ in read)
    # nothing happened between the two: what the tables hold is the same
    assert {name: held for name, _, held, _ in read_again} == {name: held for name, _, held, _ in read}
    where = "from the virtual environment" if flags else "in its container"
    for job in jobs():
        assert f"{job.connector} {where}" in first
    assert "FAILED" not in first + second
