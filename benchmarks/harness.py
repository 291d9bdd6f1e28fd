"""What the benchmarks share: a simulator process, the connector's files, the floor, and points of curves."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Cost, best, measure
from plan import Plan
from results import Curve, Goal, Line, Point
from test_kit.catalogs import configured
from test_kit.command import run_process

ROOT = Path(__file__).resolve().parent.parent
DRIVERS = ROOT / "benchmarks" / "drivers"
BIN = Path(sys.executable).parent
FLOOR = ("floor: http.client + orjson, in pieces", ROOT / "benchmarks" / "floor.py")
PLAIN = ("plain script: urllib3 + orjson, whole pages", DRIVERS / "plain_script.py")
RECORD = b'"type":"RECORD"'
#: Bytes; for every point of every curve
MEMORY_GOAL = 150_000_000
STARTS = 3
_DISCOVERED: dict[tuple[str, ...], dict[str, Any]] = {}


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """Runs a simulator in its own process. Yields its address."""
    with listening([sys.executable, "-m", "simulators", *arguments, "--port", "0"]) as (url, _):
        yield url


@contextmanager
def listening(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Runs a server that says where it listens. Yields its address and the number of its process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split("listening on ")[1].strip(), process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def catalog(connector: str, config: Path, streams: Sequence[str], folder: Path, *, full_refresh: bool = True) -> Path:
    """Writes a configured catalog of some streams that the connector discovers.

    They are discovered once: a stream of one name is the same in every simulated vendor of a benchmark.
    """
    key = (connector, *streams)
    if key not in _DISCOVERED:
        found = run_process([str(BIN / connector), "discover", "--config", str(config)]).succeeded()
        _DISCOVERED[key] = found.catalog
    return write_json(folder / "catalog.json", configured(_DISCOVERED[key], streams, full_refresh=full_refresh))


def write_json(path: Path, content: object) -> Path:
    """Writes a JSON file. Returns its path."""
    path.write_text(json.dumps(content))
    return path


def logged_requests(url: str) -> list[dict[str, Any]]:
    """The requests that a simulator has answered, oldest first."""
    with urllib.request.urlopen(f"{url}/_sim/requests") as answer:  # noqa: S310 - loopback
        return list(json.load(answer))


def clear_requests(url: str) -> None:
    """Empties the request log of a simulator."""
    request = urllib.request.Request(f"{url}/_sim/requests", method="DELETE")  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback


@dataclass(frozen=True)
class Reading:
    """A `read` of one stream. `program` stands for the connector's own command, with the same arguments."""

    connector: str
    stream: str
    config: Path
    url: str
    program: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.config.parent

    def command(self, catalog_file: Path, state: Path | None = None) -> list[str]:
        """The command line of the `read`."""
        files = ["--config", str(self.config), "--catalog", str(catalog_file)]
        files += ["--state", str(state)] if state else []
        return [*(self.program or [str(BIN / self.connector)]), "read", *files]

    def start_cpu(self, plan: Plan) -> float:
        """CPU seconds that the connector needs to start: a `read` without streams."""
        empty = write_json(self.folder / "empty_catalog.json", {"streams": []})
        return min(measure(self.connector, self.command(empty), RECORD).cpu for _ in range(plan.size(STARTS, 1)))


@dataclass(frozen=True)
class Compared:
    """The connector, the floor and a plain script on the same records, best of their runs.

    `share` and `times_plain` are records per CPU second of reading: the connector's, divided by those of the others.
    """

    connector: Cost
    floor: Cost
    plain: Cost
    share: float
    times_plain: float
    start: float
    floor_start: float

    @property
    def lines(self) -> list[Line]:
        """All as lines of a table."""
        return [Line("connector", self.connector), Line("floor", self.floor), Line("reference", self.plain)]


def against_floor(
    reading: Reading,
    request_of: Callable[[dict[str, Any]], dict[str, Any]],
    rows_key: str,
    plan: Plan,
    *,
    gzip: bool = False,
) -> Compared:
    """Measures the connector, the floor and the plain script in turn.

    `request_of` turns a logged request into one that the floor can send. `rows_key` is the key of the rows in an
    answer. `gzip` lets the floor accept compressed answers; connectors always do.
    """
    name = f"{reading.connector} {reading.stream}"
    chosen = catalog(reading.connector, reading.config, [reading.stream], reading.folder)
    clear_requests(reading.url)
    mine = [measure(name, reading.command(chosen), RECORD)]
    requests = [request_of(request) for request in logged_requests(reading.url)]
    if gzip:
        requests = [{**one, "headers": {**one["headers"], "accept-encoding": "gzip"}} for one in requests]
    floor, plain = [], []
    for number in range(plan.repeat):
        floor.append(run_floor(requests, rows_key, reading))
        plain.append(run_floor(requests, rows_key, reading, PLAIN))
        if number + 1 < plan.repeat:
            mine.append(measure(name, reading.command(chosen), RECORD))
    starts = [
        min(run_floor([], "", reading, script).cpu for _ in range(plan.size(STARTS, 1))) for script in (FLOOR, PLAIN)
    ]
    start = reading.start_cpu(plan)
    cost, least, simple = best(mine), best(floor), best(plain)
    rate = cost.records / (cost.cpu - start)
    share, times_plain = (
        rate / (other.records / (other.cpu - begin)) for other, begin in zip((least, simple), starts, strict=True)
    )
    return Compared(cost, least, simple, share, times_plain, start, starts[0])


def run_floor(requests: list[dict[str, Any]], key: str, reading: Reading, script: tuple[str, Path] = FLOOR) -> Cost:
    """Measures the floor, or the plain script, on the answers to the same requests."""
    file = write_json(reading.folder / "requests.json", requests)
    name, program = script
    return measure(name, [sys.executable, str(program), str(file), key, reading.stream], RECORD)


def history_points(reading: Reading, x: int, label: str, grow: Callable[[], None] | None = None) -> list[Point]:
    """The first sync of a long or short history, and the next sync from the state that it left.

    `grow` adds what is new in between.
    """
    chosen = catalog(reading.connector, reading.config, [reading.stream], reading.folder, full_refresh=False)
    output, state = reading.folder / "output.jsonl", None
    points = []
    for series in ("first sync", "next sync"):
        clear_requests(reading.url)
        cost = measure(f"{reading.connector} {reading.stream}", reading.command(chosen, state), RECORD, keep=output)
        points.append(Point(series, label, x, cost, len(logged_requests(reading.url))))
        state = write_json(reading.folder / "state.json", last_states(output))
        if grow:
            grow()
    return points


def last_states(output: Path) -> list[dict[str, Any]]:
    """The states that the platform would hand to the next sync."""
    with output.open("rb") as lines:
        states = [json.loads(line)["state"] for line in lines if b'"type":"STATE"' in line]
    by_stream = {state["stream"]["stream_descriptor"]["name"]: state for state in states}
    return [{"type": state["type"], "stream": state["stream"]} for state in by_stream.values()]


def memory_goal(curves: Sequence[Curve], lines: Sequence[Line] = ()) -> Goal:
    """The peak memory of the connector at every point that was measured."""
    costs = [point.cost for curve in curves for point in curve.points]
    costs += [line.cost for line in lines if line.kind == "connector"]
    most = max(cost.peak_memory for cost in costs)
    return Goal("peak memory in MB, the largest of all runs and points", most / 1e6, MEMORY_GOAL / 1e6, at_most=True)
