"""`make demo`, as a stranger runs it: twice, from the environment and in containers; and the page that it writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from demo.inlet import EVENTS, POSTED, TIMED
from demo.joins import JOINS
from harness.product_analyst import (
    Numbers,
    guide_conversion,
    nps_of_events,
    nps_of_responses,
    weekly_active_visitors,
)
from harness.suite import ROOT, connectors
from simulators.customerio import CustomerioSimulator
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.replay import LiveTable, replay
from simulators.pendo import PendoSimulator
from test_kit.catalogs import Row
from webhooks.browser import browser
from webhooks.looks import looks_right

#: The present of the first run; at the second it is a day later, which is not ahead of the clock
_FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_ROW = re.compile(
    r"^ (?P<connector>pendo|customerio|heap) +(?P<stream>\w+) +(?P<read>[\d,]+) +(?P<new>[\d,]+) +(?P<changed>[\d,]+)"
    r" +(?P<held>[\d,]+) +[\d.]+  (?P<kind>first|incremental|full) *$",
    re.MULTILINE,
)

#: The headings of docs/pendo.md with a query, the columns that name a row of its answer, and what must come out
_QUESTIONS: dict[str, tuple[int, Callable[[PendoSimulator, date], Numbers]]] = {
    "Weekly active visitors by page": (2, weekly_active_visitors),
    "Guide conversion by step": (2, guide_conversion),
    "NPS by month": (2, nps_of_events),
    "NPS by month from poll_responses": (2, nps_of_responses),
}


@dataclass(frozen=True)
class Counts:
    """What a run printed about a stream."""

    read: int
    new: int
    changed: int
    held: int
    kind: str


@dataclass(frozen=True)
class Ran:
    """The demo's DuckDB file after two runs, and what the runs printed and drew."""

    database: Path
    first: str
    second: str
    first_page: str
    second_page: str

    @property
    def page(self) -> Path:
        """The page about the second run."""
        return self.database.with_suffix(".html")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo, run twice from the environment."""
    database = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    first = _demo(database, "--no-docker", "--size", "tiny", "--now", _FIRST.isoformat())
    first_page = database.with_suffix(".html").read_text(encoding="utf-8")
    second = _demo(database, "--no-docker")
    return Ran(database, first, second, first_page, database.with_suffix(".html").read_text(encoding="utf-8"))


def _run(database: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", "--database", str(database), *flags]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tools'}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, env=environment, cwd=database.parent
    )


def _demo(database: Path, *flags: str) -> str:
    """What the demo prints; it must end well."""
    done = _run(database, *flags)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _counts(printed: str) -> dict[tuple[str, str], Counts]:
    """What a run printed, by connector and stream."""
    return {
        (connector, stream): Counts(*(int(number.replace(",", "")) for number in numbers), kind)
        for connector, stream, *numbers, kind in _ROW.findall(printed)
    }


@pytest.fixture(scope="module")
def pendo() -> Iterable[tuple[PendoSimulator, PendoSimulator]]:
    """The subscription at both runs."""
    with (
        PendoSimulator(size="tiny", now=_FIRST) as first,
        PendoSimulator(size="tiny", now=_FIRST, later=1) as second,
    ):
        yield first, second


@pytest.fixture(scope="module")
def customerio() -> Iterable[tuple[CustomerioSimulator, CustomerioSimulator]]:
    """The workspace at both runs."""
    now = int(_FIRST.timestamp())
    with (
        CustomerioSimulator(size="tiny", now=now) as first,
        CustomerioSimulator(size="tiny", now=now, later=1) as second,
    ):
        yield first, second


def test_the_demo_reads_everything_and_then_only_what_is_new(ran: Ran) -> None:
    first, second = _counts(ran.first), _counts(ran.second)
    assert first.keys() == second.keys()
    with duckdb.connect(str(ran.database), read_only=True) as file:
        tables = file.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> '_demo'"
        ).fetchall()
    assert first.keys() == {(schema, table) for schema, table in tables if table != "_state"}
    assert {of.kind for of in first.values()} == {"first", "full"}
    assert {of.kind for of in second.values()} == {"incremental", "full"}
    assert {name for name, of in first.items() if of.kind == "full"} == {
        name for name, of in second.items() if of.kind == "full"
    }
    assert all(of.new == of.held <= of.read and of.changed == 0 for of in first.values())
    assert all(of.new + of.changed <= of.read for of in second.values())
    assert sum(of.read for of in second.values()) < sum(of.read for of in first.values())
    _expect_all(ran.first + ran.second, "from the virtual environment")
    # each sender posts other events a day later; those that were timed come on top
    for connector, timed in (("pendo", 0), ("customerio", TIMED)):
        assert first[connector, EVENTS].new == POSTED
        assert second[connector, EVENTS].held == POSTED + timed + second[connector, EVENTS].new


def test_the_second_run_counts_what_a_day_added_and_changed(
    ran: Ran,
    pendo: tuple[PendoSimulator, PendoSimulator],
    customerio: tuple[CustomerioSimulator, CustomerioSimulator],
) -> None:
    counts = _counts(ran.second)
    some: Counter[str] = Counter()
    for (connector, stream), key in {
        ("pendo", "pages"): ("id",),
        ("pendo", "guides"): ("id",),
        ("pendo", "visitors"): ("visitorId",),
        ("customerio", "campaigns"): ("id",),
        ("customerio", "messages"): ("id",),
    }.items():
        before, after = (simulator.truth(stream) for simulator in (pendo if connector == "pendo" else customerio))
        expected = _differences(before, after, key)
        assert (counts[connector, stream].new, counts[connector, stream].changed) == expected, stream
        assert counts[connector, stream].held == len(after)
        some.update(new=expected[0], changed=expected[1])
    for table, key in (("sessions", ("session_id", "user_id")), ("users", ("user_id",))):
        before, after = (_heap(later)[table].latest() for later in (0, 1))
        expected = _differences(before, after, key)
        assert (counts["heap", table].new, counts["heap", table].changed) == expected, table
        some.update(new=expected[0], changed=expected[1])
    assert some["new"]
    assert some["changed"]


def _differences(before: Iterable[Row], after: Iterable[Row], key: tuple[str, ...]) -> tuple[int, int]:
    """Rows whose key is new, and rows with other content under their key."""
    old, new = ({tuple(row[part] for part in key): row for row in rows} for rows in (before, after))
    return len(new.keys() - old.keys()), sum(old[at] != new[at] for at in old.keys() & new.keys())


def _heap(later: int) -> Mapping[str, LiveTable]:
    return replay(demo_dumps(Size.TINY, now=_FIRST, later=later))


def test_the_three_answers_are_those_of_the_vendors(
    ran: Ran,
    pendo: tuple[PendoSimulator, PendoSimulator],
    customerio: tuple[CustomerioSimulator, CustomerioSimulator],
) -> None:
    """Every printed number is held against what the simulated vendors know."""
    by_page: dict[object, dict[object, object]] = {}
    since = (datetime.now(UTC) - timedelta(days=30)).date()  # the default of start_date
    for (week, page), (visitors,) in weekly_active_visitors(pendo[1], since).items():
        by_page.setdefault(page, {})[week] = visitors
    weeks = sorted({week for counts in by_page.values() for week in counts})[-4:]
    visitors_by_page = {str(page): [counts.get(week, 0) for week in weeks] for page, counts in by_page.items()}
    printed = _answer(ran.second, "Weekly active visitors by page")
    assert len(printed) == min(8, len(visitors_by_page)) >= 3
    assert all(visitors_by_page[page] == numbers for page, numbers in printed.items())

    emails = [row for row in customerio[1].truth("messages") if row["type"] == "email" and row.get("campaign_id")]
    names = {campaign["id"]: campaign["name"] for campaign in customerio[1].truth("campaigns")}
    opens: dict[str, list[float]] = {}
    for row in emails:
        counts = opens.setdefault(names[row["campaign_id"]], [0, 0, 0, 0])
        for place, metric in enumerate(("delivered", "human_opened", "human_clicked")):
            counts[place] += bool(row["metrics"].get(metric))
    for counts in opens.values():
        counts[3] = 100 * counts[1] / counts[0] if counts[0] else 0
    printed = _answer(ran.second, "E-mail opens by campaign")
    assert len(printed) == min(8, sum(counts[0] > 0 for counts in opens.values())) >= 2
    assert all(opens[campaign] == pytest.approx(numbers, abs=0.051) for campaign, numbers in printed.items())

    sessions: dict[str, set[object]] = {}
    for row in _heap(1)["sessions"].emitted():
        sessions.setdefault(row["time"][:10], set()).add(row["session_id"])
    printed = _answer(ran.second, "Sessions by day")
    assert list(printed.values()) == [[len(sessions[day])] for day in sorted(sessions)[-14:]]
    assert len(printed) >= 3


def _answer(text: str, question: str) -> dict[str, list[float]]:
    """The lines of an answer: the text that each begins with, and its numbers."""
    _, _, rest = text.partition(f"\n{question} ")
    lines = rest.partition("\n\n")[0].splitlines()[2:]  # what is left of the question's line, and the head
    found = [re.fullmatch(r" (.+?)((?: +[\d,.]+)+) *", line) for line in lines]
    return {match[1]: [float(number.replace(",", "")) for number in match[2].split()] for match in found if match}


def test_the_printed_line_opens_the_file(ran: Ran) -> None:
    line = re.search(r"^DuckDB: +(.+)$", ran.second, re.MULTILINE)
    assert line is not None
    done = subprocess.run(line[1], shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S602
    assert done.returncode == 0, done.stderr
    assert "sessions" in done.stdout


def test_each_run_says_what_the_next_one_would_be(ran: Ran) -> None:
    assert "(incremental; for the vendors it is a day later)" in ran.first
    assert re.search(r"\(incremental; for the vendors it is a day later from \w+, .+ UTC on\)", ran.second)


def test_a_file_that_cannot_be_used_is_answered_with_what_to_do(tmp_path: Path) -> None:
    broken, used = tmp_path / "broken.duckdb", tmp_path / "used.duckdb"
    broken.write_bytes(b"no database" * 1000)
    with duckdb.connect(str(used)):
        said = {file: _run(file, "--no-docker") for file in (broken, used)}
    assert "`make demo ARGS=--fresh` deletes it and begins anew" in said[broken].stderr
    assert "is open in another program. Close it there" in said[used].stderr
    for done in said.values():
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_present_without_an_offset_is_refused_with_a_sentence(tmp_path: Path) -> None:
    done = _run(tmp_path / "demo.duckdb", "--now", "2026-03-01T09:00:00")
    assert done.returncode == 2
    assert "is not a time with its offset, such as 2026-03-01T09:00:00Z" in done.stderr


def test_without_a_terminal_it_says_little_and_nothing_moves(ran: Ran) -> None:
    for text in (ran.first, ran.second):
        assert "\x1b" not in text
        assert "\r" not in text
        before_the_table = text.partition("\n connector ")[0]
        assert len(before_the_table.splitlines()) <= 12, before_the_table


def test_a_run_of_another_world_is_refused_with_a_sentence(ran: Ran) -> None:
    done = _run(ran.database, "--no-docker", "--size", "demo")
    assert done.returncode == 1
    assert "leave both out, or begin again with --fresh." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_has_every_stream_and_nothing_from_elsewhere(ran: Ran) -> None:
    for printed, page in ((ran.first, ran.first_page), (ran.second, ran.second_page)):
        plain = page.replace("<wbr>", "")
        for (_, stream), counts in _counts(printed).items():
            cells = "".join(f"<td>{number:,}</td>" for number in (counts.read, counts.new, counts.changed, counts.held))
            assert f'>{stream}<span class="kind">{counts.kind}</span></th>{cells}' in plain, stream
        assert not re.search(r"https?:|<script|<link(?! rel=\"icon\" href=\"data:,\")|<img|@import|url\(|src=", page)
        for secret in ("simulated-integration-key", "cio-app-key", "secret", "token", "/in/"):
            assert secret not in page
    assert "What this run added and changed" not in ran.first_page
    assert "What this run added and changed" in ran.second_page
    seconds = re.search(r"^Webhook: (\d+\.\d) s from a posted event to its row", ran.second, re.MULTILINE)
    assert seconds is not None
    assert f"<dd>{seconds[1]}</dd>" in ran.second_page


def test_every_join_of_the_drawing_is_in_the_docs() -> None:
    for schema, joins in JOINS.items():
        page = (ROOT / "docs" / f"{schema}.md").read_text(encoding="utf-8")
        for parent, key, child, column in joins:
            assert re.search(rf'^  {parent} \S+ {child} : "{re.escape(f"{key} : {column}")}"$', page, re.MULTILINE), (
                child
            )


@pytest.mark.browser
def test_the_page_can_be_read_on_a_desk_and_on_a_phone(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    first = tmp_path / "first.html"
    first.write_text(ran.first_page, encoding="utf-8")
    with browser(tmp_path / "profile") as page:
        for shown in (first, ran.page):
            looks_right(page, shown.as_uri())
            text = page.text()
            for heading in (
                "Weekly active visitors by page",
                "E-mail opens by campaign",
                "Sessions by day",
                "E-mail funnel",
            ):
                assert heading in text
            assert page.value(_EMPTY_CHARTS) == 0
            unnamed = "document.querySelectorAll('svg:not([aria-label]), [role=img]:not([aria-label])').length"
            assert page.value(unnamed) == 0
            # what is written into the drawing stays within its box
            assert page.value(_OVERFLOWING) == []


_EMPTY_CHARTS = """
[...document.querySelectorAll("svg.columns")].filter(e => ![...e.querySelectorAll("rect")]
  .some(r => Number(r.getAttribute("height")))).length
"""
_OVERFLOWING = """
[...document.querySelectorAll(".joins text")].filter(e => {
  const box = e.getBBox();
  return ![...e.parentElement.querySelectorAll("rect")].some(r => box.x >= +r.getAttribute("x")
    && box.x + box.width <= +r.getAttribute("x") + +r.getAttribute("width")
    && box.y + box.height <= +r.getAttribute("y") + +r.getAttribute("height") && box.y >= +r.getAttribute("y")); })
  .map(e => e.textContent)
"""


@pytest.mark.parametrize("heading", _QUESTIONS)
def test_the_queries_of_the_docs_answer_a_product_analyst(
    ran: Ran, pendo: tuple[PendoSimulator, PendoSimulator], heading: str
) -> None:
    """Each answer is held against what the simulated subscription knows."""
    named, numbers = _QUESTIONS[heading]
    since = (datetime.now(UTC) - timedelta(days=30)).date()  # the default of start_date
    expected = numbers(pendo[1], since)

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
    printed = _demo(tmp_path / "demo.duckdb", "--size", "tiny")
    assert {connector for connector, _ in _counts(printed)} == {"pendo", "customerio", "heap"}
    _expect_all(printed, "in containers")


def _expect_all(text: str, where: str) -> None:
    for connector in connectors():
        assert re.search(rf"^{connector.name}: [\d,]+ records in [\d.]+ s, exit code 0$", text, re.MULTILINE)
    assert "FAILED" not in text
    assert f"Connectors and webhook-inlet run {where}." in text
    assert re.search(rf"^Webhook: \d+\.\d s .* \(median of {TIMED}\)\.$", text, re.MULTILINE)
