"""What the benchmarks share: a simulator process, the connector's files, the floor, and the printed table."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import Cost, measure, wall_seconds
from test_kit.catalogs import configured
from test_kit.command import run_process

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
RECORD = b'"type":"RECORD"'
MEMORY_LIMIT = 300_000_000


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


def catalog(connector: str, config: Path, streams: Sequence[str], folder: Path) -> Path:
    """Writes a configured catalog of some streams that the connector discovers."""
    found = run_process([str(BIN / connector), "discover", "--config", str(config)]).succeeded()
    return write_json(folder / "catalog.json", configured(found.catalog, streams, full_refresh=True))


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


def run_connector(
    connector: str, config: Path, catalog_file: Path, name: str | None = None, program: Sequence[str] | None = None
) -> Cost:
    """Measures one `read`, by the connector's own program or another one with the same arguments."""
    return measure(name or connector, read_command(connector, config, catalog_file, program), RECORD)


def wall_seconds_of_connector(connector: str, config: Path, catalog_file: Path) -> float:
    """Wall seconds of one `read` whose output goes to /dev/null."""
    return wall_seconds(read_command(connector, config, catalog_file))


def read_command(
    connector: str, config: Path, catalog_file: Path, program: Sequence[str] | None = None
) -> Sequence[str]:
    """The command line of a `read`."""
    arguments = ["read", "--config", str(config), "--catalog", str(catalog_file)]
    return [*(program or [str(BIN / connector)]), *arguments]


def start_cpu_of_connector(connector: str, config: Path, folder: Path) -> float:
    """CPU seconds that the connector needs to start: a `read` without streams."""
    empty = write_json(folder / "empty_catalog.json", {"streams": []})
    return min(run_connector(connector, config, empty).cpu for _ in range(3))


def run_floor(requests: list[dict[str, Any]], key: str, stream: str, folder: Path) -> Cost:
    """Measures the floor: reads, decodes and encodes the answers to the same requests."""
    file = write_json(folder / "requests.json", requests)
    command = [sys.executable, str(ROOT / "benchmarks" / "floor.py"), str(file), key, stream]
    return measure("floor: urllib3 + orjson.loads + orjson.dumps", command, RECORD)


def start_cpu_of_floor(folder: Path) -> float:
    """CPU seconds that the floor needs to start: a run without requests."""
    return min(run_floor([], "", "", folder).cpu for _ in range(3))


def share_of_floor(mine: Cost, floor: Cost, my_start: float, floor_start: float) -> float:
    """Records per CPU second of the connector divided by those of the floor, both without the start of the process."""
    return (mine.records / (mine.cpu - my_start)) / (floor.records / (floor.cpu - floor_start))


def best(runs: Sequence[Cost]) -> Cost:
    """The run with the least CPU time, because other work on the machine can only add time."""
    return min(runs, key=lambda cost: cost.cpu)


def against_floor(
    connector: str,
    stream: str,
    config: Path,
    url: str,
    request_of: Callable[[dict[str, Any]], dict[str, Any]],
    rows_key: str,
    repeat: int,
    program: Sequence[str] | None = None,
) -> tuple[Cost, Cost, dict[str, tuple[float, float]]]:
    """Measures the connector and the floor on one stream: both costs, and the goals of an HTTP connector.

    `request_of` turns a logged request into one that the floor can send. `rows_key` is the key of the rows in an
    answer.
    """
    folder, name = config.parent, f"{connector} {stream}"
    chosen = catalog(connector, config, [stream], folder)
    clear_requests(url)
    runs = [run_connector(connector, config, chosen, name, program)]
    requests = [request_of(request) for request in logged_requests(url)]
    runs += [run_connector(connector, config, chosen, name, program) for _ in range(repeat - 1)]
    floor = best([run_floor(requests, rows_key, stream, folder) for _ in range(repeat)])
    start, floor_start = start_cpu_of_connector(connector, config, folder), start_cpu_of_floor(folder)
    print(f"start: {start:.2f} CPU s; of the floor: {floor_start:.2f} CPU s")
    cost = best(runs)
    goals = {
        "records per CPU second of reading, share of the floor": (share_of_floor(cost, floor, start, floor_start), 0.7),
        "memory limit divided by peak memory": (MEMORY_LIMIT / cost.peak_memory, 1.0),
    }
    return cost, floor, goals


def report(title: str, costs: Sequence[Cost], goals: Mapping[str, tuple[float, float]]) -> bool:
    """Prints the table and the goals (`name -> (reached, goal)`) of a benchmark. True if all goals are met."""
    print(f"\n{title}\n")
    print(f"  {'':<48} {'records':>9} {'CPU s':>7} {'wall s':>7} {'records/CPU s':>14} {'peak MB':>8}")
    for cost in costs:
        print(
            f"  {cost.name:<48} {cost.records:>9} {cost.cpu:>7.2f} {cost.wall:>7.2f} "
            f"{cost.records_per_cpu_second:>14,.0f} {cost.peak_memory / 1e6:>8.0f}"
        )
    print()
    for name, (reached, wanted) in goals.items():
        print(f"  {'ok  ' if reached >= wanted else 'MISS'} {name}: {reached:.2f} (goal: at least {wanted:g})")
    return all(reached >= wanted for reached, wanted in goals.values())
