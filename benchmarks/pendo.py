"""source-pendo: `page_events`, 300,000 rows in pages of 50,000, compared with the floor and tap-pendo 1.2.0."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import harness
from measure import Cost, measure
from peers import python_with

ROWS = 300_000
KEY = "simulated-integration-key.us"


def run(repeat: int) -> bool:
    """Runs and prints the benchmark. True if its goals are met."""
    start = datetime.now(UTC) - timedelta(days=8)
    with harness.simulator("pendo", "--rows", str(ROWS), "--now", "real") as url, tempfile.TemporaryDirectory() as name:
        config = harness.write_json(
            Path(name) / "config.json",
            {"api_key": KEY, "api_url": url, "start_date": start.strftime("%Y-%m-%dT00:00:00Z")},
        )
        cost, floor, goals = harness.against_floor(
            "source-pendo", "page_events", config, url, lambda logged: request_of(url, logged), "results", repeat
        )
        tap = run_tap(url, start)
    if tap:
        goals["records per CPU second, times tap-pendo"] = (
            cost.records_per_cpu_second / tap.records_per_cpu_second,
            10.0,
        )
    costs = [cost, floor, *([tap] if tap else [])]
    return harness.report(f"Pendo: page_events, {ROWS:,} rows, pages of 50,000", costs, goals)


def request_of(url: str, logged: dict[str, Any]) -> dict[str, Any]:
    """A logged request as the floor sends it."""
    headers = {"x-pendo-integration-key": KEY, "content-type": "application/json"}
    return {"method": "POST", "url": f"{url}{logged['path']}", "headers": headers, "body": logged["body"]}


def run_tap(url: str, start: datetime) -> Cost | None:
    """Measures tap-pendo on the same rows. None if it cannot be installed."""
    python = python_with("tap-pendo==1.2.0")
    if python is None:
        print("tap-pendo 1.2.0 cannot be installed, so it is not measured")
        return None
    script = str(harness.ROOT / "benchmarks" / "drivers" / "drive_tap_pendo.py")
    begin = start.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    return measure("tap-pendo 1.2.0 page_events", [str(python), script, url, begin, KEY], b'"stream": "page_events"')
