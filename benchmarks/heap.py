"""source-heap: a table of 34 columns, half null, 1,000,000 rows in 16 snappy files, compared with fastavro and
orjson."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
from measure import Cost, measure
from test_kit.command import run_process

ROWS = 1_000_000
FILES = 16
BUCKET = "heap-rs3-bench"
REFERENCE = harness.ROOT / "benchmarks" / "drivers" / "drive_fastavro.py"


def run(repeat: int) -> bool:
    """Runs and prints the benchmark. True if its goals are met."""
    with dumps() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configs = {workers: write_config(folder, server, workers) for workers in (1, 2)}
        table = harness.catalog("source-heap", configs[2], [data_table(configs[2])], folder)
        reads = {
            workers: [
                harness.run_connector("source-heap", config, table, f"source-heap, num_workers {workers}")
                for _ in range(repeat)
            ]
            for workers, config in configs.items()
        }
        walls: dict[int, list[float]] = {workers: [] for workers in configs}
        for _ in range(repeat):
            for workers, config in configs.items():
                walls[workers].append(harness.wall_seconds_of_connector("source-heap", config, table))
        start = harness.start_cpu_of_connector("source-heap", configs[2], folder)
        nothing = folder / "empty_catalog.json"
        start_wall = min(harness.wall_seconds_of_connector("source-heap", configs[2], nothing) for _ in range(3))
        reference = run_reference(server, folder)
    one, two = (harness.best(reads[workers]) for workers in (1, 2))
    wall = {workers: min(seconds) for workers, seconds in walls.items()}
    print(
        f"start: {start:.2f} CPU s, {start_wall:.2f} s wall; with output to /dev/null: "
        f"one worker {wall[1]:.2f} s wall, two workers {wall[2]:.2f} s, {wall[1] / wall[2]:.2f} times as fast"
    )
    goals = {
        "rows per CPU second, start included, divided by 100,000": (two.records_per_cpu_second / 100_000, 1.0),
        "wall seconds of reading with one worker, divided by those with two": (
            (wall[1] - start_wall) / (wall[2] - start_wall),
            1.7,
        ),
        "memory limit divided by peak memory": (harness.MEMORY_LIMIT / two.peak_memory, 1.0),
    }
    return harness.report(f"Heap: {ROWS:,} rows of 34 columns in {FILES} files", [two, one, reference], goals)


@contextmanager
def dumps() -> Iterator[dict[str, Any]]:
    """Writes the dump to an S3 server: Ceph if it is installed, else moto. Yields address and keys of the server."""
    server = harness.ROOT / "integration_tests" / "s3" / "s3_servers.py"
    process = subprocess.Popen([sys.executable, str(server)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = json.loads(process.stdout.readline())
        command = [sys.executable, "-m", "simulators", "heap", "--out", f"s3://{BUCKET}", "--rows", str(ROWS)]
        subprocess.run(
            [*command, "--files", str(FILES), "--endpoint-url", found["endpoint"], "--cache", ".cache/heap-bench"],
            env={**os.environ, **environment(found)},
            check=True,
        )
        yield found
    finally:
        process.terminate()
        process.wait()


def environment(server: dict[str, Any]) -> dict[str, str]:
    """The keys of the server, as environment variables of the AWS tools."""
    return {
        "AWS_ACCESS_KEY_ID": server["access_key"],
        "AWS_SECRET_ACCESS_KEY": server["secret_key"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def write_config(folder: Path, server: dict[str, Any], workers: int) -> Path:
    """Writes the configuration for a number of workers."""
    credentials = {
        "auth_type": "keys",
        "aws_access_key_id": server["access_key"],
        "aws_secret_access_key": server["secret_key"],
    }
    config = {"bucket": BUCKET, "endpoint_url": server["endpoint"], "credentials": credentials, "num_workers": workers}
    return harness.write_json(folder / f"config{workers}.json", config)


def data_table(config: Path) -> str:
    """The name of the table with the rows."""
    command = [str(harness.BIN / "source-heap"), "discover", "--config", str(config)]
    streams = run_process(command).succeeded().catalog["streams"]
    return next(str(stream["name"]) for stream in streams if not stream["name"].startswith("_"))


def run_reference(server: dict[str, Any], folder: Path) -> Cost:
    """Measures fastavro and orjson on the same files."""
    files = harness.write_json(folder / "server.json", {**server, "bucket": BUCKET})
    return measure("fastavro + orjson.dumps", [sys.executable, str(REFERENCE), str(files)], harness.RECORD)
