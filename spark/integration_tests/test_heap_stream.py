"""`spark.readStream.format("heap")`: queries with a checkpoint, sinks that fail, limits, restarts.

That every step of every scenario is read is tested in `unit_tests/test_heap_offsets.py`, which calls the reader as
Spark does; here are the cases that Spark itself has a part in.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.errors import StreamingQueryException
from simulators.heap.account import Account, full, more
from simulators.heap.scenarios import Step, scenario

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from conftest import Bucket

TABLE = "sessions"


class Sink:
    """Keeps whole batches by their number, as a transactional sink does. Raises once in the batch `fails`."""

    def __init__(self, fails: int | None = None) -> None:
        self.batches: dict[int, list[dict[str, Any]]] = {}
        self.fails = fails

    def __call__(self, rows: DataFrame, number: int) -> None:
        """For `foreachBatch`."""
        found = [row.asDict() for row in rows.collect()]
        if number == self.fails:
            self.fails = None
            raise RuntimeError("the sink is full")
        self.batches.setdefault(number, found)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows."""
        return [row for batch in self.batches.values() for row in batch]

    def live(self, generation: int) -> Counter[int]:
        """The ids of the rows of a generation."""
        return Counter(row["event_id"] for row in self.rows if row["_heap_generation"] == generation)


class Streams:
    """Queries from one checkpoint."""

    def __init__(self, spark: SparkSession, bucket: Bucket, folder: Path) -> None:
        self._spark, self._bucket, self.checkpoint = spark, bucket, folder / "checkpoint"

    def start(self, sink: Callable[[DataFrame, int], None], trigger: dict[str, Any], **options: str) -> StreamingQuery:
        """A query."""
        load = self._spark.readStream.format("heap").options(**self._bucket.options(**options)).load(TABLE)
        writer = load.writeStream.foreachBatch(sink).option("checkpointLocation", str(self.checkpoint))
        return writer.trigger(**trigger).start()

    def run(self, sink: Sink, **options: str) -> list[int]:
        """A query that reads what is there. Returns the rows of each of its batches."""
        before = len(sink.batches)
        query = self.start(sink, {"availableNow": True}, **options)
        query.awaitTermination()
        return [len(rows) for _, rows in sorted(sink.batches.items())][before:]

    def offsets(self) -> list[dict[str, Any]]:
        """The offsets in the checkpoint, by batch."""
        files = sorted((path for path in (self.checkpoint / "offsets").glob("[0-9]*")), key=lambda path: int(path.name))
        return [json.loads(path.read_text().splitlines()[-1]) for path in files]


@pytest.fixture
def streams(spark: SparkSession, bucket: Bucket, tmp_path: Path) -> Streams:
    """Queries of one bucket with one checkpoint."""
    return Streams(spark, bucket, tmp_path)


def truth(step: Step) -> Counter[int]:
    """The ids of the live rows."""
    return Counter(row.values["event_id"] for row in step.live[TABLE].rows)


@pytest.mark.oldest
def test_a_new_query_at_each_step_goes_on_from_the_checkpoint(streams: Streams, bucket: Bucket) -> None:
    sink = Sink()
    for step in scenario("resync_in_the_middle"):
        bucket.server.apply(step)
        streams.run(sink)
        assert sink.live(step.live[TABLE].generation) == truth(step)
    assert len({(row["_heap_file"], row["_heap_position"], row["_heap_generation"]) for row in sink.rows}) == len(
        sink.rows
    )


def test_a_sink_that_fails_gets_its_batch_again_and_no_row_twice(streams: Streams, bucket: Bucket) -> None:
    account = Account()
    bucket.server.put(account.dump(100, {TABLE: full(30, files=3)}).objects())
    bucket.server.put(account.dump(101, {TABLE: more(10, files=2, repeated=0)}).objects())
    sink = Sink(fails=1)
    with pytest.raises(StreamingQueryException, match="the sink is full"):
        streams.run(sink, maxFilesPerTrigger="1")
    assert list(sink.batches) == [0]
    assert streams.run(sink, maxFilesPerTrigger="2") == [10, 15, 5]  # the second batch is as it was planned
    assert Counter(row["_heap_position"] >> 32 for row in sink.rows) == {0: 15, 1: 15, 2: 10}
    assert len({row["event_id"] for row in sink.rows}) == len(sink.rows) == 40
    assert streams.run(sink) == []


def test_a_batch_whose_manifest_is_gone_is_not_replaced_by_what_is_there_now(streams: Streams, bucket: Bucket) -> None:
    account = Account()
    bucket.server.put(account.dump(100, {TABLE: full(10)}).objects())
    sink = Sink(fails=1)
    streams.run(sink)
    for dump_id in (101, 102):
        bucket.server.put(account.dump(dump_id, {TABLE: more(10)}).objects())
    with pytest.raises(StreamingQueryException):
        streams.run(sink)
    bucket.server.delete(["manifests/sync_101.json"])
    bucket.server.put(account.dump(103, {TABLE: more(10)}).objects())
    with pytest.raises(StreamingQueryException, match="the manifests of dumps 101 are gone"):
        streams.run(sink)
    assert list(sink.batches) == [0]


def test_a_query_that_runs_on_reads_dumps_as_they_come(streams: Streams, bucket: Bucket) -> None:
    account = Account()
    bucket.server.put(account.dump(100, {TABLE: full(10, files=2)}).objects())
    sink = Sink()
    query = streams.start(sink, {"processingTime": "0 seconds"}, maxFilesPerTrigger="1")
    try:
        wait_for(lambda: len(sink.rows) == 10, query)
        assert len(sink.batches) == 2
        bucket.server.put(account.dump(101, {TABLE: more(7, repeated=0)}).objects())
        wait_for(lambda: len(sink.rows) == 17, query)
        lists = sum("list-type" in request.query for request in bucket.server.requests)
        assert lists < 10  # S3 charges for them, and Spark asks all the time
    finally:
        query.stop()
    assert len(sink.batches) == 3


def wait_for(condition: Callable[[], bool], query: StreamingQuery) -> None:
    """Waits a minute at most."""
    end = time.monotonic() + 60
    while not condition():
        assert query.isActive, query.exception()
        assert time.monotonic() < end
        time.sleep(0.1)
