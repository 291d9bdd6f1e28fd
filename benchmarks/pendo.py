"""source-pendo: `page_events`, 300,000 rows in pages of 50,000, compared with the floor and tap-pendo 1.2.0."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import harness
from harness import Reading
from measure import measure
from peers import peer_line, python_with
from plan import Plan
from results import Curve, Goal, Point, Section

KEY = "simulated-integration-key.us"
STREAM = "page_events"
TAP = "tap-pendo==1.2.0"
SHARE_GOAL = 0.95
TAP_GOAL = 10.0


def run(plan: Plan) -> Section:
    """Runs the benchmark."""
    rows = plan.size(300_000, 3_000)
    section = Section(f"Pendo: {STREAM}, {rows:,} rows in pages of 50,000")
    arguments = ("pendo", "--rows", str(rows), "--now", "real")
    lines = []
    for title, flags in (("Answers without compression", ()), ("Answers with gzip", ("--compress",))):
        with harness.simulator(*arguments, *flags) as url, tempfile.TemporaryDirectory() as name:
            reading = reading_of(url, Path(name), days=8)
            found = harness.against_floor(
                reading, lambda logged, url=url: request_of(url, logged), "results", plan, gzip=bool(flags)
            )
            lines += harness.add_compared(section, title, found, SHARE_GOAL)
            if plan.peers and not flags:
                run_tap(section, url, found.connector.records)
    section.curves = [page_sizes(plan), history(plan)]
    section.goals.append(harness.memory_goal(section.curves, lines))
    return section


def reading_of(url: str, folder: Path, days: int, **options: Any) -> Reading:
    """The connector on a simulator, from some days before now on."""
    start = datetime.now(UTC) - timedelta(days=days)
    config = {"api_key": KEY, "api_url": url, "start_date": start.strftime("%Y-%m-%dT00:00:00Z"), **options}
    return Reading("source-pendo", STREAM, harness.write_json(folder / "config.json", config), url)


def request_of(url: str, logged: dict[str, Any]) -> dict[str, Any]:
    """A logged request as the floor sends it."""
    headers = {"x-pendo-integration-key": KEY, "content-type": "application/json"}
    return {"method": "POST", "url": f"{url}{logged['path']}", "headers": headers, "body": logged["body"]}


def page_sizes(plan: Plan) -> Curve:
    """Memory over the rows of a page. A day has more rows than the largest page."""
    sizes = [plan.size(full, quick) for full, quick in ((1_000, 100), (50_000, 1_000), (200_000, 2_000))]
    rows = str(sizes[-1] * 2)
    points = []
    arguments = ("pendo", "--rows", rows, "--rows-days", "2", "--now", "real")
    with harness.simulator(*arguments) as url, tempfile.TemporaryDirectory() as name:
        chosen = harness.catalog("source-pendo", reading_of(url, Path(name), days=4).config, [STREAM], Path(name))
        for size in plan.few(sizes):
            reading = reading_of(url, Path(name), days=4, record_limit=size)
            harness.clear_requests(url)
            cost = measure(f"source-pendo {STREAM}", reading.command(chosen), harness.RECORD)
            points.append(Point("source-pendo", f"{size:,}", size, cost, len(harness.logged_requests(url))))
    return Curve("Pendo: memory over page size", "memory", "rows a page", points)


def history(plan: Plan) -> Curve:
    """Cost of a first sync and of the next one, over the days that were read."""
    points = []
    for days in (10, plan.size(1_000, 30)):
        arguments = ("pendo", "--rows", str(20 * days), "--rows-days", str(days), "--now", "real")
        with harness.simulator(*arguments) as url, tempfile.TemporaryDirectory() as name:
            points += harness.history_points(reading_of(url, Path(name), days + 1), days, f"{days:,} days")
    return Curve("Pendo: cost over history", "history", "days with 20 rows each", points)


def run_tap(section: Section, url: str, records: int) -> None:
    """Measures tap-pendo on the same rows."""
    python = python_with(TAP)
    begin = (datetime.now(UTC) - timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [str(harness.DRIVERS / "drive_tap_pendo.py"), url, begin, KEY]
    cost = peer_line(section, "tap-pendo 1.2.0", python, command, b'"stream": "page_events"', records)
    if cost:
        mine = section.tables[0].lines[0].cost
        times = mine.records_per_cpu_second / cost.records_per_cpu_second
        section.goals.append(Goal("records per CPU second, times tap-pendo", times, TAP_GOAL))
