"""States that no sync of the stream can have written: an error with a sentence, never a sync that reads nothing."""

from __future__ import annotations

from typing import Any

import pytest
from heap_world import Heap, put_event, put_manifest, table_entry
from simulators.heap.layout import DEFAULT_BUCKET

GOOD = {"_heap_dump_id": 1, "v": 1, "bucket": DEFAULT_BUCKET, "generation": 1, "floor": 0, "recent": {}}


@pytest.fixture
def filled(heap: Heap) -> Heap:
    put_event(heap, 1, range(3))
    put_event(heap, 2, range(4))
    return heap


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"period": "garbage"}, "its _heap_dump_id is not a whole number"),
        ({"dump_id": 1, "v": 1, "bucket": DEFAULT_BUCKET, "generation": 0, "floor": 0}, "its _heap_dump_id is not"),
        ({"updated": 1722340000}, "its _heap_dump_id is not a whole number"),
        ({**GOOD, "_heap_dump_id": "1"}, "its _heap_dump_id is not a whole number"),
        ({**GOOD, "_heap_dump_id": True}, "its _heap_dump_id is not a whole number"),
        ({**GOOD, "_heap_dump_id": 1.5}, "its _heap_dump_id is not a whole number"),
        ({**GOOD, "generation": 99}, "its generation 99 is newer than its dump 1"),
        ({**GOOD, "generation": None}, "its generation is not a whole number"),
        ({**GOOD, "floor": 99}, "its floor 99 is above every dump that it names"),
        ({**GOOD, "recent": [1]}, "its recent is not an object of dump ids"),
        ({**GOOD, "recent": {"x": "1"}}, "its recent is not an object of dump ids"),
        ({**GOOD, "reading": "x"}, "its reading is not an object"),
        ({**GOOD, "reading": {"dump_id": 2, "mark": "x", "files": -1}}, "its reading has a negative number of files"),
        ({**GOOD, "bucket": 5}, "its bucket is not text"),
        ({**GOOD, "v": 2}, "it is of version 2, which this release does not know"),
    ],
)
def test_a_state_that_no_sync_has_written_is_an_error(state: Any, why: str, filled: Heap) -> None:
    output = filled.read("event", state={"event": state})
    assert output.last_statuses == {"event": "INCOMPLETE"}
    assert output.failures["event"].message.startswith(f"The state of stream event cannot be read: {why}")
    assert output.failures["event"].failure_type == "config_error"


def test_a_state_that_has_read_more_files_than_the_dump_has_is_an_error(filled: Heap) -> None:
    mark = filled.read("event").states["event"][-1]["recent"]["2"]
    state = {**GOOD, "reading": {"dump_id": 2, "mark": mark, "files": 5}, "_heap_dump_id": 2, "generation": 2}
    put_manifest(filled, 3, [table_entry("event")])
    output = filled.read("event", state={"event": {**state, "floor": 1}})
    assert "of dump 2 it has read 5 files, and the dump has 1" in output.failures["event"].message


@pytest.mark.parametrize("floor", [10**12, 0])
@pytest.mark.slow
def test_a_state_from_the_future_is_not_taken_for_nothing_new(floor: int, filled: Heap) -> None:
    state = {**GOOD, "_heap_dump_id": 10**12, "floor": floor}
    output = filled.read("event", state={"event": state})
    assert "is at dump 1000000000000, but the newest dump in the bucket" in output.failures["event"].message
    output = filled.read("event", state={"event": {"_heap_dump_id": 10**12}})
    assert output.logged("WARN: The state of stream event says that all dumps up to 1000000000000 are read")
