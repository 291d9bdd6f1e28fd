"""Rows that a full dump no longer has are emitted as deletions, and never a live row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from heap_world import EVENT, Heap, Warehouse, put_event, put_manifest, table_entry
from simulators.heap.avro_files import Column
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import error_fault
from simulators.heap.scenarios import scenario
from source_heap.avro.values import Projection
from source_heap.bucket import HeapBucket
from source_heap.config import HeapConfig
from source_heap.files import TableFiles
from test_kit.messages import Output

TEXT_KEYS = (Column("user_id", "string"), Column("event_id", "string"), Column("time", "string"))


def deleted(output: Output) -> list[Any]:
    return [row for row in output.records["event"] if row.get("_ab_cdc_deleted_at")]


@pytest.mark.slow
def test_tombstones_tell_the_rows_that_a_full_dump_no_longer_has(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones")
    story = scenario("resync_in_the_middle", bucket=heap.server.bucket)
    heap.server.apply(story[0])
    warehouse.sync()
    heap.server.apply(story[1])
    output = warehouse.sync()
    deleted = [row for row in output.records["sessions"] if row["_ab_cdc_deleted_at"]]
    old = {row.values["event_id"] for row in story[0].live["sessions"].rows}
    new = {row.values["event_id"] for row in story[1].live["sessions"].rows}
    assert old - new
    assert {row["event_id"] for row in deleted} >= old - new
    assert not {row["event_id"] for row in deleted} & new
    assert {tuple(row) for row in deleted} == {("event_id", "_heap_dump_id", "_heap_generation", "_ab_cdc_deleted_at")}
    assert {row["_heap_dump_id"] for row in deleted} == {104}
    assert output.records["sessions"][-len(deleted) :] == deleted
    assert warehouse.states["sessions"]["replaces"] is None
    assert not [row for row in warehouse.sync().records["sessions"] if row.get("_ab_cdc_deleted_at")]


@pytest.mark.slow
def test_tombstones_are_emitted_by_the_next_sync_if_this_one_broke_before_them(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones")
    story = scenario("resync_in_the_newest", bucket=heap.server.bucket)
    for step in story[:2]:
        heap.server.apply(step)
        warehouse.sync()
    heap.server.apply(story[2])
    heap.server.faults.add(error_fault(503, "SlowDown", r"sync_101/sessions", times=-1))
    assert warehouse.sync("sessions").last_statuses["sessions"] == "INCOMPLETE"
    assert warehouse.states["sessions"]["replaces"] == 100
    heap.server.faults.clear()
    output = warehouse.sync("sessions")
    assert output.last_statuses["sessions"] == "COMPLETE"
    assert output.records["sessions"]
    assert all(row["_ab_cdc_deleted_at"] for row in output.records["sessions"])


@pytest.mark.slow
def test_tombstones_of_dumps_that_are_gone_are_left_out_with_a_warning(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones")
    story = scenario("resync_in_the_newest", bucket=heap.server.bucket)
    heap.server.apply(story[0])
    warehouse.sync()
    heap.server.delete([item.key for item in story[0].put if "/sessions/" in item.key])
    for step in story[1:]:
        heap.server.apply(step)
    output = warehouse.sync("sessions")
    assert output.last_statuses["sessions"] == "COMPLETE"
    assert output.logged("cannot be read (reading an object sync_100/sessions/")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [EVENT[::-1], TEXT_KEYS])
@pytest.mark.parametrize("selected", [True, False])
def test_rows_and_deleted_ones_are_distinguished_by_the_values_of_their_keys(
    columns: Sequence[Column], selected: bool, heap: Heap
) -> None:
    options = {"resync_mode": "tombstones", "primary_key_mode": "heap"}
    put_event(heap, 1, range(5))
    (stream,) = [stream for stream in heap.discover(**options).streams if stream["name"] == "event"]
    if not selected:
        properties = stream["json_schema"]["properties"]
        stream["json_schema"]["properties"] = {"time": properties["time"]}
    state = heap.read(catalog=[stream], **options).states["event"][-1]
    put_event(heap, 2, range(4), columns)
    rows = deleted(heap.read(catalog=[stream], state={"event": state}, **options))
    assert [(row["event_id"], row["user_id"]) for row in rows] == [(4, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [None, (403, "AccessDenied"), (403, "InvalidObjectState")])
def test_an_old_file_that_cannot_be_read_makes_fewer_tombstones_and_no_failure(fault: Any, heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones")
    put_event(heap, 1, range(5))
    warehouse.sync("event")
    put_event(heap, 2, range(4))
    if fault is None:
        heap.server.put([StoredObject("sync_1/event/part-0.avro", b"")])
    else:
        heap.server.faults.add(error_fault(*fault, r"sync_1/event", times=-1))
    output = warehouse.sync("event")
    assert output.last_statuses["event"] == "COMPLETE"
    assert output.logged("event: sync_1/event/part-0.avro cannot be read (")
    assert not deleted(output)
    assert warehouse.states["event"]["replaces"] is None


@pytest.mark.slow
def test_rows_of_a_new_file_that_is_missing_never_count_as_deleted(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones", on_missing_file="skip")
    put_event(heap, 1, range(5))
    warehouse.sync("event")
    put_event(heap, 2, range(4), files=2)
    output = warehouse.sync("event")
    assert output.last_statuses["event"] == "COMPLETE"
    assert not deleted(output)
    assert output.logged("event: sync_2/event/part-1.avro does not exist, so no deletions are emitted of rows that")


def test_rows_of_a_new_dump_whose_manifest_is_gone_never_count_as_deleted(heap: Heap) -> None:
    warehouse = Warehouse(heap, resync_mode="tombstones")
    put_event(heap, 1, range(5))
    warehouse.sync("event")
    put_event(heap, 2, range(4))
    heap.server.faults.add(error_fault(503, "SlowDown", r"sync_1/event", times=-1))
    assert warehouse.sync("event").last_statuses["event"] == "INCOMPLETE"
    heap.server.faults.clear()
    heap.server.delete(["manifests/sync_2.json"])
    put_manifest(heap, 3, [])
    output = warehouse.sync("event", discover=False)
    assert not deleted(output)
    assert output.logged("event: the manifest of dump 2 does not exist, so no deletions are emitted of rows that")


@pytest.mark.slow
def test_manifests_of_a_replaced_generation_are_fetched_once_for_all_tables(heap: Heap) -> None:
    names = [f"table_{number}" for number in range(5)]
    for dump_id in range(1, 31):
        put_manifest(heap, dump_id, [table_entry(name, dump_id > 1) for name in names])
    warehouse = Warehouse(heap, resync_mode="tombstones")
    warehouse.sync()
    put_manifest(heap, 31, [table_entry(name, False) for name in names])
    heap.server.requests.clear()
    assert set(warehouse.sync(discover=False).last_statuses.values()) == {"COMPLETE"}
    assert len([one for one in heap.server.requests if one.path.endswith(".json")]) == 31


def test_no_file_is_left_behind_that_could_not_be_opened(
    heap: Heap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_event(heap, 1, range(5))
    heap.server.put([StoredObject("sync_1/event/part-0.avro", b"no Avro")])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    projection = Projection(None, {})
    bucket = HeapBucket(HeapConfig.parse(heap.config()))
    files = TableFiles("event", bucket, skip_missing=False)
    with pytest.raises(AirbyteTracedException):
        list(files.rows("sync_1/event/part-0.avro", projection))
    assert not list(tmp_path.rglob("*.avro"))
    files.close()
