"""Processes that are killed in the middle of a file: every row is there, and none twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulators.heap.bench_table import TABLE, BenchTable

if TYPE_CHECKING:
    from conftest import Bucket

pytestmark = pytest.mark.timeout(900)

#: Three files, each of several batches of rows that Spark gets
ROWS = 60_000
_JOB = Path(__file__).with_name("killed_job.py")


@pytest.fixture(scope="module")
def big_table() -> BenchTable:
    """The table of the benchmark, smaller."""
    return BenchTable(rows=ROWS, files=3)


@pytest.fixture
def job(bucket: Bucket, big_table: BenchTable, tmp_path: Path) -> dict[str, Any]:
    """A job that pauses in its first file."""
    bucket.server.put([*big_table.data_objects(), big_table.manifest(bucket.server.bucket)])
    (tmp_path / "pauses").mkdir()
    return {
        "options": bucket.options(columns="user_id,path"),
        "table": TABLE,
        "rows": str(tmp_path / "rows"),
        "pauses": str(tmp_path / "pauses"),
    }


def children(parent: int) -> dict[int, str]:
    """The processes below a process, with their command lines."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = above, (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended meanwhile
            continue
    below, every = {parent}, {}
    while more := {pid: line for pid, (above, line) in found.items() if above in below and pid not in every}:
        below, every = {*more}, every | more
    return every


def wait_for_pause(job: dict[str, Any], process: subprocess.Popen[bytes]) -> None:
    """Until a task waits in the middle of a file; long, since a busy machine starts Spark slowly."""
    end = time.monotonic() + 240
    while not (Path(job["pauses"]) / "paused").exists():
        assert process.poll() is None, "the job has ended; its errors are above"
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def started(job: dict[str, Any], master: str) -> Iterator[subprocess.Popen[bytes]]:
    """A job in a process of its own; killed at the end, with all that it started."""
    command = [sys.executable, str(_JOB), json.dumps({**job, "master": master})]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            for pid in (*children(process.pid), process.pid):
                kill(pid)


def kill(pid: int) -> None:
    """Kills a process, if it is there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def assert_whole(process: subprocess.Popen[bytes]) -> None:
    """The job ends, and each row of each file is there once."""
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0
    assert json.loads(output) == [ROWS, ROWS]


def kill_and_go_on(
    job: dict[str, Any], process: subprocess.Popen[bytes], times: int, victims: Callable[[], list[int]]
) -> None:
    """Kills some processes each time that a task pauses, then lets the job go on."""
    for _ in range(times):
        wait_for_pause(job, process)
        found = victims()
        assert found
        (Path(job["pauses"]) / "paused").unlink()
        for pid in found:
            kill(pid)
    wait_for_pause(job, process)  # another attempt is in the middle of a file
    (Path(job["pauses"]) / "go").touch()


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_python_workers_are_killed_within_a_file(times: int, job: dict[str, Any]) -> None:
    with started(job, "local[2,4]") as process:

        def workers() -> list[int]:
            below = children(process.pid)
            daemons = [pid for pid, line in below.items() if "pyspark.daemon" in line]
            return [pid for pid in daemons if any(pid in children(other) for other in daemons)]

        kill_and_go_on(job, process, times, workers)
        assert_whole(process)


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_executors_are_killed_within_a_file(times: int, job: dict[str, Any]) -> None:
    with started(job, "local-cluster[2,1,1024]") as process:

        def executors() -> list[int]:
            return [pid for pid, line in children(process.pid).items() if "CoarseGrainedExecutorBackend" in line]

        kill_and_go_on(job, process, times, executors)
        assert_whole(process)


def test_a_stream_whose_driver_is_killed_goes_on_with_another_number_of_cores(
    job: dict[str, Any], tmp_path: Path
) -> None:
    job["checkpoint"] = str(tmp_path / "checkpoint")
    job["options"] |= {"maxFilesPerTrigger": "2"}
    with started(job, "local[1]") as process:
        wait_for_pause(job, process)
    del job["pauses"]
    job["options"] |= {"maxFilesPerTrigger": "1", "files_per_partition": "2"}
    with started(job, "local[2]") as process:
        assert_whole(process)
