"""source-customerio: `messages`, 300,000 rows, no rate limit, beside the floor and Airbyte's low-code engine."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import harness
from measure import Cost, measure
from peers import python_with

ROWS = 300_000
KEY = "cio-app-key-us-4c1f9b7e20"
#: The connector without its request budget
UNLIMITED = (sys.executable, str(harness.ROOT / "benchmarks" / "drivers" / "drive_customerio.py"))
CDK = "airbyte-cdk==7.39.1"
#: More than the deliveries of a benchmark cover
DAYS = 365


def run(repeat: int) -> bool:
    """Runs and prints the benchmark; True when its goals are met."""
    arguments = ("customerio", "--rows", str(ROWS), "--rate-limit", "0")
    with harness.simulator(*arguments) as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = int(time.time())
        start = now - DAYS * 86_400
        config = harness.written(
            folder / "config.json",
            {"app_api_key": KEY, "api_url": url, "start_date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))},
        )
        catalog = harness.catalog("source-customerio", config, ["messages"], folder)
        harness.forget_requests(url)
        ours = [harness.run_connector("source-customerio", config, catalog, "source-customerio messages", UNLIMITED)]
        requests = [
            {
                "method": "GET",
                "url": f"{url}{request['path']}?{urlencode(flat(request['query']))}",
                "headers": {"authorization": f"Bearer {KEY}"},
                "body": "",
            }
            for request in harness.logged_requests(url)
        ]
        ours += [
            harness.run_connector("source-customerio", config, catalog, "source-customerio messages", UNLIMITED)
            for _ in range(repeat - 1)
        ]
        floor = harness.best([harness.run_floor(requests, "messages", "messages", folder) for _ in range(repeat)])
        peer = run_low_code(url, start, now, catalog, folder)
        my_start = harness.start_of_connector("source-customerio", config, folder)
        floor_start = harness.start_of_floor(folder)
    print(f"start: {my_start:.2f} CPU s, of the floor {floor_start:.2f}")
    mine = harness.best(ours)
    goals = {
        "records per CPU second of reading, share of the floor": (
            harness.share_of_floor(mine, floor, my_start, floor_start),
            0.7,
        ),
        "memory limit over peak memory": (harness.MEMORY_LIMIT / mine.peak_memory, 1.0),
    }
    if peer:
        goals["records per CPU second, times the low-code engine"] = (
            mine.records_per_cpu_second / peer.records_per_cpu_second,
            5.0,
        )
    costs = [mine, floor, *([peer] if peer else [])]
    return harness.report(f"Customer.io: messages, {ROWS:,} rows, pages of 1,000", costs, goals)


def flat(query: dict[str, Any]) -> dict[str, str]:
    """A logged query with one value a name."""
    return {name: value[0] if isinstance(value, list) else value for name, value in query.items()}


def run_low_code(url: str, start: int, end: int, catalog: Path, folder: Path) -> Cost | None:
    """Airbyte's low-code engine on the same rows; None where it cannot be installed."""
    python = python_with(CDK)
    if python is None:
        print(f"{CDK} could not be installed: the low-code engine is skipped")
        return None
    config = harness.written(
        folder / "low_code.json", {"app_api_key": KEY, "api_url": url, "start_ts": str(start), "end_ts": str(end)}
    )
    streams = json.loads(catalog.read_text())["streams"]
    incremental = [
        {**stream, "sync_mode": "incremental", "destination_sync_mode": "append", "cursor_field": ["created"]}
        for stream in streams
    ]
    chosen = harness.written(folder / "low_code_catalog.json", {"streams": incremental})
    manifest = harness.ROOT / "benchmarks" / "drivers" / "low_code_messages.yaml"
    command = [str(python.parent / "source-declarative-manifest"), "read", "--config", str(config)]
    command += ["--catalog", str(chosen), "--manifest-path", str(manifest)]
    return measure(f"low-code engine, {CDK}", command, harness.RECORD)
