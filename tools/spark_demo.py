"""`make spark-demo`: Spark reads a table of a simulated Heap bucket into Parquet, by batch and as a stream.

Between two runs of the stream Heap exports the whole table again, without some rows that were deleted. So the second
run brings all others once more, in a new generation. The live rows of the stream are those of the newest generation.
They equal those of the batch.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from java import NEEDED, has_java
from product_analytics_spark import register
from simulators.heap.account import Account, full, more
from simulators.heap.catalog import PAGEVIEWS
from simulators.heap.s3_server import BucketServer
from simulators.heap.scenarios import Step
from simulators.heap.scenarios.builder import ScenarioBuilder
from test_kit.spark import local_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).resolve().parent.parent
FILES = 4


def steps(bucket: str, rows: int) -> list[Step]:
    """A first dump and an increment; then the table in full again, a tenth of it deleted, and an increment."""
    account = Account(bucket=bucket)
    few = max(1, rows // 10)
    builder = ScenarioBuilder(account)
    first = account.dump(100, {PAGEVIEWS: full(rows, files=FILES)})
    builder.step("a full export and an increment", first, account.dump(101, {PAGEVIEWS: more(few)}))
    again = account.dump(102, {PAGEVIEWS: full(few, files=FILES, kept=0.9)})
    return builder.step("exported again", again, account.dump(103, {PAGEVIEWS: more(few)})).steps


class Demo:
    """One table of a bucket, and the folders into which Spark writes it."""

    def __init__(self, spark: SparkSession, server: BucketServer, folder: Path) -> None:
        self._spark, self._server, self._folder = spark, server, folder
        self._options = {
            "bucket": server.bucket,
            "endpoint_url": server.url,
            "aws_access_key_id": "AKIASIMULATED",
            "aws_secret_access_key": "not-checked",
        }

    @property
    def batch_folder(self) -> str:
        return str(self._folder / "batch")

    @property
    def stream_folder(self) -> str:
        return str(self._folder / "stream")

    def batch(self) -> None:
        """All live rows, once."""
        rows = self._spark.read.format("heap").options(**self._options).load(PAGEVIEWS)
        rows.write.mode("overwrite").parquet(self.batch_folder)

    def stream(self) -> None:
        """What is new since the last call, from the checkpoint."""
        rows = self._spark.readStream.format("heap").options(**self._options).load(PAGEVIEWS)
        writer = rows.writeStream.option("checkpointLocation", str(self._folder / "checkpoint"))
        writer.trigger(availableNow=True).start(self.stream_folder).awaitTermination()

    def parquet(self, folder: str) -> DataFrame:
        return self._spark.read.parquet(folder)

    def report(self, what: str, folder: str, read: Callable[[], None]) -> DataFrame:
        """Reads, prints rows and seconds, and returns the live rows in the folder."""
        before = self.parquet(folder).count() if Path(folder).exists() else 0
        began = time.monotonic()
        read()
        seconds = time.monotonic() - began
        rows = self.parquet(folder)
        newest = rows.selectExpr("max(_heap_generation)").first()[0]
        live = rows.where(rows["_heap_generation"] == newest)
        count = rows.count()
        new = count if folder == self.batch_folder else count - before
        say(f"{what:<46} {new:>8} rows in {seconds:5.1f} s; live in {folder}: {live.count()}")
        return live


def main() -> int:
    """Runs the demo. The exit code is 0 if both ways end with the rows that the bucket has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo" / "spark", help="where the Parquet goes")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the first full export")
    arguments = parser.parse_args()
    if not has_java():
        sys.exit(f"Spark needs {NEEDED}.")
    shutil.rmtree(arguments.folder, ignore_errors=True)
    with BucketServer() as server, local_session("local[2]", {"spark.log.level": "ERROR"}) as spark:
        register(spark)
        say(f"Spark {spark.version} reads the table {PAGEVIEWS} of the simulated bucket {server.bucket}")
        first, second = steps(server.bucket, arguments.rows)
        demo = Demo(spark, server, arguments.folder)
        server.apply(first)
        demo.report("batch", demo.batch_folder, demo.batch)
        demo.report("stream, first run", demo.stream_folder, demo.stream)
        server.apply(second)
        say("Heap exports the whole table again, without some deleted rows, and then an increment")
        batch = demo.report("batch", demo.batch_folder, demo.batch)
        stream = demo.report("stream, second run from its checkpoint", demo.stream_folder, demo.stream)
        differing = batch.exceptAll(stream.select(batch.columns)).count() + abs(batch.count() - stream.count())
        truth = len(server.truth(PAGEVIEWS))
        equal = not differing and batch.count() == truth
        say(f"The bucket has {truth} live rows; batch and stream {'have the same' if equal else 'DIFFER from them'}.")
    return 0 if equal else 1


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
