"""Streams of Heap's tables, called as Spark 4.3 calls them, without Spark: rows, offsets, restarts."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import plan, read, table_columns
from product_analytics_spark.heap.stream import HeapStreamReader
from pyspark.sql.streaming.datasource import ReadMaxFiles
from simulators.heap.account import Account, full, more
from simulators.heap.layout import Dump
from simulators.heap.s3_server import BucketServer, error_fault
from simulators.heap.scenarios import SCENARIOS, Step, random_history, scenario

KEYS = {"aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
IDS = ("event_id", "user_id", "from_user_id")
#: A row: its generation, dump, file and position, and its ids
Row = tuple[Any, ...]


@pytest.fixture
def server() -> Iterator[BucketServer]:
    """An empty bucket."""
    with BucketServer() as server:
        yield server


class Stream:
    """A query with `availableNow` into a sink that keeps whole batches, and its checkpoint."""

    def __init__(self, server: BucketServer, table: str, **options: str) -> None:
        access = {"bucket": server.bucket, "endpoint_url": server.url, **KEYS}
        self.options = {"path": table, **access, **{name.lower(): value for name, value in options.items()}}
        self.schema = pa.schema([])
        self.offsets: list[str] = []
        self.committed = 0
        self.batches: list[list[Row]] = []

    @property
    def load(self) -> HeapLoad:
        return HeapLoad.of(self.options)

    @property
    def rows(self) -> list[Row]:
        """The rows in the sink."""
        return [row for batch in self.batches for row in batch]

    @property
    def state(self) -> Mapping[str, Any]:
        """The connector's state in the last offset."""
        return json.loads(json.loads(self.offsets[-1])["state"])

    def reader(self) -> HeapStreamReader:
        """As in a new process of the driver."""
        return HeapStreamReader(self.load, self.schema)

    def run(self, most_batches: int = 1000) -> HeapStreamReader:
        """A query from the checkpoint to the end of the bucket, or until it is interrupted in the batch behind some.

        An interrupted batch has its offset in the checkpoint and no row in the sink.
        """
        self.schema = table_columns(self.load.config, self.load.table)
        reader = self.reader()
        reader.prepareForTriggerAvailableNow()
        limit = reader.getDefaultReadLimit()
        if not self.offsets:
            self.offsets.append(json.dumps(reader.initialOffset()))
        for number in range(most_batches + 1):
            if self.committed == len(self.offsets) - 1:
                end = json.dumps(reader.latestOffset(json.loads(self.offsets[-1]), limit))
                if end == self.offsets[-1]:
                    break
                self.offsets.append(end)
            if number == most_batches:
                break
            start, end = (json.loads(offset) for offset in self.offsets[-2:])
            partitions = pickle.loads(pickle.dumps(reader.partitions(start, end)))
            self.batches.append([row for partition in partitions for row in self._rows(reader, partition)])
            self.committed += 1
        return reader

    def _rows(self, reader: HeapStreamReader, partition: Any) -> Iterator[Row]:
        for batch in pickle.loads(pickle.dumps(self.reader())).read(partition):
            yield from rows_of(batch.to_pylist())


def rows_of(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What identifies each row."""
    names = ("_heap_generation", "_heap_dump_id", "_heap_file", "_heap_position", *IDS)
    return [tuple(row.get(name) for name in names) for row in rows]


def snapshot(stream: Stream) -> list[Row]:
    """The rows of a batch read now."""
    config, table = stream.load.config, stream.load.table
    batches = read(config, table, stream.schema, plan(config, table))
    return [row for one in batches for row in rows_of(one.to_pylist())]


def assert_live(stream: Stream, step: Step) -> None:
    """The rows of the newest generation in the sink are the truth, and those of a batch read, each once.

    Rows of a dump that was delivered again come again; those of the earlier delivery are not compared.
    """
    table = step.live[stream.load.table]
    assert stream.state["generation"] == table.generation
    delivered = {file.key for dump in step.dumps for file in dump.files()}
    live = [row for row in stream.rows if row[0] == table.generation and row[2] in delivered]
    truth = [tuple(row.values.get(name) for name in IDS) for row in table.rows]
    assert Counter(row[4:] for row in live) == Counter(truth)
    assert Counter(live) == Counter(snapshot(stream))


def follow(server: BucketServer, steps: Sequence[Step], table: str, **options: str) -> None:
    """A new query at each step of a scenario."""
    stream = Stream(server, table, **options)
    for step in steps:
        server.apply(step)
        if table in step.fails:
            with pytest.raises(AirbyteTracedException):
                stream.run()
        elif table in step.live:
            stream.run()
            assert_live(stream, step)
            count = len(stream.offsets)
            stream.run()
            assert len(stream.offsets) == count  # no empty batches for ever


@pytest.mark.parametrize("most", ["1", "1000"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_step_of_every_scenario_is_read_once(name: str, most: str, server: BucketServer) -> None:
    steps = scenario(name)
    tables = {table for step in steps for table in step.live}
    follow(server, steps, "sessions" if "sessions" in tables else max(tables), maxFilesPerTrigger=most)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_table_of_every_scenario_is_read_once(name: str) -> None:
    steps = scenario(name)
    for table in {table for step in steps for table in step.live}:
        with BucketServer() as server:
            follow(server, steps, table, maxFilesPerTrigger="3")
