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
from harness import Reading
from measure import Cost, best, measure
from plan import Plan
from results import Goal, Line, Section, Table
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


def run(plan: Plan) -> Section:
    """Runs the benchmark."""
    posts, rows, repeat = plan.size(POSTS, 600), plan.size(ROWS, 2 * SEGMENT_ROWS), plan.repeat
    seconds = plan.size(RATE_SECONDS, 1)
    made = list(islice(CustomerioEvents(CustomerioSimulator(seed=1, size="demo").workspace), posts))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = [
            measured("floor: uvicorn, append, fdatasync", made, folder, number, seconds, inlet=False)
            for number in range(repeat)
        ]
        inlet = [measured("webhook-inlet", made, folder, number, seconds, inlet=True) for number in range(repeat)]
        reading = best([read_through_connector(folder / f"read-{number}", made, rows) for number in range(repeat)])
    mine, least = (min(runs, key=lambda one: one.cost.cpu) for runs in (inlet, floor))
    size = sum(len(one.body) for one in made) // posts
    section = Section(f"Webhooks: {posts:,} signed posts of {size} bytes, {rows:,} rows read")
    section.tables = [
        Table("Durable posts", [Line("connector", mine.cost), Line("floor", least.cost)]),
        Table("Rows read from an inlet", [Line("connector", reading)]),
    ]
    for title, runs, chosen in (("webhook-inlet", inlet, mine), ("floor", floor, least)):
        section.notes.append(
            f"{title}: {max(one.per_second for one in runs):,.0f} posts a second over {CONNECTIONS} connections; at "
            f"{RATE} posts a second p99 {chosen.p99_ms:.1f} ms, slowest {chosen.slowest_ms:.1f} ms."
        )
    per_cpu_second = mine.cost.records_per_cpu_second
    share = per_cpu_second / least.cost.records_per_cpu_second
    p99 = min(one.p99_ms for one in inlet)
    section.goals = [
        Goal("durable posts per CPU second", per_cpu_second, 6_000),
        Goal("durable posts per CPU second, share of the floor", share, 0.4),
        Goal("durable posts a second", max(one.per_second for one in inlet), 2_500),
        Goal(f"p99 in ms at {RATE} posts a second", p99, 50, at_most=True),
        Goal("rows per CPU second through source-customerio, start included", reading.records_per_cpu_second, 50_000),
        harness.memory_goal([], [Line("connector", mine.cost), Line("connector", reading)]),
    ]
    return section


def measured(name: str, made: Sequence[Event], folder: Path, number: int, seconds: int, *, inlet: bool) -> Posts:
    """Posts everything as fast as answers come, then at a steady rate. CPU time counts for the first part only."""
    folder = folder / f"{'inlet' if inlet else 'floor'}-{number}"
    folder.mkdir()
    with harness.listening(inlet_command(folder, folder) if inlet else floor_command(folder)) as (url, pid):
        url += f"/in/{PATH}"
        requests = load.prepared(made, url, lambda _, body: signatures.customerio(SECRET, body), len(made))
        before = cpu_seconds(pid)
        result = load.run(lambda: load.closed_loop(url, requests, connections=CONNECTIONS))
        used, memory = cpu_seconds(pid) - before, resident_bytes(pid)
        fresh = CustomerioEvents(CustomerioSimulator(seed=2).workspace, 2)
        slow = load.prepared(fresh, url, lambda _, body: signatures.customerio(SECRET, body), RATE * seconds)
        steady = load.run(lambda: load.open_loop(url, slow, RATE))
    if set(result.answers) | set(steady.answers) != {200}:
        msg = f"{name} answered {dict(result.answers)} and {dict(steady.answers)}"
        raise RuntimeError(msg)
    cost = Cost(name, len(made), used, result.wall, memory)
    return Posts(cost, result.per_second, 1000 * steady.quantile(0.99), 1000 * max(steady.seconds))


def read_through_connector(folder: Path, made: Sequence[Event], rows: int) -> Cost:
    """Reads a log of sealed segments through the inlet with source-customerio's stream `webhook_events`."""
    folder.mkdir()
    fill(folder / "data", made, rows)
    with (
        harness.simulator("customerio", "--size", "tiny") as api,
        harness.listening(inlet_command(folder, folder / "data")) as (url, _),
    ):
        store = {"type": "inlet", "url": url, "token": TOKEN, "inlet": "prod"}
        options = {"app_api_key": CustomerioSimulator(seed=1).api_key, "api_url": api, "webhook_store": store}
        options["start_date"] = "2026-01-01T00:00:00Z"
        config = harness.write_json(folder / "config.json", options)
        chosen = harness.catalog("source-customerio", config, ["webhook_events"], folder)
        command = Reading("source-customerio", "webhook_events", config, url).command(chosen)
        cost = measure("source-customerio webhook_events", command, harness.RECORD)
    if cost.records != rows:
        msg = f"{cost.records} rows were read, not {rows}"
        raise RuntimeError(msg)
    return cost


def fill(root: Path, made: Sequence[Event], rows: int) -> None:
    """Writes the log of an earlier process. An id in the key is new for each row; the bodies come again."""
    lane = root / "prod" / "lanes" / "20260101T000000Z-abc123"
    lane.mkdir(parents=True)
    at = int(time.time() * 1e6)
    bodies = [one.body if b"\n" not in one.body else one.body.replace(b"\n", b"") for one in made]
    for number in range(rows // SEGMENT_ROWS):
        first = number * SEGMENT_ROWS
        lines = b"".join(
            b'{"v":1,"key":"customerio:01%024d","at":%d,"inlet":"prod","sig":0,"headers":{},"body":%b}\n'
            % (place, at, bodies[place % len(bodies)])
            for place in range(first, first + SEGMENT_ROWS)
        )
        (lane / f"{number + 1:012d}.ndjson.zst").write_bytes(zstd.compress(lines, level=3))
    (lane / "closed").write_text(str(rows // SEGMENT_ROWS))


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
