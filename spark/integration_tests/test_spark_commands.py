"""`make spark-demo` and `make spark-bench`, in processes and Spark sessions of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]


def _output(script: str, *arguments: str) -> str:
    command = [sys.executable, ROOT / script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def test_the_demo_writes_the_live_rows_of_the_bucket_by_batch_and_by_stream(tmp_path: Path) -> None:
    printed = _output("tools/spark_demo.py", "--rows", "300", "--folder", str(tmp_path))

    counts = [int(count) for count in re.findall(r"live in .*: (\d+)$", printed, re.MULTILINE)]
    assert counts[0] == counts[1] >= 330, printed  # a first export and an increment
    assert counts[2] == counts[3] != counts[0], printed
    assert f"The bucket has {counts[3]} live rows; batch and stream have the same." in printed
    with duckdb.connect() as tables:
        batch, stream = (
            tables.sql(
                "select _heap_generation, count(*), count(distinct (_heap_dump_id, _heap_position)) "
                f"from '{tmp_path}/{way}/*.parquet' group by 1 order by 1"
            ).fetchall()
            for way in ("batch", "stream")
        )
    assert batch == [(102, counts[3], counts[3])]
    assert stream == [(100, counts[0], counts[0]), (102, counts[3], counts[3])]


@pytest.mark.soak
def test_the_benchmark_prints_its_figures() -> None:
    printed = _output("benchmarks/spark.py", "--rows", "800", "--repeat", "1")

    for name in ("connector", "one core", "two cores", "Python's CPU", "wall of", "largest Python process"):
        assert re.search(rf"^{name}.* \d+\.?\d*", printed, re.MULTILINE), printed
