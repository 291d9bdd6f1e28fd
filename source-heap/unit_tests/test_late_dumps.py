"""Dumps whose manifests come after those of far newer dumps: read however late, and the live view is the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from heap_world import EVENT, Heap, Warehouse, put_manifest
from simulators.heap.avro_files import encode
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import error_fault
from source_heap.plan import LATE_DUMPS
from source_heap.table_state import RECENT_DUMPS
from test_kit.messages import records, states

FULL, MORE = False, True


class Bucket:
    """Dumps of the table `event`, and what is live of them. A dump without ids has another table only."""

    def __init__(self, heap: Heap) -> None:
        self.heap = heap
        self.dumps: dict[int, tuple[Sequence[int], bool]] = {}

    def put(self, dump_id: int, ids: Sequence[int] = (), incremental: bool = MORE) -> None:
        """Stores a dump, an hour after the one before."""
        self.put_all({dump_id: (ids, incremental)})

    def put_all(self, dumps: dict[int, tuple[Sequence[int], bool]]) -> None:
        """Stores dumps at one time."""
        self.dumps |= dumps
        self.heap.server.put(item for dump_id, (ids, more) in dumps.items() for item in _objects(dump_id, ids, more))

    def run_on(self, numbers: Iterable[int]) -> None:
        """Stores increments at one time, of which every tenth has an event."""
        self.put_all({number: ([number] if number % 10 == 0 else [], MORE) for number in numbers})

    def generation(self) -> int:
        """The last full dump of the table."""
        return max(dump_id for dump_id, (ids, incremental) in self.dumps.items() if ids and not incremental)

    def live(self) -> list[int]:
        """The ids that are live, sorted."""
        return sorted(i for dump_id, (ids, _) in self.dumps.items() if dump_id >= self.generation() for i in ids)


def _objects(dump_id: int, ids: Sequence[int], incremental: bool) -> list[StoredObject]:
    table = {"name": "other", "incremental": True, "columns": ["event_id"], "files": []}
    key = f"sync_{dump_id}/event/part-0.avro"
    event = {"name": "event", "incremental": incremental, "columns": [one.name for one in EVENT], "files": [key]}
    manifest = {"dump_id": dump_id, "tables": [table, event] if ids else [table]}
    objects = [StoredObject(f"manifests/sync_{dump_id}.json", json.dumps(manifest).encode())]
    if ids:
        rows = [{"event_id": i, "user_id": 1, "time": "2026-01-01 00:00:00"} for i in ids]
        objects.insert(0, StoredObject(key, encode(EVENT, rows)))
    return objects


def assert_right(bucket: Bucket, warehouse: Warehouse) -> None:
    """The live view is that of a perfect warehouse, also where only the last row of a key is kept."""
    last = {(row["dump_id"], row["table_name"]): row for row in warehouse.rows["_heap_dumps"]}
    events = {dump_id: row for (dump_id, name), row in last.items() if name == "event"}
    assert events.keys() == {dump_id for dump_id, (ids, _) in bucket.dumps.items() if ids}
    assert warehouse.generation("event") == max(row["generation"] for row in events.values()) == bucket.generation()
    assert sorted({row["event_id"] for row in warehouse.live("event")}) == bucket.live()


@pytest.fixture
def bucket(heap: Heap) -> Bucket:
    """A bucket with a full dump, and sixty increments two days behind it."""
    bucket = Bucket(heap)
    bucket.put(100, [1, 2, 3], FULL)
    heap.server.clock += timedelta(days=2)
    bucket.run_on(range(104, 164))
    return bucket


@pytest.mark.slow
@pytest.mark.parametrize("behind", [RECENT_DUMPS + 1, 500])
def test_a_full_dump_that_comes_late_opens_its_generation(behind: int, heap: Heap, warehouse: Warehouse) -> None:
    bucket = Bucket(heap)
    bucket.put(100, [1, 2, 3], FULL)
    bucket.run_on(range(102, 102 + behind))
    warehouse.sync()
    bucket.put(101, [1, 5], FULL)
    output = warehouse.sync()
    assert output.logged("it replaces generation 100")
    assert_right(bucket, warehouse)
    assert not warehouse.sync().records


@pytest.mark.slow
def test_a_late_increment_is_read_alone(bucket: Bucket, warehouse: Warehouse) -> None:
    warehouse.sync()
    bucket.put(101, [7])
    bucket.heap.server.requests.clear()
    output = warehouse.sync(discover=False)
    assert bucket.heap.files_read() == ["sync_101/event/part-0.avro"]
    assert output.logged("event: 1 dumps came late or again, the oldest is 101, though later ones were read")
    assert_right(bucket, warehouse)
    assert not warehouse.sync(discover=False).records


@pytest.mark.slow
def test_hourly_dumps_over_four_days_with_an_export_in_the_background(heap: Heap, warehouse: Warehouse) -> None:
    bucket = Bucket(heap)
    bucket.put(100, [1, 2, 3], FULL)
    for hour in range(1, 96):
        if hour == 70:  # begun at hour 10, in the order of the ids
            bucket.put(110, [1, 2], FULL)
        elif hour != 10:
            bucket.run_on([100 + hour])
        if hour % 12 == 11:
            warehouse.sync(discover=False)
            assert_right(bucket, warehouse)
    assert bucket.generation() == 110


@pytest.mark.slow
def test_a_new_table_whose_only_dump_comes_late_is_there(heap: Heap, warehouse: Warehouse) -> None:
    bucket = Bucket(heap)
    bucket.run_on([101])
    bucket.put_all({number: ([], MORE) for number in range(103, 170)})
    warehouse.sync("_heap_dumps")
    bucket.put(102, [1, 2], FULL)
    warehouse.sync()
    assert_right(bucket, warehouse)


@pytest.mark.slow
@pytest.mark.parametrize("files_read", [0, 1])
def test_an_interruption_between_two_late_dumps_loses_neither(
    files_read: int, bucket: Bucket, warehouse: Warehouse
) -> None:
    warehouse.sync()
    bucket.put_all({101: ([7], MORE), 103: ([8], MORE)})
    bucket.heap.server.faults.add(error_fault(403, "AccessDenied", [r"sync_101/event", r"sync_103/event"][files_read]))
    assert warehouse.sync(discover=False).last_statuses["event"] == "INCOMPLETE"
    bucket.put(164, [164])
    bucket.heap.server.requests.clear()
    warehouse.sync(discover=False)
    expected = [101, 103, 164][files_read:]  # what was read is not read again
    assert sorted(bucket.heap.files_read()) == [f"sync_{dump_id}/event/part-0.avro" for dump_id in expected]
    assert_right(bucket, warehouse)


@pytest.mark.slow
@pytest.mark.parametrize("incremental", [FULL, MORE])
def test_a_sync_with_late_dumps_may_be_killed_behind_any_of_its_messages(
    incremental: bool, bucket: Bucket, warehouse: Warehouse
) -> None:
    warehouse.sync()
    bucket.put_all({101: ([7], incremental), 102: ([8, 9], MORE), 103: ([10], MORE), 164: ([11], MORE)})
    messages = bucket.heap.read(state=warehouse.states, catalog=list(warehouse.schemas.values())).messages
    ends = [at + 1 for at, message in enumerate(messages) if message["type"] == "STATE"]
    assert len(ends) >= 5
    for end in ends:
        killed = Warehouse(bucket.heap)
        killed.schemas, killed.states = warehouse.schemas, dict(warehouse.states)
        for name, rows in warehouse.rows.items():
            killed.rows[name] = rows + records(messages[:end], name)
            for state in states(messages[:end], name)[-1:]:
                killed.states[name] = state
        killed.sync(discover=False)
        assert_right(bucket, killed)


@pytest.mark.slow
def test_an_interruption_while_heap_dumps_reads_on_behind_a_late_dump_loses_no_row(
    heap: Heap, warehouse: Warehouse
) -> None:
    bucket = Bucket(heap)
    bucket.put(100, [1, 2, 3], FULL)
    bucket.run_on(range(102, 330))
    warehouse.sync()
    bucket.put(101, [1, 5], FULL)
    heap.server.faults.add(error_fault(403, "AccessDenied", r"manifests/sync_320\.json"))
    assert warehouse.sync("_heap_dumps", discover=False).last_statuses["_heap_dumps"] == "INCOMPLETE"
    warehouse.sync(discover=False)
    assert_right(bucket, warehouse)


@pytest.mark.slow
def test_a_late_manifest_of_the_second_of_the_last_listing_is_read(bucket: Bucket, warehouse: Warehouse) -> None:
    """S3 lists whole seconds; an upload in parts has the time of its beginning, a replica that of the original."""
    bucket.run_on([164])
    warehouse.sync()
    for dump_id, earlier in ((101, 0), (102, 60), (103, 10 * 3_600)):
        bucket.heap.server.clock -= timedelta(hours=1, seconds=earlier)
        bucket.put(dump_id, [dump_id])
        warehouse.sync(discover=False)
        assert_right(bucket, warehouse)
    assert not warehouse.sync(discover=False).records


@pytest.mark.slow
@pytest.mark.parametrize("increments", [1, 60])
def test_where_a_generation_began_without_a_full_dump_late_ones_join_it(
    increments: int, heap: Heap, warehouse: Warehouse
) -> None:
    bucket = Bucket(heap)
    bucket.put_all({number: ([number], MORE) for number in range(200, 200 + increments)})
    warehouse.sync()
    assert warehouse.generation("event") == 200
    for dump_id, incremental in ((150, MORE), (120, FULL), (110, MORE), (130, MORE)):  # 110 is dead
        bucket.put(dump_id, [dump_id], incremental)
        warehouse.sync(discover=False)
    bucket.put(500, [500])
    warehouse.sync(discover=False)
    assert warehouse.generation("event") == 200
    assert sorted(row["event_id"] for row in warehouse.live("event")) == bucket.live()
    last = {row["dump_id"]: row for row in warehouse.rows["_heap_dumps"] if row["table_name"] == "event"}
    assert max(row["generation"] for row in last.values()) == 200  # as in a warehouse that keeps the last row of a key


@pytest.mark.slow
@pytest.mark.parametrize("late", [(200,), (150, 170), (120, 170)], ids=str)
def test_late_dumps_of_a_generation_that_began_without_a_full_dump_never_hide_it(
    late: tuple[int, ...], heap: Heap, warehouse: Warehouse
) -> None:
    """Also not from a warehouse that keeps the last row of a key. 200 is the oldest dump, delivered again."""
    bucket = Bucket(heap)
    bucket.put_all({number: ([number], MORE) for number in range(200, 260)})
    warehouse.sync()
    for at, dump_id in enumerate(late):
        bucket.put_all({dump_id: ([dump_id], FULL if dump_id in (120, 170) else MORE), 300 + at: ([300 + at], MORE)})
        warehouse.sync(discover=False)
    last = {row["dump_id"]: row for row in warehouse.rows["_heap_dumps"] if row["table_name"] == "event"}
    assert max(row["generation"] for row in last.values()) == warehouse.generation("event") == 200
    live = {row["event_id"] for row in warehouse.live("event")}
    assert live >= {*range(200, 260), *range(300, 300 + len(late)), *late}


@pytest.mark.slow
def test_a_late_dump_that_a_newer_full_one_replaces_is_dead(bucket: Bucket, warehouse: Warehouse) -> None:
    bucket.put(150, [4, 5], FULL)
    warehouse.sync()
    bucket.put(101, [9], FULL)
    bucket.heap.server.requests.clear()
    warehouse.sync(discover=False)
    assert not bucket.heap.files_read()
    assert warehouse.generation("event") == 150
    assert sorted({row["event_id"] for row in warehouse.live("event")}) == bucket.live()


@pytest.mark.slow
def test_an_old_dump_that_is_delivered_again_is_read_again(bucket: Bucket, warehouse: Warehouse) -> None:
    warehouse.sync()
    bucket.heap.server.clock += timedelta(days=2)  # of dumps that came within a day of it others may be read again, too
    bucket.put(110, [110, 111])
    assert len(warehouse.sync(discover=False).records["event"]) == 2
    bucket.put(100, [1, 2, 3, 4], FULL)
    bucket.put(164, [164])
    assert len(warehouse.sync(discover=False).records["event"]) == 5
    assert_right(bucket, warehouse)


@pytest.mark.slow
def test_a_copied_bucket_is_read_again_from_its_generation_and_an_interruption_loses_no_work(
    bucket: Bucket, warehouse: Warehouse
) -> None:
    bucket.put_all({number: ([number], MORE) for number in range(164, 190)})
    bucket.put_all({number: ([], MORE) for number in range(190, 250)})
    warehouse.sync()
    bucket.put_all(dict(bucket.dumps))
    assert len([ids for ids, _ in bucket.dumps.values() if ids]) > LATE_DUMPS
    bucket.heap.server.faults.add(error_fault(403, "AccessDenied", r"sync_180/event"))
    warehouse.sync(discover=False)
    bucket.heap.server.requests.clear()
    warehouse.sync(discover=False)
    assert sorted(bucket.heap.files_read()) == [f"sync_{number}/event/part-0.avro" for number in range(180, 190)]
    assert_right(bucket, warehouse)
    assert not warehouse.sync(discover=False).records


@pytest.mark.slow
def test_the_rest_of_a_late_dump_whose_manifest_is_gone_is_not_skipped_in_silence(
    heap: Heap, warehouse: Warehouse
) -> None:
    """Of a generation that began without a full dump, so that dumps below it are not dead."""
    bucket = Bucket(heap)
    bucket.put_all({number: ([number], MORE) for number in range(200, 202)})
    warehouse.sync()
    bucket.put(150, [150])
    files = [f"sync_150/event/part-{number}.avro" for number in (0, 1)]
    put_manifest(heap, 150, [{"name": "event", "incremental": True, "columns": ["event_id"], "files": files}])
    assert warehouse.sync(discover=False).last_statuses["event"] == "INCOMPLETE"
    assert warehouse.states["event"]["reading"]["files"] == 1
    heap.server.delete(["manifests/sync_150.json"])
    failure = warehouse.sync(discover=False).failures["event"]
    assert "was interrupted within dump 150, whose manifest is gone now" in failure.message


# ---------------------------------------------------------------------------------------------- states of release 0.1


def as_of_release_0_1(state: dict[str, Any]) -> dict[str, Any]:
    """The state without what release 0.1 did not write."""
    return {name: value for name, value in state.items() if not name.startswith("listed")}


@pytest.mark.slow
@pytest.mark.parametrize("came", ["never", "after the upgrade", "before it, and was ignored"])
def test_a_state_of_release_0_1_skips_nothing_and_reads_nothing_again_without_need(
    came: str, bucket: Bucket, warehouse: Warehouse
) -> None:
    if came.startswith("before"):
        bucket.heap.server.clock += timedelta(hours=1)
        bucket.run_on([164])
    warehouse.sync()
    warehouse.states = {name: as_of_release_0_1(state) for name, state in warehouse.states.items()}
    if came != "never":
        bucket.heap.server.clock -= timedelta(hours=2 if came.startswith("before") else 0)
        bucket.put(101, [7])
    bucket.heap.server.requests.clear()
    output = warehouse.sync(discover=False)
    assert bucket.heap.files_read() == ([] if came == "never" else ["sync_101/event/part-0.avro"])
    assert len(output.records["_heap_dumps"]) == (0 if came == "never" else 2)
    assert_right(bucket, warehouse)
    assert not warehouse.sync(discover=False).records


def test_a_state_whose_listing_has_no_time_is_refused(bucket: Bucket) -> None:
    state = {"_heap_dump_id": 163, "generation": 100, "floor": 110, "listed": "yesterday"}
    output = bucket.heap.read("event", state={"event": state})
    assert "cannot be read: its listed is not an instant" in output.failures["event"].message
