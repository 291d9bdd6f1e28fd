"""`make demo`: the three connectors read the bundled simulators into a DuckDB file.

Each connector runs in its container if a Docker engine is running, else from the virtual environment. A second run is
incremental.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from test_kit.catalogs import configured
from test_kit.warehouse import Warehouse

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Simulation:
    """The size of the simulated vendors, and their present."""

    size: str
    now: datetime


@dataclass
class Job:
    """One connector of the demo. `source` runs its simulated vendor and yields the configuration."""

    connector: str
    source: Callable[[Simulation], AbstractContextManager[dict[str, Any]]]
    failures: list[str] = field(default_factory=list)


def jobs() -> list[Job]:
    """The connectors, in the order of the output."""
    return [Job("source-pendo", pendo), Job("source-customerio", customerio), Job("source-heap", heap)]


@contextmanager
def pendo(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """A simulated Pendo subscription."""
    with simulator("pendo", "--size", simulation.size, "--now", simulation.now.isoformat()) as url:
        yield {"api_key": "simulated-integration-key.us", "api_url": url}


@contextmanager
def customerio(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """A simulated Customer.io workspace, with its limit of ten requests a second."""
    with simulator("customerio", "--size", simulation.size, "--now", str(int(simulation.now.timestamp()))) as url:
        yield {"app_api_key": "cio-app-key-us-4c1f9b7e20", "api_url": url, "start_date": "2025-01-01T00:00:00Z"}


@contextmanager
def heap(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """A simulated Heap bucket, on Ceph's S3 server if it is installed, else on moto's."""
    with running([sys.executable, str(ROOT / "integration_tests" / "s3" / "s3_servers.py")]) as line:
        server = json.loads(line)
        say(f"\nS3 server: {server['kind']}")
        keys = {"AWS_ACCESS_KEY_ID": server["access_key"], "AWS_SECRET_ACCESS_KEY": server["secret_key"]}
        command = [sys.executable, "-m", "simulators", "heap", "--out", "s3://heap-rs3-demo", "--size", simulation.size]
        subprocess.run(
            [*command, "--endpoint-url", server["endpoint"]],
            env={**os.environ, **keys, "AWS_DEFAULT_REGION": "us-east-1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        yield {
            "bucket": "heap-rs3-demo",
            "endpoint_url": server["endpoint"],
            "credentials": {
                "auth_type": "keys",
                "aws_access_key_id": server["access_key"],
                "aws_secret_access_key": server["secret_key"],
            },
        }


def main() -> int:
    """Runs the demo. The exit code is 0 if every stream was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, default=ROOT / "demo.duckdb", help="the DuckDB file")
    parser.add_argument(
        "--fresh", action="store_true", help="delete the DuckDB file first, so that everything is read again"
    )
    parser.add_argument("--size", choices=("demo", "tiny"), default="demo", help="amount of simulated data")
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="the present of the simulated vendors; default: the last full hour"
    )
    parser.add_argument(
        "--no-docker", action="store_true", help="run from the virtual environment, even if a Docker engine is running"
    )
    options = parser.parse_args()
    if options.fresh:
        options.database.unlink(missing_ok=True)
    is_second_run = options.database.exists()
    docker = not options.no_docker and docker_answers() and images_built()
    say(f"{'Second run: incremental, into' if is_second_run else 'First run: everything, into'} {options.database}")
    simulation = Simulation(options.size, options.now or datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    failed = False
    for job in jobs():
        failed |= not run(job, simulation, options.database, docker)
    say(f"\nThe rows are in {options.database}, in a schema for each connector; DuckDB opens it.")
    say("Run `make demo` again to see an incremental sync." if not is_second_run else "This sync was incremental.")
    return 1 if failed else 0


def run(job: Job, simulation: Simulation, database: Path, docker: bool) -> bool:
    """Syncs one connector and prints a table of its streams."""
    with job.source(simulation) as config, tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        shared.chmod(0o755)
        write(shared / "config.json", config)
        command = docker_command(job.connector, shared) if docker else [str(BIN / job.connector)]
        config_folder = str(shared) if not docker else "/config"
        say(f"\n{job.connector} {'in its container' if docker else 'from the virtual environment'}")
        catalog = configured(discover(command, config_folder))
        write(shared / "catalog.json", catalog)
        warehouse = Warehouse(database, job.connector.removeprefix("source-"))
        try:
            return sync(job, command, config_folder, shared, catalog, warehouse)
        finally:
            warehouse.close()


def sync(
    job: Job, command: list[str], config_folder: str, shared: Path, catalog: dict[str, Any], warehouse: Warehouse
) -> bool:
    """Reads into the warehouse and prints progress. True if all streams are complete."""
    warehouse.begin(catalog)
    names = {configured["stream"]["name"] for configured in catalog["streams"]}
    states = [state for state in warehouse.states() if state["stream"]["stream_descriptor"]["name"] in names]
    write(shared / "state.json", states)
    arguments = ["--config", f"{config_folder}/config.json", "--catalog", f"{config_folder}/catalog.json"]
    if states:
        arguments += ["--state", f"{config_folder}/state.json"]
    start = time.monotonic()
    started: dict[str, float] = {}
    seconds: dict[str, float] = {}
    statuses: dict[str, str] = {}
    process = subprocess.Popen([*command, "read", *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for message in warehouse.load(process.stdout):
        report_progress(message, job, started, seconds, statuses)
    code = process.wait()
    print_table(
        warehouse, statuses, seconds, resumed={state["stream"]["stream_descriptor"]["name"] for state in states}
    )
    total = sum(warehouse.rows_read().values())
    say(f"{total} records in {time.monotonic() - start:.1f} s, exit code {code}")
    for failure in job.failures:
        say(f"FAILED {failure}")
    return code == 0


def report_progress(
    message: dict[str, Any],
    job: Job,
    started: dict[str, float],
    seconds: dict[str, float],
    statuses: dict[str, str],
) -> None:
    """Prints progress from a message of the connector, and collects statuses and failures."""
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


def print_table(warehouse: Warehouse, statuses: dict[str, str], seconds: dict[str, float], resumed: set[str]) -> None:
    """Prints what was read, a line for each stream."""
    say(f"\n  {'stream':<26} {'read':>8} {'in table':>9} {'seconds':>8}  sync")
    for name, read in warehouse.rows_read().items():
        kind = "incremental" if name in resumed else "first"
        status = "" if statuses.get(name) == "COMPLETE" else f"  {statuses.get(name, 'not started')}"
        say(f"  {name:<26} {read:>8} {warehouse.count(name):>9} {seconds.get(name, 0.0):>8.1f}  {kind}{status}")


def discover(command: list[str], config_folder: str) -> dict[str, Any]:
    """The catalog that the connector offers."""
    out = subprocess.run(
        [*command, "discover", "--config", f"{config_folder}/config.json"], capture_output=True, check=False
    )
    for line in out.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "CATALOG":
            return dict(message["catalog"])
    sys.exit(f"discover failed:\n{out.stdout.decode()}{out.stderr.decode()}")


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """Runs a simulator in its own process. Yields its address."""
    with running([sys.executable, "-m", "simulators", *arguments, "--port", "0"]) as line:
        if "listening on " not in line:
            sys.exit(f"the simulator did not start: {line}")
        yield line.split("listening on ")[1].strip()


@contextmanager
def running(command: list[str]) -> Iterator[str]:
    """Runs a server in its own process. Yields the line that it prints when it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait()


def docker_command(connector: str, shared: Path) -> list[str]:
    """The command line of the container: as on the platform, but read-only and with the network of this machine."""
    options = ["--rm", "-i", "--read-only", "--tmpfs", "/tmp", "--network", "host", "-v", f"{shared}:/config:ro"]
    return ["docker", "run", *options, f"{connector}:dev"]


def docker_answers() -> bool:
    """Whether a Docker engine is running whose containers can use the network of this machine."""
    docker = shutil.which("docker")
    return (
        docker is not None
        and sys.platform == "linux"
        and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0
    )


def images_built() -> bool:
    """Builds the images, which is quick if nothing changed. True if that succeeded."""
    say("Building the images (`make images`) ...")
    built = subprocess.run(["make", "--no-print-directory", "images"], cwd=ROOT, check=False).returncode == 0
    if not built:
        say("The images could not be built: the connectors run from the virtual environment.")
    return built


def write(path: Path, content: object) -> None:
    """Writes a JSON file that the user of the container can read."""
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(0o644)


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
