"""Broken manifests and entries of one table: which streams fail, and which are read."""

from __future__ import annotations

import pytest
from heap_world import Heap, Warehouse, put_event, put_manifest, table_entry
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import error_fault


def test_what_is_wrong_with_one_table_of_a_dump_stops_no_other(heap: Heap) -> None:
    put_manifest(heap, 1, [table_entry("good", False), table_entry("bad", "no")])
    assert heap.check()["status"] == "SUCCEEDED"
    output = heap.read()
    assert output.last_statuses == {"_heap_dumps": "COMPLETE", "good": "COMPLETE", "bad": "INCOMPLETE"}
    assert "has neither true nor false as incremental of table bad" in output.failures["bad"].message


def test_a_dead_manifest_that_is_broken_is_not_needed(heap: Heap) -> None:
    heap.server.put([StoredObject("manifests/sync_1.json", b"{")])
    put_event(heap, 2, range(3))
    put_manifest(heap, 3, [table_entry("other")])
    output = heap.read()
    assert len(output.records["event"]) == 3
    assert "The manifest manifests/sync_1.json is not JSON" in output.failures["other"].message
    assert output.last_statuses["_heap_dumps"] == "INCOMPLETE"
    assert heap.discover().logged("manifests/sync_1.json is not JSON; its dump is skipped.")


def test_discovery_fails_where_every_manifest_is_broken(heap: Heap) -> None:
    heap.server.put([StoredObject("manifests/sync_1.json", b"<html>")])
    output = heap.discover()
    assert output.code == 1
    assert output.failures[""].message.startswith("The manifest manifests/sync_1.json is not JSON")


@pytest.mark.slow
def test_a_new_manifest_that_is_broken_fails_the_table_until_a_full_dump_makes_it_dead(heap: Heap) -> None:
    warehouse = Warehouse(heap)
    put_event(heap, 1, range(3))
    warehouse.sync("event")
    heap.server.put([StoredObject("manifests/sync_2.json", b"{")])
    assert "sync_2.json is not JSON" in warehouse.sync("event", discover=False).failures["event"].message
    assert heap.check()["message"].startswith("The manifest manifests/sync_2.json is not JSON")
    put_event(heap, 3, range(4))
    assert len(warehouse.sync("event").records["event"]) == 4


# ---------------------------------------------------------------------------------------------- manifests


@pytest.mark.slow
def test_a_table_that_is_first_exported_late_and_not_in_full_has_its_first_dump_as_generation(heap: Heap) -> None:
    for dump_id in range(1, 230):
        late = [table_entry("late")] if dump_id >= 220 else []
        put_manifest(heap, dump_id, [table_entry("users", False), *late])
    rows = heap.read("_heap_dumps").records["_heap_dumps"]
    assert {row["generation"] for row in rows if row["table_name"] == "late"} == {220}
    state = {"_heap_dumps": {"dump_id": 219}}
    rows = heap.read("_heap_dumps", state=state).records["_heap_dumps"]
    assert {row["generation"] for row in rows if row["table_name"] == "late"} == {220}


@pytest.mark.slow
def test_manifests_without_the_table_are_fetched_once(heap: Heap) -> None:
    put_event(heap, 1, range(3))
    for dump_id in range(2, 70):
        put_manifest(heap, dump_id, [table_entry("users", False)])
    warehouse = Warehouse(heap)
    warehouse.sync("event")
    for new in (0, 1):
        heap.server.requests.clear()
        for dump_id in range(70, 70 + new):
            put_manifest(heap, dump_id, [table_entry("users", False)])
        assert warehouse.sync("event", discover=False).last_statuses["event"] == "COMPLETE"
        assert len([one for one in heap.server.requests if one.path.endswith(".json")]) == 1 + new
    put_event(heap, 30, range(5))  # delivered again, with the table
    assert len(warehouse.sync("event", discover=False).records["event"]) == 5


@pytest.mark.slow
def test_a_table_whose_manifests_were_deleted_after_they_were_read_is_still_there(heap: Heap) -> None:
    """A rule that deletes what is old is common, and a table that is absent from a manifest is not gone."""
    put_event(heap, 1, range(3))
    warehouse = Warehouse(heap)
    warehouse.sync("event")
    put_manifest(heap, 2, [table_entry("users", False)])
    heap.server.delete(["manifests/sync_1.json"])
    output = warehouse.sync("event", discover=False)
    assert output.last_statuses == {"event": "COMPLETE"}
    assert not output.records


def test_every_table_reports_a_broken_manifest_in_the_same_words(heap: Heap) -> None:
    names = [f"table_{number}" for number in range(30)]
    put_manifest(heap, 1, [table_entry(name, False) for name in names])
    catalog = heap.discover().streams
    heap.server.put([StoredObject("manifests/sync_2.json", b"{")])
    output = heap.read(catalog=catalog)
    traces = [len(failure.stack_trace) for name, failure in output.failures.items() if name in names]
    assert len(traces) == 30
    assert max(traces) < 2 * min(traces)


# ---------------------------------------------------------------------------------------------- check


def test_check_looks_for_a_data_file_in_older_dumps_where_the_newest_has_none(heap: Heap) -> None:
    put_event(heap, 1, range(3))
    put_manifest(heap, 2, [table_entry("event")])
    heap.server.faults.add(error_fault(403, "AccessDenied", r"sync_1/event", times=-1))
    assert heap.check()["message"].startswith("Reading sync_1/event/part-0.avro in the bucket")
    put_manifest(heap, 3, [table_entry("event", False)])  # the file is dead now
    assert heap.check()["status"] == "SUCCEEDED"


def test_check_allows_a_missing_file_where_a_sync_would_skip_it(heap: Heap) -> None:
    put_event(heap, 1, range(3))
    heap.server.delete(["sync_1/event/part-0.avro"])
    assert heap.check()["message"].startswith("The object sync_1/event/part-0.avro does not exist in the bucket")
    assert heap.check(on_missing_file="skip")["status"] == "SUCCEEDED"


def test_check_fails_where_no_table_of_the_newest_dump_can_be_read(heap: Heap) -> None:
    put_manifest(heap, 1, [table_entry("event", None)])
    assert "does not say whether table event is incremental" in heap.check()["message"]


def test_check_does_not_mind_that_a_file_of_an_older_dump_is_gone(heap: Heap) -> None:
    """It may have been read long ago."""
    put_event(heap, 1, range(3))
    put_manifest(heap, 2, [table_entry("event")])
    heap.server.delete(["sync_1/event/part-0.avro"])
    assert heap.check()["status"] == "SUCCEEDED"
