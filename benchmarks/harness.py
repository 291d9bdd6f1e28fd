"""What the benchmarks of all connectors share: a simulator process, a connector's files, the floor, the table."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import Cost, measure, wall_alone
from test_kit.catalogs import configured
from test_kit.command import run_process

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
RECORD = b'"type":"RECORD"'
MEMORY_LIMIT = 300_000_000


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """A simulator in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", *arguments, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split("listening on ")[1].strip()
    finally:
        process.terminate()
        process.wait()


def catalog(connector: str, config: Path, streams: Sequence[str], folder: Path) -> Path:
    """A configured catalog of some streams, as the connector discovers them."""
    found = run_process([str(BIN / connector), "discover", "--config", str(config)]).succeeded()
    return written(folder / "catalog.json", configured(found.catalog, streams, full_refresh=True))


def written(path: Path, content: object) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(content))
    return path


def logged_requests(url: str) -> list[dict[str, Any]]:
    """The requests that a simulator has answered, oldest first."""
    with urllib.request.urlopen(f"{url}/_sim/requests") as answer:  # noqa: S310 - loopback
        return list(json.load(answer))


def forget_requests(url: str) -> None:
    """Empties a simulator's log."""
    request = urllib.request.Request(f"{url}/_sim/requests", method="DELETE")  # noqa: S310 - loopback
    urllib.request.urlopen(request).close()  # noqa: S310 - loopback


def run_connector(
    connector: str, config: Path, catalog_file: Path, name: str | None = None, program: Sequence[str] | None = None
) -> Cost:
    """One read, as the platform would start it, or by another `program` that takes the same arguments."""
    return measure(name or connector, read_command(connector, config, catalog_file, program), RECORD)


def wall_of_connector(connector: str, config: Path, catalog_file: Path) -> float:
    """Wall seconds of one read whose output nobody reads."""
    return wall_alone(read_command(connector, config, catalog_file))


def read_command(
    connector: str, config: Path, catalog_file: Path, program: Sequence[str] | None = None
) -> Sequence[str]:
    """The command line of a read."""
    arguments = ["read", "--config", str(config), "--catalog", str(catalog_file)]
    return [*(program or [str(BIN / connector)]), *arguments]


def start_of_connector(connector: str, config: Path, folder: Path) -> float:
    """CPU seconds of the same command with nothing to read."""
    empty = written(folder / "empty_catalog.json", {"streams": []})
    return min(run_connector(connector, config, empty).cpu for _ in range(3))


def run_floor(requests: list[dict[str, Any]], key: str, stream: str, folder: Path) -> Cost:
    """The same answers read, decoded and encoded, and nothing else."""
    file = written(folder / "requests.json", requests)
    command = [sys.executable, str(ROOT / "benchmarks" / "floor.py"), str(file), key, stream]
    return measure("floor: urllib3 + orjson.loads + orjson.dumps", command, RECORD)


def start_of_floor(folder: Path) -> float:
    """CPU seconds of the floor with nothing to read."""
    return min(run_floor([], "", "", folder).cpu for _ in range(3))


def share_of_floor(mine: Cost, floor: Cost, my_start: float, floor_start: float) -> float:
    """Our records per CPU second of reading over the floor's, each without what its process takes to start."""
    return (mine.records / (mine.cpu - my_start)) / (floor.records / (floor.cpu - floor_start))


def best(runs: Sequence[Cost]) -> Cost:
    """The run with the least CPU time: what else the machine does only ever adds."""
    return min(runs, key=lambda cost: cost.cpu)


def report(title: str, costs: Sequence[Cost], goals: Mapping[str, tuple[float, float]]) -> bool:
    """Prints the table of one benchmark and its goals (`name -> (reached, wanted)`); True when all are met."""
    print(f"\n{title}\n")
    print(f"  {'':<48} {'records':>9} {'CPU s':>7} {'wall s':>7} {'records/CPU s':>14} {'peak MB':>8}")
    for cost in costs:
        print(
            f"  {cost.name:<48} {cost.records:>9} {cost.cpu:>7.2f} {cost.wall:>7.2f} "
            f"{cost.records_per_cpu_second:>14,.0f} {cost.peak_memory / 1e6:>8.0f}"
        )
    print()
    for name, (reached, wanted) in goals.items():
        print(f"  {'ok  ' if reached >= wanted else 'MISS'} {name}: {reached:.2f} (wanted: at least {wanted:g})")
    return all(reached >= wanted for reached, wanted in goals.values())
