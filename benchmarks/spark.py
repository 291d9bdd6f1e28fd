"""What Spark costs beside the connector: `make spark-bench`. It prints a table, and needs Java 17.

The table of the Heap benchmark (34 columns, half null) is in 8 files on a simulated S3 server, which runs in a process
of its own. Spark reads it into the sink `noop`, which throws rows away, so Spark's own writers are not in the figures.
The first query starts workers and warms the JVM up; the figures are of the best of the following ones.

All of Spark, its JVM too, runs on one core, then on two; the S3 server may run on any.

The connector is a process that writes JSON lines to /dev/null. What it and Spark's Python processes take to start and
to find the table, measured on the same table with a few rows, is taken off; the output names it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from java import NEEDED, has_java
from product_analytics_spark import register
from simulators.heap.bench_table import TABLE
from simulators.heap.layout import DEFAULT_BUCKET
from test_kit.spark import local_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
FILES, FEW = 8, 80
KEYS = {"aws_access_key_id": "AKIABENCH", "aws_secret_access_key": "not-checked"}
#: Goals: Python's CPU seconds a row beside the connector's, wall of one core beside two, MB of a worker
MOST_CPU, LEAST_SPEEDUP, MOST_MEMORY = 2.0, 1.7, 350
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of Python's processes and of the JVM, wall seconds, and the peak MB of the largest Python process.

    `start` are Python's CPU seconds for a few rows, which `python` is without.
    """

    start: float
    python: float
    jvm: float
    wall: float
    megabytes: float


@dataclass(frozen=True)
class Process:
    """A line of /proc. `own` and `children` are CPU seconds; `children` of those that have ended."""

    pid: int
    parent: int
    name: str
    own: float
    children: float


def processes() -> dict[int, Process]:
    """Every process of the machine, by id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # it has ended meanwhile
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        user, system, children_user, children_system = (int(ticks) / TICKS for ticks in rest[11:15])
        pid = int(path.parent.name)
        found[pid] = Process(pid, int(rest[1]), name, user + system, children_user + children_system)
    return found


def below(pid: int, known: dict[int, Process]) -> Iterator[Process]:
    """The process's descendants."""
    for process in known.values():
        if process.parent == pid:
            yield process
            yield from below(process.pid, known)


def spent() -> tuple[float, float]:
    """CPU seconds so far of Python's processes below this one and of the JVM. The JVM's children are Python's."""
    python = jvm = 0.0
    for process in below(os.getpid(), processes()):
        if process.name == "java":
            jvm += process.own
            python += process.children
        else:
            python += process.own + process.children
    return python, jvm


def peak_megabytes() -> float:
    """The most memory that one of Python's processes below this one has had: VmHWM of those that still run."""
    peaks = [0.0]
    for process in below(os.getpid(), processes()):
        if process.name != "java":
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
            except OSError:
                continue
            peaks.append(int(found[1]) / 1024 if found else 0.0)
    return max(peaks)


def query(spark: SparkSession, url: str) -> Cost:
    """One read of the whole table."""
    before, began = spent(), time.monotonic()
    options = {"bucket": DEFAULT_BUCKET, "endpoint_url": url, **KEYS}
    spark.read.format("heap").options(**options).load(TABLE).write.format("noop").mode("overwrite").save()
    wall, after = time.monotonic() - began, spent()
    return Cost(0.0, after[0] - before[0], after[1] - before[1], wall, peak_megabytes())


def measured(cores: int, few: str, url: str, repeat: int) -> Cost:
    """`warm` in a process of its own, so that the JVM is a new one, and the S3 server none of the processes below."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(warm, cores, few, url, repeat).result()


def warm(cores: int, few: str, url: str, repeat: int) -> Cost:
    """The best of the queries behind the first one, without what Python takes for a table of a few rows.

    All of Spark has so many cores: its JVM works beside its Python workers, so `local[1]` keeps more than one busy.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    with local_session(f"local[{cores}]", {"spark.log.level": "ERROR"}) as spark:
        register(spark)
        query(spark, url)
        start = min(query(spark, few).python for _ in range(repeat))
        costs = [query(spark, url) for _ in range(repeat)]
    best = min(costs, key=lambda cost: cost.python)
    peak = max(cost.megabytes for cost in costs)
    return Cost(start, max(best.python - start, 1 / TICKS), best.jvm, min(cost.wall for cost in costs), peak)


def connector(url: str, repeat: int) -> float:
    """The connector's CPU seconds of a full refresh; the best of some."""
    credentials = {"auth_type": "keys", **KEYS}
    config = {"bucket": DEFAULT_BUCKET, "endpoint_url": url, "credentials": credentials}
    stream = {"name": TABLE, "json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh", "incremental"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    script = Path(sys.executable).parent / "source-heap"
    with tempfile.TemporaryDirectory() as name:
        files = {"config": config, "catalog": {"streams": [chosen]}}
        command = [str(script), "read"]
        for kind, content in files.items():
            path = Path(name) / f"{kind}.json"
            path.write_text(json.dumps(content))
            command += [f"--{kind}", str(path)]
        return min(cpu_of(command) for _ in range(repeat))


def cpu_of(command: list[str]) -> float:
    """CPU seconds of a command that must succeed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        sys.exit(f"the connector failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@contextmanager
def bucket(rows: int) -> Iterator[str]:
    """The table on an S3 server. Yields its address."""
    command = [sys.executable, str(ROOT / "benchmarks/drivers/bucket.py"), "table", str(rows), str(FILES)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "listening on " not in line:
            sys.exit(f"the S3 server did not start: {line}")
        yield line.split("listening on ")[1].strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main() -> int:
    """Measures and prints. The exit code says nothing about the goals, which hold on a quiet machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if not has_java():
        sys.exit(f"Spark needs {NEEDED}.")
    rows, repeat = arguments.rows, arguments.repeat
    with bucket(FEW) as few, bucket(rows) as url:
        start = connector(few, repeat)
        alone = max(connector(url, repeat) - start, 1 / TICKS)
        one, two = measured(1, few, url, repeat), measured(2, few, url, repeat)
    million = 1_000_000 / rows
    print(
        f"{rows:,} rows of 34 columns in {FILES} files; CPU seconds are those of a million rows; "
        f"load of the machine: {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':<12} {'Python':>8} {'JVM':>8} {'wall s':>8} {'worker MB':>10}")
    print(f"{'connector':<12} {alone * million:>8.2f} {'':>8} {'':>8} {'':>10}   start, taken off: {start:.2f} CPU s")
    for name, cost in (("one core", one), ("two cores", two)):
        print(
            f"{name:<12} {cost.python * million:>8.2f} {cost.jvm * million:>8.2f} {cost.wall:>8.2f} "
            f"{cost.megabytes:>10.0f}   start, taken off: {cost.start:.2f} CPU s"
        )
    print(f"Python's CPU beside the connector's: {one.python / alone:.2f} times (at most {MOST_CPU})")
    print(f"wall of one core beside two: {one.wall / two.wall:.2f} times (at least {LEAST_SPEEDUP})")
    print(f"largest Python process: {max(one.megabytes, two.megabytes):.0f} MB (at most {MOST_MEMORY})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
