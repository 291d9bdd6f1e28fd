"""A job of its own, which a test kills: python killed_job.py <the job as JSON>. It reads a table into Parquet.

The job has `master`, `options`, `table`, `rows` (a folder), and for a stream `checkpoint`. With `pauses`, a folder, the
first task that has given its first rows writes a file `paused` there and waits for a file `go`. At its end the job
prints how many rows there are, and how many different ones.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import product_analytics_spark  # noqa: F401  # before what needs the CDK
import pyarrow as pa
import pyspark
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.source import HeapDataSource, HeapReader
from product_analytics_spark.heap.stream import HeapStreamReader
from product_analytics_spark.spark_schema import arrow_schema
from pyspark.sql.datasource import InputPartition
from pyspark.sql.types import StructType
from test_kit.spark import local_session


def paused(batches: Iterator[pa.RecordBatch], folder: str) -> Iterator[pa.RecordBatch]:
    """The batches, with a pause behind the first one, in the middle of a file."""
    yield next(batches)
    try:
        os.close(os.open(f"{folder}/paused", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        end = time.monotonic() + 120
        while not Path(folder, "go").exists() and time.monotonic() < end:
            time.sleep(0.05)
    yield from batches


class PausingReader(HeapReader):
    """A batch read that pauses."""

    pauses = ""

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return paused(super().read(partition), self.pauses)


class PausingStreamReader(HeapStreamReader):
    """A stream that pauses."""

    pauses = ""

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return paused(super().read(partition), self.pauses)


class PausingSource(HeapDataSource):
    """The format `pausing_heap`."""

    @classmethod
    def name(cls) -> str:
        return "pausing_heap"

    def reader(self, schema: StructType) -> HeapReader:
        return PausingReader(HeapLoad.of(self.options), arrow_schema(schema))

    def streamReader(self, schema: StructType) -> HeapStreamReader:
        return PausingStreamReader(HeapLoad.of(self.options), arrow_schema(schema))


def run(job: dict[str, Any]) -> None:
    """The job."""
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)  # a local cluster starts its executors from there
    spark = local_session(job["master"], {"spark.executor.memory": "1g"})
    PausingReader.pauses = PausingStreamReader.pauses = job.get("pauses", "")
    source = PausingSource if "pauses" in job else HeapDataSource
    spark.dataSource.register(source)
    reader = spark.readStream if "checkpoint" in job else spark.read
    rows = reader.format(source.name()).options(**job["options"]).load(job["table"])
    if "checkpoint" in job:
        writer = rows.writeStream.format("parquet").option("checkpointLocation", job["checkpoint"])
        writer.trigger(availableNow=True).start(job["rows"]).awaitTermination()
    else:
        rows.write.parquet(job["rows"])
    written = spark.read.parquet(job["rows"])
    sys.stdout.write(json.dumps([written.count(), written.select("_heap_position").distinct().count()]))


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
