"""webhook-inlet: durable posts for each CPU second and latency, beside a floor; and the rows that a connector reads."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import harness
from backports import zstd
from measure import Cost
from simulators.customerio import CustomerioSimulator
from simulators.webhooks import load, signatures
from simulators.webhooks.customerio_events import CustomerioEvents
from simulators.webhooks.events import Event
from test_kit.memory import resident_bytes

POSTS = 30_000
CONNECTIONS = 64
RATE = 300
RATE_SECONDS = 10
ROWS = 300_000
SEGMENT_ROWS = 10_000
SECRET, PATH, TOKEN = "signing-key", "path-0123456789abcdefghijklmn", "token-of-the-benchmark-0123456789"


@dataclass(frozen=True)
class Posts:
    """What a receiver used for its posts, and how it answered."""

    cost: Cost
    per_second: float
    p99_ms: float
    slowest_ms: float


def run(repeat: int) -> bool:
    """Runs and prints the benchmark. True if its goals are met."""
    made = list(islice(CustomerioEvents(CustomerioSimulator(seed=1, size="demo").workspace), POSTS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = [
            measured("floor: uvicorn, append, fdatasync", made, folder, number, inlet=False) for number in range(repeat)
        ]
        inlet = [measured("webhook-inlet", made, folder, number, inlet=True) for number in range(repeat)]
        reading = harness.best([read_through_connector(folder / f"read-{number}", made) for number in range(repeat)])
    mine, least = (min(runs, key=lambda one: one.cost.cpu) for runs in (inlet, floor))
    for title, posts in (("webhook-inlet", mine), ("floor", least)):
        print(
            f"{title}: {max(one.per_second for one in (inlet if posts is mine else floor)):,.0f} posts/s with "
            f"{CONNECTIONS} connections; at {RATE} posts/s p99 {posts.p99_ms:.1f} ms, slowest {posts.slowest_ms:.1f} ms"
        )
    goals = {
        "durable posts per CPU second, in thousands": (mine.cost.records_per_cpu_second / 1000, 6.0),
        "durable posts per CPU second, share of the floor": (
            mine.cost.records_per_cpu_second / least.cost.records_per_cpu_second,
            0.4,
        ),
        "durable posts a second, in thousands": (max(one.per_second for one in inlet) / 1000, 2.5),
        f"50 ms divided by p99 at {RATE} posts a second": (50 / min(one.p99_ms for one in inlet), 1.0),
        "rows per CPU second through source-customerio, in thousands": (reading.records_per_cpu_second / 1000, 50.0),
    }
    title = (
        f"Webhooks: {POSTS:,} signed posts of {sum(len(one.body) for one in made) // POSTS} bytes, {ROWS:,} rows read"
    )
    return harness.report(title, [mine.cost, least.cost, reading], goals)


def measured(name: str, made: Sequence[Event], folder: Path, number: int, *, inlet: bool) -> Posts:
    """Posts everything as fast as answers come, then at a steady rate. CPU time counts for the first part only."""
    folder = folder / f"{'inlet' if inlet else 'floor'}-{number}"
    folder.mkdir()
    with harness.listening(inlet_command(folder, folder) if inlet else floor_command(folder)) as (url, pid):
        url += f"/in/{PATH}"
        requests = load.prepared(made, url, lambda _, body: signatures.customerio(SECRET, body), POSTS)
        before = cpu_seconds(pid)
        result = load.run(lambda: load.closed_loop(url, requests, connections=CONNECTIONS))
        used, memory = cpu_seconds(pid) - before, resident_bytes(pid)
        fresh = CustomerioEvents(CustomerioSimulator(seed=2).workspace, 2)
        slow = load.prepared(fresh, url, lambda _, body: signatures.customerio(SECRET, body), RATE * RATE_SECONDS)
        steady = load.run(lambda: load.open_loop(url, slow, RATE))
    if set(result.answers) | set(steady.answers) != {200}:
        msg = f"{name} answered {dict(result.answers)} and {dict(steady.answers)}"
        raise RuntimeError(msg)
    cost = Cost(name, POSTS, used, result.wall, memory)
    return Posts(cost, result.per_second, 1000 * steady.quantile(0.99), 1000 * max(steady.seconds))


def read_through_connector(folder: Path, made: Sequence[Event]) -> Cost:
    """Reads a log of sealed segments through the inlet with source-customerio's stream `webhook_events`."""
    folder.mkdir()
    fill(folder / "data", made)
    with (
        harness.simulator("customerio", "--size", "tiny") as api,
        harness.listening(inlet_command(folder, folder / "data")) as (url, _),
    ):
        store = {"type": "inlet", "url": url, "token": TOKEN, "inlet": "prod"}
        options = {"app_api_key": CustomerioSimulator(seed=1).api_key, "api_url": api, "webhook_store": store}
        options["start_date"] = "2026-01-01T00:00:00Z"
        config = harness.write_json(folder / "config.json", options)
        chosen = harness.catalog("source-customerio", config, ["webhook_events"], folder)
        cost = harness.run_connector("source-customerio", config, chosen, "source-customerio webhook_events")
    if cost.records != ROWS:
        msg = f"{cost.records} rows were read, not {ROWS}"
        raise RuntimeError(msg)
    return cost


def fill(root: Path, made: Sequence[Event]) -> None:
    """Writes the log of an earlier process. An id in the key is new for each row; the bodies come again."""
    lane = root / "prod" / "lanes" / "20260101T000000Z-abc123"
    lane.mkdir(parents=True)
    at = int(time.time() * 1e6)
    bodies = [one.body if b"\n" not in one.body else one.body.replace(b"\n", b"") for one in made]
    for number in range(ROWS // SEGMENT_ROWS):
        first = number * SEGMENT_ROWS
        lines = b"".join(
            b'{"v":1,"key":"customerio:01%024d","at":%d,"inlet":"prod","sig":0,"headers":{},"body":%b}\n'
            % (place, at, bodies[place % len(bodies)])
            for place in range(first, first + SEGMENT_ROWS)
        )
        (lane / f"{number + 1:012d}.ndjson.zst").write_bytes(zstd.compress(lines, level=3))
    (lane / "closed").write_text(str(ROWS // SEGMENT_ROWS))


def inlet_command(folder: Path, data: Path) -> list[str]:
    """The inlet on a volume."""
    entry = {"name": "prod", "source": "customerio", "path": PATH, "secrets": [SECRET]}
    store = {"type": "volume", "path": str(data)}
    config = folder / "inlet.yaml"
    config.write_text(json.dumps({"store": store, "read_token": TOKEN, "drain_seconds": 0, "inlets": [entry]}))
    return [str(harness.BIN / "webhook-inlet"), "serve", "--config", str(config), "--host", "127.0.0.1", "--port", "0"]


def floor_command(folder: Path) -> list[str]:
    """The floor."""
    return [sys.executable, str(harness.ROOT / "benchmarks" / "drivers" / "webhook_floor.py"), str(folder / "bodies")]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
