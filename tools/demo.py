"""The main job on real input: the connectors read the bundled simulators into a DuckDB file.

`make demo` runs this. Each connector runs in its container where a Docker engine answers, else from the virtual
environment. A second run is incremental.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse import Warehouse

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: The address under which a container on the default bridge reaches this machine
BRIDGE = "172.17.0.1"


@dataclass
class Job:
    """One connector of the demo: how its simulator starts and which configuration reads it."""

    connector: str
    simulator: list[str]
    config: dict[str, Any]
    url_option: str
    skip: frozenset[str] = frozenset()
    failures: list[str] = field(default_factory=list)


def jobs() -> list[Job]:
    """The connectors that this checkout has, in the order in which they are shown."""
    return [
        Job(
            connector="source-pendo",
            simulator=["pendo", "--seed", "1", "--size", "demo", "--now", "real"],
            config={"api_key": "simulated-integration-key.us"},
            url_option="api_url",
        ),
    ]


def main() -> int:
    """Runs the demo; the exit code says whether every stream was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, default=ROOT / "demo.duckdb")
    parser.add_argument("--fresh", action="store_true", help="start over instead of reading incrementally")
    parser.add_argument("--no-docker", action="store_true", help="run from the virtual environment in any case")
    options = parser.parse_args()
    if options.fresh:
        options.database.unlink(missing_ok=True)
    again = options.database.exists()
    docker = not options.no_docker and docker_answers()
    say(f"{'Second run: incremental, into' if again else 'First run: everything, into'} {options.database}")
    failed = False
    for job in jobs():
        failed |= not run(job, options.database, docker)
    say(f"\nThe rows are in {options.database}: open it with DuckDB, e.g. `duckdb {options.database.name}`.")
    say("Run `make demo` again to see an incremental sync." if not again else "This sync was incremental.")
    return 1 if failed else 0


def run(job: Job, database: Path, docker: bool) -> bool:
    """Syncs one connector and prints its table."""
    with simulator(job, BRIDGE if docker else "127.0.0.1") as url, tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        shared.chmod(0o755)
        write(shared / "config.json", {**job.config, job.url_option: url})
        command = containered(job.connector, shared) if docker else [str(BIN / job.connector)]
        where = str(shared) if not docker else "/config"
        say(f"\n{job.connector} {'in its container' if docker else 'from the virtual environment'}")
        catalog = configured(discover(command, where))
        write(shared / "catalog.json", catalog)
        warehouse = Warehouse(database)
        try:
            return sync(job, command, where, shared, catalog, warehouse)
        finally:
            warehouse.close()


def sync(job: Job, command: list[str], where: str, shared: Path, catalog: dict[str, Any], warehouse: Warehouse) -> bool:
    """One read into the warehouse, with progress; True if all streams are complete."""
    warehouse.begin(catalog)
    names = {configured["stream"]["name"] for configured in catalog["streams"]}
    states = [state for state in warehouse.states() if state["stream"]["stream_descriptor"]["name"] in names]
    write(shared / "state.json", states)
    arguments = ["--config", f"{where}/config.json", "--catalog", f"{where}/catalog.json"]
    if states:
        arguments += ["--state", f"{where}/state.json"]
    began = time.monotonic()
    started: dict[str, float] = {}
    seconds: dict[str, float] = {}
    statuses: dict[str, str] = {}
    process = subprocess.Popen([*command, "read", *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for message in warehouse.load(process.stdout):
        note(message, job, started, seconds, statuses)
    code = process.wait()
    table(warehouse, statuses, seconds, resumed={state["stream"]["stream_descriptor"]["name"] for state in states})
    total = sum(warehouse.rows_read().values())
    say(f"{total} records in {time.monotonic() - began:.1f} s, exit code {code}")
    for failure in job.failures:
        say(f"FAILED {failure}")
    return code == 0


def note(
    message: dict[str, Any],
    job: Job,
    started: dict[str, float],
    seconds: dict[str, float],
    statuses: dict[str, str],
) -> None:
    """Shows progress as the connector tells it."""
    trace = message.get("trace", {})
    if trace.get("type") == "STREAM_STATUS":
        name, status = trace["stream_status"]["stream_descriptor"]["name"], trace["stream_status"]["status"]
        statuses[name] = status
        if status == "STARTED":
            started[name] = time.monotonic()
        elif status in ("COMPLETE", "INCOMPLETE"):
            seconds[name] = time.monotonic() - started.get(name, time.monotonic())
            say(f"  {name}: {status.lower()}")
    elif trace.get("type") == "ERROR":
        job.failures.append(f"{trace['error']['stream_descriptor']['name']}: {trace['error']['message']}")
    elif message["type"] == "LOG" and " records in " in message["log"]["message"]:
        say(f"  {message['log']['message']}")


def table(warehouse: Warehouse, statuses: dict[str, str], seconds: dict[str, float], resumed: set[str]) -> None:
    """What was read: a line a stream."""
    say(f"\n  {'stream':<26} {'read':>8} {'in table':>9} {'seconds':>8}  sync")
    for name, read in warehouse.rows_read().items():
        kind = "incremental" if name in resumed else "first"
        status = "" if statuses.get(name) == "COMPLETE" else f"  {statuses.get(name, 'not started')}"
        say(f"  {name:<26} {read:>8} {warehouse.count(name):>9} {seconds.get(name, 0.0):>8.1f}  {kind}{status}")


def discover(command: list[str], where: str) -> dict[str, Any]:
    """The catalog that the connector offers."""
    out = subprocess.run([*command, "discover", "--config", f"{where}/config.json"], capture_output=True, check=False)
    for line in out.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "CATALOG":
            return dict(message["catalog"])
    sys.exit(f"discover failed:\n{out.stdout.decode()}{out.stderr.decode()}")


def configured(catalog: dict[str, Any]) -> dict[str, Any]:
    """Every stream, incremental where it can be."""
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": "incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh",
                "destination_sync_mode": (
                    "append_dedup" if "incremental" in stream["supported_sync_modes"] else "overwrite"
                ),
                "cursor_field": stream.get("default_cursor_field", []),
                "primary_key": stream.get("source_defined_primary_key", []),
            }
            for stream in catalog["streams"]
        ]
    }


@contextmanager
def simulator(job: Job, host: str) -> Iterator[str]:
    """The job's simulator in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", *job.simulator, "--host", host, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "listening on " not in line:
            sys.exit(f"the simulator did not start: {line}")
        yield line.split("listening on ")[1].strip()
    finally:
        process.terminate()
        process.wait()


def containered(connector: str, shared: Path) -> list[str]:
    """The container's command line: as the platform runs it, and read-only besides."""
    mount = f"{shared}:/config:ro"
    return ["docker", "run", "--rm", "-i", "--read-only", "--tmpfs", "/tmp", "-v", mount, f"{connector}:dev"]


def docker_answers() -> bool:
    """Whether a Docker engine answers."""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def write(path: Path, content: object) -> None:
    """Writes JSON that a container's user can read."""
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(0o644)


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
