"""source-customerio: `messages`, 300,000 rows in pages of 1,000, compared with the floor and Airbyte's low-code CDK.

Both the connector's and the vendor's limit of requests a second are off, to measure the reading and not the waits.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import harness
from harness import Reading
from measure import measure
from peers import peer_line, python_with
from plan import Plan
from results import Curve, Goal, Point, Section

KEY = "cio-app-key-us-4c1f9b7e20"
STREAM = "messages"
UNLIMITED = (sys.executable, str(harness.DRIVERS / "drive_customerio.py"))
CDK = "airbyte-cdk==7.39.1"
#: More days than the deliveries of the benchmark cover
DAYS = 365
SHARE_GOAL = 1.3
CDK_GOAL = 5.0


def run(plan: Plan) -> Section:
    """Runs the benchmark."""
    rows = plan.size(300_000, 3_000)
    section = Section(f"Customer.io: {STREAM}, {rows:,} rows in pages of 1,000")
    arguments = ("customerio", "--rows", str(rows), "--rate-limit", "0")
    lines = []
    for title, flags in (("Answers without compression", ()), ("Answers with gzip", ("--gzip",))):
        with harness.simulator(*arguments, *flags) as url, tempfile.TemporaryDirectory() as name:
            reading = reading_of(url, Path(name), STREAM)
            found = harness.against_floor(reading, sender(url), STREAM, plan, gzip=bool(flags))
            lines += harness.add_compared(section, title, found, SHARE_GOAL)
            if plan.peers and not flags:
                run_low_code(section, url, Path(name), found.connector.records)
    section.curves = [row_numbers(plan), history(plan)]
    section.goals.append(harness.memory_goal(section.curves, lines))
    return section


def reading_of(url: str, folder: Path, stream: str) -> Reading:
    """The connector on a simulator."""
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - DAYS * 86_400))
    config = {"app_api_key": KEY, "api_url": url, "start_date": start}
    return Reading("source-customerio", stream, harness.write_json(folder / "config.json", config), url, UNLIMITED)


def sender(url: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Turns a logged request into one that the floor sends."""

    def request_of(logged: dict[str, Any]) -> dict[str, Any]:
        address = f"{url}{logged['path']}?{urlencode(flat(logged['query']))}"
        return {"method": "GET", "url": address, "headers": {"authorization": f"Bearer {KEY}"}, "body": ""}

    return request_of


def flat(query: dict[str, Any]) -> dict[str, str]:
    """A logged query with one value for each name."""
    return {name: value[0] if isinstance(value, list) else value for name, value in query.items()}


def row_numbers(plan: Plan) -> Curve:
    """Memory over the number of rows. A page has 1,000 at most: the vendor allows no more."""
    points = []
    for rows in plan.few([plan.size(10_000, 1_000), plan.size(100_000, 2_000), plan.size(300_000, 4_000)]):
        arguments = ("customerio", "--rows", str(rows), "--rate-limit", "0")
        with harness.simulator(*arguments) as url, tempfile.TemporaryDirectory() as name:
            reading = reading_of(url, Path(name), STREAM)
            chosen = harness.catalog("source-customerio", reading.config, [STREAM], reading.folder)
            harness.clear_requests(url)
            cost = measure(f"source-customerio {STREAM}", reading.command(chosen), harness.RECORD)
            points.append(Point("source-customerio", f"{rows:,}", rows, cost, len(harness.logged_requests(url))))
    return Curve("Customer.io: memory over rows", "memory", "rows", points)


def history(plan: Plan) -> Curve:
    """Cost of a first sync and of the next one, over the campaigns whose cursors the state keeps."""
    points = []
    for campaigns in (10, plan.size(4_000, 40)):
        server = [sys.executable, str(harness.DRIVERS / "many_campaigns.py"), str(campaigns)]
        with harness.listening(server) as (url, _), tempfile.TemporaryDirectory() as name:
            reading = reading_of(url, Path(name), "campaign_actions")
            points += harness.history_points(reading, campaigns, f"{campaigns:,} campaigns")
    return Curve("Customer.io: cost over parents (campaign_actions)", "history", "campaigns in the state", points)


def run_low_code(section: Section, url: str, folder: Path, records: int) -> None:
    """Measures Airbyte's low-code CDK on the same rows."""
    now = int(time.time())
    times = {"start_ts": str(now - DAYS * 86_400), "end_ts": str(now)}
    config = harness.write_json(folder / "low_code.json", {"app_api_key": KEY, "api_url": url, **times})
    streams = json.loads((folder / "catalog.json").read_text())["streams"]
    incremental = [
        {**stream, "sync_mode": "incremental", "destination_sync_mode": "append", "cursor_field": ["created"]}
        for stream in streams
    ]
    chosen = harness.write_json(folder / "low_code_catalog.json", {"streams": incremental})
    python = python_with(CDK)
    program = str(python.parent / "source-declarative-manifest") if python else ""
    command = [program, "read", "--config", str(config), "--catalog", str(chosen)]
    command += ["--manifest-path", str(harness.DRIVERS / "low_code_messages.yaml")]
    cost = peer_line(section, f"low-code engine, {CDK.replace('==', ' ')}", python, command, harness.RECORD, records)
    if cost:
        mine = section.tables[0].lines[0].cost
        ratio = mine.records_per_cpu_second / cost.records_per_cpu_second
        section.goals.append(Goal("records per CPU second, times the low-code engine", ratio, CDK_GOAL))
