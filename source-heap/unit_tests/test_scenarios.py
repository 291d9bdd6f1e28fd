"""Every history of a bucket, synced step by step: the warehouse holds exactly the live rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from heap_world import Heap, Warehouse, unordered
from simulators.heap.scenarios import SCENARIOS, Step, Trouble, random_history, scenario

#: Values that JSON has no type for, or thousands of files; `test_every_type` and `test_many_files` read these.
ELSEWHERE = {"every_avro_type", "three_thousand_files"}
SENTENCES = {
    Trouble.MISSING_FILE: "does not exist in the bucket",
    Trouble.UNREADABLE_FILE: "is not a complete Avro file",
    Trouble.BAD_CHECKSUM: "is not a complete Avro file",
    Trouble.ARCHIVED_FILE: "is archived in Glacier",
    Trouble.NO_FLAG: "does not say whether table sessions is incremental",
}


def assert_follows(warehouse: Warehouse, story: list[Step]) -> None:
    """Syncs after every step and compares every table; one in trouble fails alone, with its sentence."""
    columns: object = None
    for step in story:
        warehouse.heap.server.apply(step)
        tables = [table for dump in step.dumps for table in dump.tables]
        now = {(table.name, repr(column)) for table in tables for file in table.files for column in file.columns}
        now |= {(table.name, "") for table in tables}
        output = warehouse.sync(discover=now != columns)  # as a platform does when it refreshes the schema
        columns = now
        assert set(output.failures) - {""} == set(step.fails), step.note
        for table, trouble in step.fails.items():
            assert SENTENCES[trouble] in output.failures[table].message
            assert output.last_statuses[table] == "INCOMPLETE"
        for table, truth in step.live.items():
            if table not in step.fails:
                assert output.last_statuses[table] == "COMPLETE", (step.note, table)
                assert unordered(warehouse.latest(table)) == unordered(truth.latest()), (step.note, table)
                assert warehouse.generation(table) == truth.generation


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - ELSEWHERE))
def test_after_every_step_the_live_rows_are_those_of_a_perfect_warehouse(name: str, heap: Heap) -> None:
    assert_follows(Warehouse(heap), scenario(name, bucket=heap.server.bucket))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_history_ends_in_the_live_rows_of_the_reference_model(seed: int, heap: Heap) -> None:
    assert_follows(Warehouse(heap), random_history(seed, bucket=heap.server.bucket))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first_sync", "two_resyncs_unread", "bucket_alias", "edge_ids", "unusual_names"])
def test_a_first_sync_of_the_whole_history_gives_every_live_row_in_dump_and_file_order(name: str, heap: Heap) -> None:
    story = scenario(name, bucket=heap.server.bucket)
    for step in story:
        heap.server.apply(step)
    warehouse = Warehouse(heap)
    warehouse.sync()
    for table, truth in story[-1].live.items():
        assert warehouse.live(table) == truth.emitted()
        assert [row["_heap_file"] for row in warehouse.rows[table]] == [row.file for row in truth.rows]
        assert [row["_heap_dump_id"] for row in warehouse.rows[table]] == [row.dump_id for row in truth.rows]


def test_dead_dumps_are_never_read(heap: Heap, steps: Callable[[list[Step]], Iterator[Step]]) -> None:
    story = list(steps(scenario("two_resyncs_unread", bucket=heap.server.bucket)))
    output = heap.read("sessions")
    live = {row.file for row in story[-1].live["sessions"].rows}
    assert set(heap.files_read("sessions")) == live
    assert output.last_statuses["sessions"] == "COMPLETE"


def test_a_sync_with_nothing_new_reads_no_file_and_keeps_the_state(heap: Heap) -> None:
    first, second = scenario("no_new_dump", bucket=heap.server.bucket)
    warehouse = Warehouse(heap)
    heap.server.apply(first)
    warehouse.sync()
    before, read = dict(warehouse.states), heap.files_read()
    heap.server.apply(second)
    output = warehouse.sync()
    assert not output.records
    assert warehouse.states == before
    assert heap.files_read() == read


@pytest.mark.slow
def test_a_full_refresh_reads_the_live_dumps_again(heap: Heap) -> None:
    story = scenario("resync_in_the_middle", bucket=heap.server.bucket)
    warehouse = Warehouse(heap)
    for step in story:
        heap.server.apply(step)
        warehouse.sync()
    output = heap.read("sessions", mode="full_refresh")
    assert len(output.records["sessions"]) == len(story[-1].live["sessions"].rows)
