"""Batch reads of Heap's tables."""

from __future__ import annotations

from typing import Any

from simulators.heap.scenarios import scenario


def test_the_rows_of_a_table_are_those_that_are_live(spark: Any, bucket: Any) -> None:
    [*_, last] = story = scenario("resync_in_the_middle", bucket=bucket.server.bucket)
    for step in story:
        bucket.server.apply(step)
    rows = bucket.read(spark, "sessions").select("event_id", "_heap_dump_id").toArrow().to_pylist()
    truth = [{"event_id": row["event_id"]} for row in last.live["sessions"].emitted()]
    assert sorted(row["event_id"] for row in rows) == sorted(row["event_id"] for row in truth)
