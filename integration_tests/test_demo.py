"""`make demo`, as a stranger runs it: twice, from the environment and in containers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from demo import EVENTS, POSTED, TIMED
from harness.product_analyst import (
    Numbers,
    guide_conversion,
    nps_of_events,
    nps_of_responses,
    weekly_active_visitors,
)
from harness.suite import ROOT, connectors
from simulators.pendo import PendoSimulator

_MOMENT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
_NOW = _MOMENT.isoformat()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_ROW = re.compile(
    r"^  (?P<stream>\w+) +(?P<read>\d+) +(?P<held>\d+) +[\d.]+  (?P<kind>first|incremental)$", re.MULTILINE
)


#: The headings of docs/pendo.md with a query, the columns that name a row of its answer, and what must come out
_QUESTIONS: dict[str, tuple[int, Callable[[PendoSimulator, date], Numbers]]] = {
    "Weekly active visitors by page": (2, weekly_active_visitors),
    "Guide conversion by step": (2, guide_conversion),
    "NPS by month": (2, nps_of_events),
    "NPS by month from poll_responses": (2, nps_of_responses),
}


@dataclass(frozen=True)
class Ran:
    """The demo's DuckDB file after two runs, and what they printed."""

    database: Path
    first: str
    second: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo, run twice from the environment."""
    database = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    return Ran(database, _demo(database, "--no-docker"), _demo(database, "--no-docker"))


def _demo(database: Path, *flags: str) -> str:
    """What the demo prints; it must end well."""
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--database", str(database), *flags]
    command += ["--size", "tiny", "--now", _NOW]  # the same present for both runs
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_demo_reads_everything_and_then_only_what_is_new(ran: Ran) -> None:
    first, second = ran.first, ran.second
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


@pytest.mark.parametrize("heading", _QUESTIONS)
def test_the_queries_of_the_docs_answer_a_product_analyst(ran: Ran, heading: str) -> None:
    """Each answer is held against what the simulated subscription knows."""
    named, numbers = _QUESTIONS[heading]
    since = (_MOMENT - timedelta(days=30)).date()  # the default of start_date
    with PendoSimulator(size="tiny", now=_MOMENT) as pendo:
        expected = numbers(pendo, since)

    with duckdb.connect(str(ran.database), read_only=True) as warehouse:
        warehouse.execute("use pendo")
        rows = warehouse.execute(_query(heading)).fetchall()

    answered = {row[:named]: row[named:] for row in rows}
    assert len(rows) == len(answered) == len(expected) >= 3
    assert answered.keys() == expected.keys()
    for group, figures in expected.items():
        assert answered[group] == pytest.approx(figures, abs=0.051), group  # percents have one decimal


def _query(heading: str) -> str:
    """The query below a heading of docs/pendo.md."""
    page = (ROOT / "docs" / "pendo.md").read_text(encoding="utf-8")
    _, _, section = page.partition(f"\n### {heading}\n")
    found = re.search(r"```sql\n(.*?)```", section.partition("\n#")[0], re.DOTALL)
    assert found is not None, heading
    return found[1]


@pytest.mark.docker
def test_the_demo_reads_everything_in_containers(tmp_path: Path) -> None:
    _expect_all(_demo(tmp_path / "demo.duckdb"), "in its container")


def _expect_all(text: str, where: str) -> None:
    for connector in connectors():
        assert f"{connector.name} {where}" in text
    assert "FAILED" not in text
    assert f"webhook-inlet {where}" in text
    assert re.search(rf"^webhook event posted -> row in DuckDB: \d+\.\d s \(median of {TIMED}\)$", text, re.MULTILINE)
