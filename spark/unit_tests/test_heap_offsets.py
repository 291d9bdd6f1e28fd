"""Streams of Heap's tables, called as Spark 4.3 calls them, without Spark: rows, offsets, restarts."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from product_analytics_spark.errors import ConnectorError
from product_analytics_spark.heap import stream as stream_module
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import plan, read, table_columns
from product_analytics_spark.heap.stream import HeapStreamReader
from simulators.heap.account import Account, Part, full, more
from simulators.heap.avro_files import Column
from simulators.heap.layout import Dump
from simulators.heap.replay import replay
from simulators.heap.s3_server import BucketServer
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
            partitions = travelled(reader.partitions(start, end))
            self.batches.append([row for partition in partitions for row in self.rows_in(partition)])
            self.committed += 1
        return reader

    def rows_in(self, partition: Any) -> Iterator[Row]:
        """As in a task."""
        for batch in travelled(self.reader()).read(partition):
            yield from rows_of(batch.to_pylist())


def travelled(value: Any) -> Any:
    """A copy, as Spark makes one for another process."""
    return pickle.loads(pickle.dumps(value))


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


#: The most files of a batch, by step; queries may change it at any time
LIMITS: Sequence[dict[str, str]] = ({"maxFilesPerTrigger": "1"}, {}, {"maxFilesPerTrigger": "3"})
#: Scenarios with thousands of files or dumps
LARGE = {"three_thousand_files", "many_files_in_a_dump", "more_than_a_thousand_manifests"}
#: Its manifest comes again with the same files, so rows of tables that were whole come twice
TWICE = {"missing_incremental_flag"}


def follow(server: BucketServer, steps: Sequence[Step], table: str, limits: Sequence[dict[str, str]] = LIMITS) -> None:
    """A new query at each step of a scenario."""
    stream = Stream(server, table)
    access = stream.options
    for number, step in enumerate(steps):
        stream.options = {**access, **limits[number % len(limits)]}
        server.apply(step)
        if table in step.fails:
            with pytest.raises((ConnectorError, AirbyteTracedException)):  # the latter where no schema is found
                stream.run()
        elif table in step.live:
            stream.run()
            assert_live(stream, step)
            assert stream.reader().latestOffset(json.loads(stream.offsets[-1])) == json.loads(stream.offsets[-1])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.soak) if name == "three_thousand_files" else name for name in SCENARIOS],
)
def test_every_step_of_every_scenario_is_read_once(name: str, server: BucketServer) -> None:
    steps = scenario(name)
    tables = {table for step in steps for table in step.live}
    limits = [{"maxFilesPerTrigger": "700", "files_per_partition": "100"}] if name in LARGE else LIMITS
    follow(server, steps, "sessions" if "sessions" in tables else max(tables), limits)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted({*SCENARIOS} - LARGE - TWICE))
def test_every_table_of_every_scenario_is_read_once(name: str) -> None:
    steps = scenario(name)
    for table in {table for step in steps for table in step.live}:
        with BucketServer() as server:
            follow(server, steps, table, LIMITS[2:])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(30))
def test_every_step_of_a_random_history_is_read_once(seed: int, server: BucketServer) -> None:
    follow(server, random_history(seed), "sessions")


class History:
    """A bucket whose dumps a test puts there one by one. `late` is one that was made and is not there yet."""

    def __init__(self, server: BucketServer) -> None:
        self.server, self.account = server, Account()
        self.dumps: dict[int, Dump] = {}
        self.late: Dump | None = None

    def make(self, dump_id: int, part: Part) -> Dump:
        """A dump of sessions, which is not in the bucket yet."""
        return self.account.dump(dump_id, {"sessions": part})

    def put(self, *dumps: Dump) -> None:
        """Dumps arrive."""
        self.dumps |= {dump.id: dump for dump in dumps}
        self.server.put([item for dump in dumps for item in dump.objects()])

    @property
    def now(self) -> Step:
        """The bucket as it is."""
        dumps = [self.dumps[dump_id] for dump_id in sorted(self.dumps)]
        return Step("", (), (), replay(dumps), {}, tuple(dumps))


@pytest.fixture
def history(server: BucketServer) -> History:
    """A bucket with a full dump."""
    history = History(server)
    history.put(history.make(100, full(10)))
    return history


@pytest.fixture
def stream(history: History) -> Stream:
    """A stream that has read the first dump, and was interrupted in a batch of dumps 101, in two files, and 103."""
    stream = Stream(history.server, "sessions")
    stream.run()
    late = history.make(102, more(6))
    history.put(history.make(101, more(8, files=2)), history.make(103, more(4)))
    history.late = late
    stream.run(most_batches=0)
    return stream


def dumps_of(batch: Sequence[Row]) -> list[int]:
    """The dumps of a batch's rows."""
    return sorted({row[1] for row in batch})


def test_an_interrupted_batch_has_the_same_files_whatever_came_since(history: History, stream: Stream) -> None:
    history.put(history.late, history.make(104, more(5)))
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [101, 103], [102, 104]]
    assert_live(stream, history.now)


def test_a_late_full_dump_waits_for_the_batch_behind_the_interrupted_one(history: History) -> None:
    stream = Stream(history.server, "sessions")
    stream.run()
    late = history.make(101, full(6))
    history.put(history.make(102, more(5)))
    stream.run(most_batches=0)
    history.put(late)
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [102], [101, 102]]
    assert_live(stream, history.now)


def test_a_dump_that_is_delivered_again_meanwhile_is_read_by_the_next_batch(history: History, stream: Stream) -> None:
    before = history.dumps[101]
    history.put(history.account.rewritten(before, "again"))
    history.server.delete([file.key for file in before.files()])
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [103], [101]]
    assert_live(stream, history.now)


def test_a_manifest_that_is_gone_ends_the_stream_with_a_sentence(history: History, stream: Stream) -> None:
    history.server.delete([history.dumps.pop(101).manifest_key])
    history.put(history.make(104, more(5)))
    with pytest.raises(ConnectorError) as caught:
        stream.run()
    assert str(caught.value).partition("\n")[2] == (
        "The stream of sessions was interrupted within a batch that ends in dump 103 and had 3 files. The manifests in "
        "the bucket name 1 of them now; the manifests of dumps 101 are gone. Restore the manifests, or start the query "
        "with a new checkpoint, which reads the whole table again; or set on_missing_file to skip to go on without "
        "these rows."
    )
    stream.options["on_missing_file"] = "skip"
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [103], [104]]
    assert_live(stream, history.now)


def test_a_second_delivery_that_is_gone_is_named_although_another_dump_is_read_later(history: History) -> None:
    """A dump that the start has read came again, was planned, and vanished."""
    again, other = history.make(101, more(3)), history.make(102, more(4))
    stream = Stream(history.server, "sessions")
    history.put(again, other)
    stream.run()
    history.put(history.account.rewritten(again, "again"), history.account.rewritten(other, "again"))
    stream.run(most_batches=0)
    history.server.delete([again.manifest_key])
    history.put(history.account.rewritten(other, "twice"))
    with pytest.raises(ConnectorError, match=r"name 0 of them now; the manifests of dumps 101 are gone\."):
        stream.run()


def test_a_full_dump_repairs_a_stream_that_was_interrupted_by_a_lost_file(history: History, stream: Stream) -> None:
    history.server.delete([next(history.dumps[101].files()).key])
    with pytest.raises(ConnectorError, match="does not exist"):
        stream.run()
    history.put(history.make(104, full(5)))
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [], [104]]
    assert_live(stream, history.now)


def test_a_batch_may_have_more_files_after_a_restart_than_it_was_planned_with(history: History) -> None:
    """Many dumps of one day are read, and one of them comes again after a batch of the next day was interrupted.

    Then it is open which of them the start of this batch had read, so it reads some again.
    """
    stream = Stream(history.server, "sessions")
    many = [history.make(dump_id, more(1)) for dump_id in range(101, 161)]
    history.put(*many)
    stream.run()
    history.server.clock += timedelta(days=1)
    history.put(history.make(161, more(2)))
    stream.run(most_batches=0)
    history.put(history.account.rewritten(many[30], "again"))
    stream.run()
    assert len(dumps_of(stream.batches[1])) > 1
    assert dumps_of(stream.batches[2]) == [many[30].id]
    truth = {tuple(row.values.get(name) for name in IDS) for row in history.now.live["sessions"].rows}
    assert {row[4:] for row in stream.rows} == truth


def test_a_checkpoint_of_another_bucket_is_refused(history: History, stream: Stream) -> None:
    with BucketServer("heap-rs3-other") as other:
        other.put([item for dump in history.dumps.values() for item in dump.objects()])
        stream.options |= {"bucket": other.bucket, "endpoint_url": other.url}
        with pytest.raises(ConnectorError, match=r"belongs to the bucket heap-rs3-acme.* new checkpoint\.$"):
            stream.run()


def test_dumps_that_come_while_a_query_runs_are_left_for_the_next_one(history: History) -> None:
    stream = Stream(history.server, "sessions", maxFilesPerTrigger="1")
    history.put(history.make(101, more(6, files=2)))
    answer = history.server.answer

    def busy(request: Any) -> Any:
        """Each time a file is read, a new dump comes."""
        if request.path.endswith(".avro") and "range" not in request.headers:
            history.put(history.make(max(history.dumps) + 1, more(2)))
        return answer(request)

    history.server.answer = busy  # type: ignore[method-assign]
    stream.run()
    assert [dumps_of(batch) for batch in stream.batches] == [[100], [101], [101]]
    history.server.answer = answer  # type: ignore[method-assign]
    stream.run()
    assert_live(stream, history.now)


@pytest.mark.parametrize("limits", [[{}], [{"maxFilesPerTrigger": "5"}]])
def test_many_late_dumps_lose_no_row(history: History, limits: list[dict[str, str]]) -> None:
    stream = Stream(history.server, "sessions", **limits[0])
    late = [history.make(dump_id, more(2)) for dump_id in range(101, 120)]
    history.put(*(history.make(dump_id, more(2)) for dump_id in range(120, 180)))
    stream.run()
    history.put(*late)
    history.put(history.make(180, more(2)))
    stream.run()
    live = {row[4:] for row in stream.rows}
    assert live == {tuple(row.values.get(name) for name in IDS) for row in history.now.live["sessions"].rows}
    assert stream.run().latestOffset(json.loads(stream.offsets[-1])) == json.loads(stream.offsets[-1])


@pytest.mark.parametrize("asks_first", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "resync_in_the_middle",
        "empty_resync",
        "late_lower_id",
        "redelivered_manifest",
        "very_late_full_dump",
        "no_full_dump_ever",
    ],
)
def test_calls_without_arguments_read_the_same_rows(name: str, asks_first: bool, server: BucketServer) -> None:
    """As Spark 4.0 and 4.1 call, whether they name the offset of the checkpoint before or not."""
    stream = Stream(server, "sessions")
    for step in scenario(name):
        server.apply(step)
        stream.schema = table_columns(stream.load.config, "sessions")
        reader = stream.reader()
        start = json.loads(stream.offsets[-1]) if stream.offsets else reader.initialOffset()
        if not asks_first:
            assert reader.partitions(start, start) == []
        end = json.loads(json.dumps(reader.latestOffset()))
        partitions = reader.partitions(start, end)
        stream.batches.append([row for partition in partitions for row in stream.rows_in(partition)])
        stream.offsets.append(json.dumps(end))
        assert_live(stream, step)


def test_columns_that_come_while_a_query_runs_are_named_in_the_log(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream(history.server, "sessions")
    stream.run()
    reader = stream.reader()
    history.put(history.make(101, more(3, add=(Column("coupon"),))))
    start = json.loads(stream.offsets[-1])
    reader.partitions(start, reader.latestOffset(start))
    assert "has columns that this query does not have and leaves out: coupon." in caplog.text


def test_a_limit_that_spark_does_not_know_is_named_in_the_log(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    Stream(history.server, "sessions", maxFilesPerTrigger="1").reader().latestOffset()
    assert "maxFilesPerTrigger has no effect before Spark 4.2" in caplog.text


def test_a_stream_that_lists_again_keeps_its_client(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client costs a quarter of a second, and a role that it assumes a request; listings come every few seconds."""
    reader, made = Stream(history.server, "sessions").reader(), list[Any]()
    make = stream_module.HeapBucket
    monkeypatch.setattr(stream_module, "HeapBucket", lambda config: made.append(make(config)) or made[-1])
    monkeypatch.setattr(stream_module, "_LISTING_SECONDS", -1.0)
    first = reader.latestOffset()
    history.put(history.make(101, more(3)))
    assert reader.latestOffset(first) != first
    assert len(made) == 1


def test_the_table_of_dumps_is_refused(server: BucketServer) -> None:
    with pytest.raises(AirbyteTracedException, match="cannot be read as a stream"):
        Stream(server, "_heap_dumps").reader()
