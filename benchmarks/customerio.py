"""source-customerio: `messages`, 300,000 rows, without a rate limit, compared with the floor and Airbyte's low-code
CDK."""

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
#: Starts the connector without its request budget
UNLIMITED = (sys.executable, str(harness.ROOT / "benchmarks" / "drivers" / "drive_customerio.py"))
CDK = "airbyte-cdk==7.39.1"
#: More days than the deliveries of the benchmark cover
DAYS = 365


def run(repeat: int) -> bool:
    """Runs and prints the benchmark. True if its goals are met."""
    arguments = ("customerio", "--rows", str(ROWS), "--rate-limit", "0")
    with harness.simulator(*arguments) as url, tempfile.TemporaryDirectory() as name:
        now = int(time.time())
        start = now - DAYS * 86_400
        config = harness.write_json(
            Path(name) / "config.json",
            {"app_api_key": KEY, "api_url": url, "start_date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))},
        )
        cost, floor, goals = harness.against_floor(
            "source-customerio",
            "messages",
            config,
            url,
            lambda logged: request_of(url, logged),
            "messages",
            repeat,
            UNLIMITED,
        )
        peer = run_low_code(url, start, now, Path(name))
    if peer:
        goals["records per CPU second, times the low-code CDK"] = (
            cost.records_per_cpu_second / peer.records_per_cpu_second,
            5.0,
        )
    costs = [cost, floor, *([peer] if peer else [])]
    return harness.report(f"Customer.io: messages, {ROWS:,} rows, pages of 1,000", costs, goals)


def request_of(url: str, logged: dict[str, Any]) -> dict[str, Any]:
    """A logged request as the floor sends it."""
    address = f"{url}{logged['path']}?{urlencode(flat(logged['query']))}"
    return {"method": "GET", "url": address, "headers": {"authorization": f"Bearer {KEY}"}, "body": ""}


def flat(query: dict[str, Any]) -> dict[str, str]:
    """A logged query with one value for each name."""
    return {name: value[0] if isinstance(value, list) else value for name, value in query.items()}


def run_low_code(url: str, start: int, end: int, folder: Path) -> Cost | None:
    """Measures Airbyte's low-code CDK on the same rows. None if it cannot be installed."""
    python = python_with(CDK)
    if python is None:
        print(f"{CDK} cannot be installed, so the low-code CDK is not measured")
        return None
    config = harness.write_json(
        folder / "low_code.json", {"app_api_key": KEY, "api_url": url, "start_ts": str(start), "end_ts": str(end)}
    )
    streams = json.loads((folder / "catalog.json").read_text())["streams"]
    incremental = [
        {**stream, "sync_mode": "incremental", "destination_sync_mode": "append", "cursor_field": ["created"]}
        for stream in streams
    ]
    chosen = harness.write_json(folder / "low_code_catalog.json", {"streams": incremental})
    manifest = harness.ROOT / "benchmarks" / "drivers" / "low_code_messages.yaml"
    command = [str(python.parent / "source-declarative-manifest"), "read", "--config", str(config)]
    command += ["--catalog", str(chosen), "--manifest-path", str(manifest)]
    return measure(f"low-code CDK, {CDK}", command, harness.RECORD)
