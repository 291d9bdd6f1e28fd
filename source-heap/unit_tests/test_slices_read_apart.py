"""Slices that other processes read: pickled, by instances on which only `start` was called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from simulators.heap.scenarios import scenario
from source_heap import SourceHeap
from source_heap.config import HeapConfig
from source_kit.convert import utc_now
from test_kit.catalogs import Row
from test_kit.slices import read_apart, read_together

if TYPE_CHECKING:
    from heap_world import Heap
    from source_kit.stream import BatchStream


def opener(heap: Heap, name: str, **options: Any) -> Callable[[], BatchStream]:
    """Opens a table anew, with connections of its own."""
    config = HeapConfig.parse(heap.config(**options))

    def opened() -> BatchStream:
        stream: Any = next(one for one in SourceHeap().all_streams(config) if one.name == name)
        return stream

    return opened


def as_texts(rows: Iterable[Row]) -> list[str]:
    """Rows in a canonical order, without the time of the sync that found them deleted."""
    return sorted(
        json.dumps({**row, "_ab_cdc_deleted_at": "_ab_cdc_deleted_at" in row}, sort_keys=True) for row in rows
    )


@pytest.mark.parametrize("name", ["first_sync", pytest.param("resync_in_the_middle", marks=pytest.mark.slow)])
@pytest.mark.parametrize("resync_mode", ["generation", "tombstones"])
def test_every_slice_of_every_table_gives_the_same_rows_apart(heap: Heap, name: str, resync_mode: str) -> None:
    """At the first sync, and at the next one, which may find a new generation."""
    story = scenario(name, bucket=heap.server.bucket)
    states: Mapping[str, Mapping[str, Any]] = {}
    now, rows = utc_now(), 0
    for step in story:
        heap.server.apply(step)
        for stream in heap.discover(resync_mode=resync_mode).streams:
            opened, state = opener(heap, stream["name"], resync_mode=resync_mode), states.get(stream["name"])
            plain = {key: value for key, value in (state or {}).items() if not key.startswith("__")}
            together = read_together(opened, now, plain)
            assert as_texts(read_apart(opened, now, plain)) == as_texts(together), stream["name"]
            rows += len(together)
        states = heap.read(state=states, resync_mode=resync_mode).last_states()
    assert rows > 0
