"""A table that drifts from the schema of the connection: values of other types, new columns."""

from __future__ import annotations

from typing import Any

import pytest
from heap_world import EVENT, Heap, put_event, put_manifest
from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject

REFRESH = "and were left empty. Refresh the schema of the connection, then the stream."


def put_rows(heap: Heap, dump_id: int, columns: list[Column], rows: list[dict[str, Any]]) -> None:
    """An increment of the table `event`."""
    key = f"sync_{dump_id}/event/part-0.avro"
    heap.server.put([StoredObject(key, encode(columns, rows))])
    names = [column.name for column in columns]
    put_manifest(heap, dump_id, [{"name": "event", "incremental": True, "columns": names, "files": [key]}])


@pytest.mark.slow
@pytest.mark.parametrize("array", [False, True])
def test_values_that_do_not_fit_the_catalogs_types_are_counted_in_one_warning(
    array: bool, heap: Heap, decoder: str
) -> None:
    put_event(heap, 1, range(3))
    catalog = [heap.discover().stream("event")]
    catalog[0]["json_schema"]["properties"] |= {
        "plan": {"type": ["null", "integer"]},
        "score": {"type": ["null", "number"]},
    }
    columns = [Column("event_id", "long"), Column("plan", "string"), Column("score", "double")]
    if array:  # a nested table is read by the reference decoder
        columns.append(Column("list", {"type": "array", "items": "long"}))
    plans = ["pro", "12", "free", None] * 500
    scores = [float("nan"), 1.5, 2.5, 0.0] * 500
    rows = [
        {"event_id": number, "plan": plan, "score": score, "list": [1]}
        for number, (plan, score) in enumerate(zip(plans, scores, strict=True))
    ]
    put_rows(heap, 2, columns, [{one.name: row[one.name] for one in columns} for row in rows])
    output = heap.read(catalog=catalog)
    warnings = [line for line in output.logs if "left empty" in line]
    assert warnings == [f"WARN: Table event: 1,000 values of column plan do not fit its type integer {REFRESH}"]
    assert [row["plan"] for row in output.records["event"][3:7]] == [None, 12, None, None]


def test_several_columns_share_one_warning_and_an_impossible_date_has_its_own(heap: Heap) -> None:
    put_event(heap, 1, range(3))
    catalog = [heap.discover().stream("event")]
    catalog[0]["json_schema"]["properties"] |= {"a": {"type": "boolean"}, "b": {"type": ["null", "number"]}}
    columns = [Column("event_id", "long"), Column("a", "long"), Column("b"), Column("time")]
    rows = [
        {"event_id": number, "a": 1, "b": "x" if number else "1", "time": "2026-02-31 00:00:00"} for number in (0, 1)
    ]
    put_rows(heap, 2, columns, rows)
    output = heap.read(catalog=catalog)
    what = "2 values of column a do not fit its type boolean, 1 values of column b do not fit its type number"
    assert output.logged(f"WARN: Table event: {what} {REFRESH}")
    assert output.logged("WARN: Table event: 2 values of column time are no instants and were left empty.")
    assert len([line for line in output.logs if "left empty" in line]) == 2


def test_a_stream_that_fails_later_warns_too(heap: Heap) -> None:
    """Its state has moved behind the files that were read."""
    put_event(heap, 1, range(3))
    catalog = [heap.discover().stream("event")]
    put_rows(heap, 2, [Column("event_id"), EVENT[1]], [{"event_id": "one", "user_id": 1}])
    put_rows(heap, 3, list(EVENT), [])
    heap.server.delete(["sync_3/event/part-0.avro"])
    output = heap.read(catalog=catalog)
    assert output.last_statuses["event"] == "INCOMPLETE"
    assert output.logged(f"1 values of column event_id do not fit its type integer {REFRESH}")


@pytest.mark.slow
def test_new_columns_are_told_once_and_deselected_ones_never(heap: Heap) -> None:
    put_event(heap, 1, range(3))
    catalog = [heap.discover().stream("event")]
    del catalog[0]["json_schema"]["properties"]["user_id"]  # as a platform does it with a column that is deselected
    states = heap.read(catalog=catalog).last_states()
    columns = [*EVENT, Column("plan"), Column("theme")]
    told = []
    for dump_id in (2, 3):
        put_rows(heap, dump_id, columns, [])
        output = heap.read(catalog=catalog, state=states)
        states |= output.last_states()
        told.append(output.logged("has new columns"))
    assert told == [
        [
            "INFO: Table event has new columns plan, theme that the connection does not know: refresh the schema, then "
            "the stream, to have their values from the start."
        ],
        [],
    ]
