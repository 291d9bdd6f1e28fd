"""source-pendo: `page_events`, 300,000 rows in pages of 50,000, beside the floor and tap-pendo 1.2.0."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import harness
from measure import Cost, measure
from peers import python_with

ROWS = 300_000
KEY = "simulated-integration-key.us"


def run(repeat: int) -> bool:
    """Runs and prints the benchmark; True when its goals are met."""
    start = datetime.now(UTC) - timedelta(days=8)
    with harness.simulator("pendo", "--rows", str(ROWS), "--now", "real") as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = harness.written(
            folder / "config.json", {"api_key": KEY, "api_url": url, "start_date": start.strftime("%Y-%m-%dT00:00:00Z")}
        )
        catalog = harness.catalog("source-pendo", config, ["page_events"], folder)
        harness.run_connector("source-pendo", config, catalog)  # the simulator makes its data when first asked
        harness.forget_requests(url)
        ours = [harness.run_connector("source-pendo", config, catalog, "source-pendo page_events")]
        requests = [
            {
                "method": "POST",
                "url": f"{url}{request['path']}",
                "headers": {"x-pendo-integration-key": KEY, "content-type": "application/json"},
                "body": request["body"],
            }
            for request in harness.logged_requests(url)
        ]
        ours += [
            harness.run_connector("source-pendo", config, catalog, "source-pendo page_events")
            for _ in range(repeat - 1)
        ]
        floor = harness.best([harness.run_floor(requests, "results", "page_events", folder) for _ in range(repeat)])
        tap = run_tap(url, start)
        my_start = harness.start_of_connector("source-pendo", config, folder)
        floor_start = harness.start_of_floor(folder)
    print(f"start: {my_start:.2f} CPU s, of the floor {floor_start:.2f}")
    mine = harness.best(ours)
    costs = [mine, floor, *([tap] if tap else [])]
    goals = {
        "records per CPU second of reading, share of the floor": (
            harness.share_of_floor(mine, floor, my_start, floor_start),
            0.7,
        ),
        "memory limit over peak memory": (harness.MEMORY_LIMIT / mine.peak_memory, 1.0),
    }
    if tap:
        goals["records per CPU second, times tap-pendo"] = (
            mine.records_per_cpu_second / tap.records_per_cpu_second,
            10.0,
        )
    return harness.report(f"Pendo: page_events, {ROWS:,} rows, pages of 50,000", costs, goals)


def run_tap(url: str, start: datetime) -> Cost | None:
    """tap-pendo on the same rows; None where it cannot be installed."""
    python = python_with("tap-pendo==1.2.0")
    if python is None:
        print("tap-pendo 1.2.0 could not be installed: it is skipped")
        return None
    script = str(harness.ROOT / "benchmarks" / "drivers" / "drive_tap_pendo.py")
    begin = start.replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    return measure("tap-pendo 1.2.0 page_events", [str(python), script, url, begin, KEY], b'"stream": "page_events"')
