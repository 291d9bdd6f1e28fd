"""`make demo`: the three connectors read the bundled simulators into a DuckDB file.

The simulators of Pendo and Customer.io also post webhooks to webhook-inlet, whose log the connectors read. Connectors
and inlet run in their containers if a Docker engine is running, else from the virtual environment. A second run is
incremental.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
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
EVENTS = "webhook_events"
#: Events that each simulated sender posts, and those whose way into the DuckDB file is timed
POSTED, TIMED = 200, 3


@dataclass(frozen=True)
class Inlet:
    """A running webhook-inlet with an entry for each sender."""

    url: str
    token: str
    secret: str
    paths: dict[str, str]

    def address(self, vendor: str) -> str:
        """Where the vendor posts."""
        return f"{self.url}/in/{self.paths[vendor]}"

    def store(self, vendor: str) -> dict[str, str]:
        """The connector's option `webhook_store`."""
        return {"type": "inlet", "url": self.url, "token": self.token, "inlet": vendor}


@dataclass(frozen=True)
class Simulation:
    """The size of the simulated vendors, their present, and where their webhooks go."""

    size: str
    now: datetime
    inlet: Inlet


@dataclass
class Job:
    """One connector of the demo. `source` runs its simulated vendor and yields the configuration."""

    connector: str
    source: Callable[[Simulation], AbstractContextManager[dict[str, Any]]]
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """A connector's command line with a folder of files, which has another name where the connector runs."""

    command: list[str]
    folder: Path
    name: str

    def discover(self) -> dict[str, Any]:
        """The catalog that the connector offers."""
        arguments = [*self.command, "discover", "--config", f"{self.name}/config.json"]
        out = subprocess.run(arguments, capture_output=True, check=False)
        for line in out.stdout.splitlines():
            message = json.loads(line)
            if message["type"] == "CATALOG":
                return dict(message["catalog"])
        sys.exit(f"discover failed:\n{out.stdout.decode()}{out.stderr.decode()}")

    def read(self, catalog: dict[str, Any], warehouse: Warehouse, seen: Callable[[dict[str, Any]], object]) -> int:
        """Reads a catalog's streams into the warehouse from where it stands. Returns the connector's exit code."""
        warehouse.begin(catalog)
        names = {configured["stream"]["name"] for configured in catalog["streams"]}
        states = [state for state in warehouse.states() if state["stream"]["stream_descriptor"]["name"] in names]
        write(self.folder / "catalog.json", catalog)
        write(self.folder / "state.json", states)
        arguments = ["--config", f"{self.name}/config.json", "--catalog", f"{self.name}/catalog.json"]
        if states:
            arguments += ["--state", f"{self.name}/state.json"]
        process = subprocess.Popen([*self.command, "read", *arguments], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for message in warehouse.load(process.stdout):
            seen(message)
        return process.wait()


def jobs() -> list[Job]:
    """The connectors, in the order of the output."""
    return [Job("source-pendo", pendo), Job("source-customerio", customerio), Job("source-heap", heap)]


@contextmanager
def pendo(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """A simulated Pendo subscription."""
    options = ("--size", simulation.size, "--now", simulation.now.isoformat())
    post_webhooks("pendo", options, simulation.inlet)
    with simulator("pendo", *options) as url:
        store = simulation.inlet.store("pendo")
        yield {"api_key": "simulated-integration-key.us", "api_url": url, "webhook_store": store}


@contextmanager
def customerio(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """A simulated Customer.io workspace, with its limit of ten requests a second."""
    options = ("--size", simulation.size, "--now", str(int(simulation.now.timestamp())))
    post_webhooks("customerio", options, simulation.inlet)
    with simulator("customerio", *options) as url:
        yield {
            "app_api_key": "cio-app-key-us-4c1f9b7e20",
            "api_url": url,
            "start_date": "2025-01-01T00:00:00Z",
            "webhook_store": simulation.inlet.store("customerio"),
        }


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
    events = Path(f"{options.database.absolute()}.inlet")
    if options.fresh:
        options.database.unlink(missing_ok=True)
        shutil.rmtree(events, ignore_errors=True)
    is_second_run = options.database.exists()
    docker = not options.no_docker and docker_answers() and images_built()
    say(f"{'Second run: incremental, into' if is_second_run else 'First run: everything, into'} {options.database}")
    now = options.now or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    failed = False
    with running_inlet(events, docker) as inlet:
        for job in jobs():
            failed |= not run(job, Simulation(options.size, now, inlet), options.database, docker)
    say(f"\nThe rows are in {options.database}, in a schema for each connector; DuckDB opens it.")
    say("Run `make demo` again to see an incremental sync." if not is_second_run else "This sync was incremental.")
    return 1 if failed else 0


def run(job: Job, simulation: Simulation, database: Path, docker: bool) -> bool:
    """Syncs one connector and prints a table of its streams."""
    with job.source(simulation) as config, tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        shared.chmod(0o755)
        write(shared / "config.json", config)
        command = docker_command(job.connector, "-v", f"{shared}:/config:ro") if docker else [str(BIN / job.connector)]
        reader = Reader(command, shared, "/config" if docker else str(shared))
        say(f"\n{job.connector} {'in its container' if docker else 'from the virtual environment'}")
        catalog = configured(reader.discover())
        warehouse = Warehouse(database, job.connector.removeprefix("source-"))
        try:
            complete = sync(job, reader, catalog, warehouse)
            if complete and job.connector == "source-customerio":
                time_events(reader, catalog, warehouse, simulation.inlet)
            return complete
        finally:
            warehouse.close()


def sync(job: Job, reader: Reader, catalog: dict[str, Any], warehouse: Warehouse) -> bool:
    """Reads into the warehouse and prints progress. True if all streams are complete."""
    start = time.monotonic()
    resumed = {state["stream"]["stream_descriptor"]["name"] for state in warehouse.states()}
    started: dict[str, float] = {}
    seconds: dict[str, float] = {}
    statuses: dict[str, str] = {}
    code = reader.read(catalog, warehouse, lambda message: report_progress(message, job, started, seconds, statuses))
    print_table(warehouse, statuses, seconds, resumed)
    total = sum(warehouse.rows_read().values())
    say(f"{total} records in {time.monotonic() - start:.1f} s, exit code {code}")
    for failure in job.failures:
        say(f"FAILED {failure}")
    return code == 0


def time_events(reader: Reader, catalog: dict[str, Any], warehouse: Warehouse, inlet: Inlet) -> None:
    """Posts events one by one, each followed by a sync of their stream alone, and prints how long that takes."""
    alone = {"streams": [part for part in catalog["streams"] if part["stream"]["name"] == EVENTS]}
    seconds = []
    for _ in range(TIMED):
        rows = warehouse.count(EVENTS)
        start = time.monotonic()
        post_event(inlet)
        code = reader.read(alone, warehouse, lambda _: None)
        if code or warehouse.count(EVENTS) != rows + 1:
            sys.exit(f"the event that was posted is not in the table {EVENTS} (exit code {code})")
        seconds.append(time.monotonic() - start)
    say(f"webhook event posted -> row in DuckDB: {statistics.median(seconds):.1f} s (median of {TIMED})")


def post_event(inlet: Inlet) -> None:
    """One event as Customer.io posts it. Returns when the inlet has stored it."""
    event = {
        "event_id": secrets.token_hex(13),
        "object_type": "email",
        "metric": "opened",
        "timestamp": int(time.time()),
    }
    body = json.dumps({**event, "data": {"delivery_id": "demo"}}).encode()
    signed = f"v0:{event['timestamp']}:".encode() + body
    headers = {
        "Content-Type": "application/json",
        "X-CIO-Timestamp": str(event["timestamp"]),
        "X-CIO-Signature": hmac.new(inlet.secret.encode(), signed, hashlib.sha256).hexdigest(),
    }
    urllib.request.urlopen(urllib.request.Request(inlet.address("customerio"), body, headers)).close()  # noqa: S310


def post_webhooks(vendor: str, options: tuple[str, ...], inlet: Inlet) -> None:
    """Runs a simulated sender until its events are accepted, and prints what it sent."""
    webhooks = ["--webhooks-only", "--webhooks", inlet.address(vendor), f"--secret={inlet.secret}"]
    count = ["--rate", "0", "--events", str(POSTED)]
    command = [sys.executable, "-m", "simulators", vendor, *options, *webhooks, *count]
    sent = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    say(f"\n{vendor} {sent}")


@contextmanager
def running_inlet(folder: Path, docker: bool) -> Iterator[Inlet]:
    """webhook-inlet with its store in a folder, which stays for the next run."""
    folder.mkdir(parents=True, exist_ok=True)
    token, secret = secrets.token_hex(16), secrets.token_hex(16)
    paths = {vendor: secrets.token_urlsafe(32) for vendor in ("pendo", "customerio")}
    entries = [{"name": name, "source": name, "path": path, "secrets": [secret]} for name, path in paths.items()]
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        shared.chmod(0o755)
        # JSON is YAML
        store = {"type": "volume", "path": "/data" if docker else str(folder)}
        write(shared / "inlet.yaml", {"store": store, "read_token": token, "drain_seconds": 0, "inlets": entries})
        mounts = ["-v", f"{shared}:/config:ro", "-v", f"{folder}:/data", "--user", f"{os.getuid()}:{os.getgid()}"]
        command = docker_command("webhook-inlet", *mounts) if docker else [str(BIN / "webhook-inlet")]
        config = "/config/inlet.yaml" if docker else str(shared / "inlet.yaml")
        options = ["--config", config, "--host", "127.0.0.1", "--port", "0"]
        with running([*command, "serve", *options]) as line:
            if "listening on " not in line:
                sys.exit(f"webhook-inlet did not start: {line}")
            say(f"\nwebhook-inlet {'in its container' if docker else 'from the virtual environment'}")
            yield Inlet(line.split("listening on ")[1].strip(), token, secret, paths)


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


def docker_command(image: str, *more: str) -> list[str]:
    """The command line of a container: as on the platform, but read-only and with the network of this machine."""
    options = ["--rm", "-i", "--read-only", "--tmpfs", "/tmp", "--network", "host", *more]
    return ["docker", "run", *options, f"{image}:dev"]


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
