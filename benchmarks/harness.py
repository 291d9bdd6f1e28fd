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
from results import Curve, Goal, Line, Point, Section, Table
from test_kit.catalogs import configured
from test_kit.command import run_process

ROOT = Path(__file__).resolve().parent.parent
DRIVERS = ROOT / "benchmarks" / "drivers"
BIN = Path(sys.executable).parent
FLOOR = ROOT / "benchmarks" / "floor.py"
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
    """The connector and the floor on the same records, best of their runs, and CPU seconds of their starts."""

    connector: Cost
    floor: Cost
    start: float
    floor_start: float

    @property
    def share(self) -> float:
        """Records per CPU second of reading: the connector's, divided by the floor's."""
        mine = self.connector.records / (self.connector.cpu - self.start)
        return mine / (self.floor.records / (self.floor.cpu - self.floor_start))


def against_floor(
    reading: Reading,
    request_of: Callable[[dict[str, Any]], dict[str, Any]],
    rows_key: str,
    plan: Plan,
    *,
    gzip: bool = False,
) -> Compared:
    """Measures the connector and the floor in turn.

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
    floor = [run_floor(requests, rows_key, reading)]
    for _ in range(plan.repeat - 1):
        mine.append(measure(name, reading.command(chosen), RECORD))
        floor.append(run_floor(requests, rows_key, reading))
    floor_start = min(run_floor([], "", reading).cpu for _ in range(plan.size(STARTS, 1)))
    return Compared(best(mine), best(floor), reading.start_cpu(plan), floor_start)


def run_floor(requests: list[dict[str, Any]], key: str, reading: Reading) -> Cost:
    """Measures the floor on the answers to the same requests."""
    file = write_json(reading.folder / "requests.json", requests)
    command = [sys.executable, str(FLOOR), str(file), key, reading.stream]
    return measure("floor: urllib3 + orjson", command, RECORD)


def add_compared(section: Section, title: str, found: Compared, share_goal: float) -> list[Line]:
    """Adds table, goal and note about a connector and its floor to the section. Returns the lines of the table."""
    lines = [Line("connector", found.connector), Line("floor", found.floor)]
    section.tables.append(Table(title, lines))
    section.goals.append(Goal(f"share of the floor: {title[:1].lower()}{title[1:]}", found.share, share_goal))
    section.notes.append(
        f"{title}: the start takes {found.start:.2f} CPU s, that of the floor {found.floor_start:.2f}."
    )
    return lines


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
