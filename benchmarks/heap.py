"""source-heap: a table of 34 columns, half null, 1,000,000 rows in 16 snappy files, compared with fastavro and orjson,
tap-heap 1.4.0 and airbyte-source-s3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from harness import DRIVERS, Reading
from measure import best, measure
from peers import peer_line, python_with
from plan import Plan
from results import Curve, Goal, Line, Point, Section, Table
from simulators.heap.bench_table import COLUMNS, TABLE
from simulators.heap.layout import DEFAULT_BUCKET

BUCKET = "heap-rs3-bench"
FILES = 16
TAP = "tap-heap==1.4.0"
SOURCE_S3 = "airbyte-source-s3==4.16.1"
#: The package asks for a version of smart-open that does not exist (4.16.1, its own number).
SMART_OPEN = "smart-open[s3]>=6"
#: Four times the version before, which decoded in Python and was twice as fast as the reference on the same machine
REFERENCE_GOAL = 8.0
#: Rows per CPU second of that version
ROWS_BEFORE = 106_500
WALL_GOAL = 3.5
ENVIRONMENT = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY", "endpoint": "AWS_ENDPOINT_URL"}


def run(plan: Plan) -> Section:
    """Runs the benchmark."""
    rows = plan.size(1_000_000, 10_000)
    section = Section(f"Heap: {rows:,} rows of 34 columns in {FILES} Avro files on an S3 server")
    with dumps(rows) as server, tempfile.TemporaryDirectory() as name:
        lines = against_reference(section, server, Path(name), plan)
        if plan.peers:
            run_tap(section, server, rows)
            run_source_s3(section, server, Path(name), rows)
    section.curves = [file_sizes(plan), history(plan)]
    section.goals.append(harness.memory_goal(section.curves, lines))
    return section


def against_reference(section: Section, server: dict[str, Any], folder: Path, plan: Plan) -> list[Line]:
    """Measures the connector and the reference in turn. Returns the lines of the table."""
    reading = reading_of(server["endpoint"], server, folder)
    chosen = harness.catalog("source-heap", reading.config, [TABLE], folder)
    settings = harness.write_json(folder / "server.json", {**server, "bucket": BUCKET})
    runs, references = [], []
    for _ in range(plan.repeat):
        runs.append(measure("source-heap", reading.command(chosen), harness.RECORD))
        command = [sys.executable, str(DRIVERS / "drive_fastavro.py"), str(settings)]
        references.append(measure("fastavro + orjson", command, harness.RECORD))
    mine, reference = best(runs), best(references)
    lines = [Line("connector", mine), Line("reference", reference)]
    section.tables.append(Table("One table; all values are text or null, except three ids", lines))
    rate, wall = mine.records_per_cpu_second, min(cost.wall for cost in runs)
    times = rate / reference.records_per_cpu_second
    section.goals.append(Goal("rows per CPU second, start included, times fastavro + orjson", times, REFERENCE_GOAL))
    section.goals.append(
        Goal(f"wall seconds with a reader on the pipe, {mine.records:,} rows", wall, WALL_GOAL, at_most=True)
    )
    section.notes.append(
        f"{rate:,.0f} rows per CPU second are {rate / ROWS_BEFORE:.1f} times the {ROWS_BEFORE:,} of the version "
        "before, which decoded in Python, on a quiet machine of 2 cores. That ratio is no goal, because it depends on "
        "the machine; the one to fastavro + orjson does not."
    )
    section.notes.append(f"The start takes {reading.start_cpu(plan):.2f} CPU s. The S3 server is {server['kind']}.")
    return lines


@contextmanager
def dumps(rows: int) -> Iterator[dict[str, Any]]:
    """Writes the dump to an S3 server: Ceph if it is installed, else moto. Yields address and keys of the server."""
    server = harness.ROOT / "integration_tests" / "s3" / "s3_servers.py"
    process = subprocess.Popen([sys.executable, str(server)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = json.loads(process.stdout.readline())
        command = [sys.executable, "-m", "simulators", "heap", "--out", f"s3://{BUCKET}", "--rows", str(rows)]
        command += ["--files", str(FILES), "--endpoint-url", found["endpoint"]]
        command += ["--cache", str(harness.ROOT / ".cache" / "heap-bench")]
        subprocess.run(command, env={**os.environ, **environment(found)}, check=True, stdout=subprocess.DEVNULL)
        yield found
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def environment(server: dict[str, Any]) -> dict[str, str]:
    """Address and keys of the server, as environment variables of the AWS tools."""
    return {variable: server[name] for name, variable in ENVIRONMENT.items()} | {"AWS_DEFAULT_REGION": "us-east-1"}


def reading_of(url: str, keys: dict[str, Any], folder: Path, stream: str = TABLE) -> Reading:
    """The connector on a bucket."""
    credentials = {
        "auth_type": "keys",
        "aws_access_key_id": keys["access_key"],
        "aws_secret_access_key": keys["secret_key"],
    }
    bucket = BUCKET if "kind" in keys else DEFAULT_BUCKET
    config = {"bucket": bucket, "endpoint_url": url, "credentials": credentials}
    return Reading("source-heap", stream, harness.write_json(folder / "config.json", config), url)


@contextmanager
def bucket(stream: str, *arguments: str) -> Iterator[Reading]:
    """The connector on a bucket of the simulators, which counts requests."""
    keys = {"access_key": "AKIABENCH", "secret_key": "not-checked"}
    server = [sys.executable, str(DRIVERS / "bucket.py"), *arguments]
    with harness.listening(server) as (url, _), tempfile.TemporaryDirectory() as name:
        yield reading_of(url, keys, Path(name), stream=stream)


def file_sizes(plan: Plan) -> Curve:
    """Memory over rows and files, and with values that the compiled decoder leaves to the reference decoder."""
    most = plan.size(1_000_000, 4_000)
    sizes = [(plan.size(10_000, 1_000), FILES), (plan.size(100_000, 2_000), FILES), (most, FILES), (most, 1)]
    sizes = plan.few(sizes)
    points = [
        point("source-heap", f"{rows:,} in {files}", rows, TABLE, "table", str(rows), str(files))
        for rows, files in sizes
    ]
    nested = plan.size(100_000, 1_000)
    points.append(point("nested values", f"{nested:,} nested in 1", nested, "orders", "nested", str(nested)))
    return Curve("Heap: memory over rows and files", "memory", "rows in files", points)


def point(series: str, label: str, x: int, stream: str, *arguments: str) -> Point:
    """One read of a bucket."""
    with bucket(stream, *arguments) as reading:
        chosen = harness.catalog("source-heap", reading.config, [stream], reading.folder)
        harness.clear_requests(reading.url)
        cost = measure(f"source-heap {stream}", reading.command(chosen), harness.RECORD)
        return Point(series, label, x, cost, len(harness.logged_requests(reading.url)))


def history(plan: Plan) -> Curve:
    """Cost of a first sync and of the next one, over the dumps in the bucket. The next one finds one new dump."""
    points: list[Point] = []
    for number in (10, plan.size(4_000, 30)):
        with bucket("purchases", "dumps", str(number)) as reading:
            points += harness.history_points(reading, number, f"{number:,} dumps", lambda url=reading.url: grow(url))
    return Curve("Heap: cost over history", "history", "dumps with 10 rows each", points)


def grow(url: str) -> None:
    """Adds a dump to the bucket."""
    body = json.dumps({"name": "grow"}).encode()
    urllib.request.urlopen(f"{url}/_sim/mutate", data=body).close()  # noqa: S310 - loopback


def run_tap(section: Section, server: dict[str, Any], rows: int) -> None:
    """Measures tap-heap on the same files."""
    command = [str(DRIVERS / "drive_tap_heap.py"), BUCKET]
    peer_line(section, "tap-heap 1.4.0", python_with(TAP), command, b'"type": "RECORD"', rows, environment(server))


def run_source_s3(section: Section, server: dict[str, Any], folder: Path, rows: int) -> None:
    """Measures Airbyte's source-s3 on the same files.

    It is given a schema: it cannot infer one from a file whose types are `["long", "null"]`, with null behind.
    """
    schema = {column.name: "integer" if column.type == "long" else "string" for column in COLUMNS}
    files = {
        "name": TABLE,
        "globs": [f"sync_*/{TABLE}/*.avro"],
        "format": {"filetype": "avro"},
        "input_schema": json.dumps(schema),
    }
    config = {
        "bucket": BUCKET,
        "endpoint": server["endpoint"],
        "aws_access_key_id": server["access_key"],
        "aws_secret_access_key": server["secret_key"],
        "streams": [files],
    }
    file = harness.write_json(folder / "s3_config.json", config)
    stream: dict[str, Any] = {
        "name": TABLE,
        "json_schema": {"type": "object"},
        "supported_sync_modes": ["full_refresh"],
    }
    configured: Sequence[Any] = [
        {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"},
    ]
    chosen = harness.write_json(folder / "s3_catalog.json", {"streams": configured})
    python = python_with(SOURCE_S3, SMART_OPEN)
    program = str(python.parent / "source-s3") if python else ""
    command = [program, "read", "--config", str(file), "--catalog", str(chosen)]
    env = environment(server)
    peer_line(section, SOURCE_S3.replace("==", " "), python, command, harness.RECORD, rows, env)
