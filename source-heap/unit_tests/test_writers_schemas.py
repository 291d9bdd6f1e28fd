"""Other content of a writer's schema, and similar names, do not change rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from avro_by_hand import PACKERS, block, file, header, put_tables, read_table, record, text
from heap_world import EVENT, Heap, put_event
from simulators.heap.avro_files import Column, long_bytes

pytestmark = pytest.mark.usefixtures("decoder")

ROW = {"event_id": 7, "n": 9, "kind": "no-name", "raw": "12"}
BYTES = long_bytes(7) + long_bytes(9) + long_bytes(1) + text("12")
KIND = {"type": "enum", "name": "Kind", "symbols": ["A", "no-name"]}


def written(n: str = "", kind: str = "", raw: str = "", nested: bool = False) -> bytes:
    """A schema as text, with something more in a field, an enum, or the type of a column of bytes."""
    schema = json.dumps(record(("event_id", "long"), ("n", "long"), ("kind", KIND), ("raw", {"type": "bytes"})))
    schema = schema.replace('"name": "n"', f'"name": "n"{n}').replace('"symbols"', f'{kind or ""}"symbols"')
    schema = schema.replace('{"type": "bytes"}', f'{{"type": "bytes"{raw}}}')
    if nested:
        schema = schema.removesuffix("]}") + ', {"name": "l", "type": {"type": "array", "items": "long"}}]}'
    return schema.encode("latin-1")


BESIDE = {
    "a default that is not a number": {"n": ', "default": NaN'},
    "an endless default": {"n": ', "default": -Infinity'},
    "half a character": {"n": ', "doc": "\\ud83d"'},
    "a comment in latin-1": {"n": ', "doc": "Z\xfcrich"'},
    "a default of another type": {"n": ', "default": "none"'},
    "aliases that are no list": {"n": ', "aliases": "m"'},
    "a default that is no symbol": {"kind": '"default": "B", '},
    "a decimal without a precision": {"raw": ', "logicalType": "decimal", "scale": 2'},
    "a decimal of precision 0": {"raw": ', "logicalType": "decimal", "precision": 0'},
    "a decimal with more scale than precision": {"raw": ', "logicalType": "decimal", "precision": 4, "scale": 6'},
    "a decimal with a negative scale": {"raw": ', "logicalType": "decimal", "precision": 9, "scale": -2'},
    "a decimal whose precision is text": {"raw": ', "logicalType": "decimal", "precision": "9"'},
    "a logical type of another type": {"raw": ', "logicalType": "timestamp-millis"'},
    "a logical type that is none": {"raw": ', "logicalType": ["decimal"]'},
}


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_what_no_row_depends_on_costs_no_row(beside: dict[str, str], nested: bool, heap: Heap) -> None:
    more = long_bytes(1) + long_bytes(5) + long_bytes(0) if nested else b""
    put_tables(heap, {"ev": file(written(**beside, nested=nested), [BYTES + more])})
    output, rows = read_table(heap)
    assert rows == [ROW | ({"l": [5]} if nested else {})]
    assert not output.changes["ev"]


def test_types_of_one_name_in_two_namespaces_are_two(heap: Heap) -> None:
    def kind(space: str, *fields: tuple[str, Any]) -> dict[str, Any]:
        return record(*fields, name="Kind") | {"namespace": space}

    columns = (
        ("event_id", "long"),
        ("a", kind("x", ("n", "long"))),
        ("b", kind("y", ("t", "string"), ("same", ["null", "Kind"]))),
        ("c", "x.Kind"),
        ("d", "y.Kind"),
    )
    y = text("t") + b"\x02" + text("u") + b"\0"
    put_tables(heap, {"ev": file(record(*columns), [long_bytes(1) + long_bytes(5) + y + long_bytes(6) + y])})
    found = heap.discover().stream("ev")["json_schema"]["properties"]
    assert [list(found[name]["properties"]) for name in "abcd"] == [["n"], ["t", "same"], ["n"], ["t", "same"]]
    _, [row] = read_table(heap)
    nested = {"t": "t", "same": {"t": "u", "same": None}}
    assert row == {"event_id": 1, "a": {"n": 5}, "b": nested, "c": {"n": 6}, "d": nested}


def test_a_type_that_is_written_within_another_is_that_type(heap: Heap) -> None:
    columns = (("event_id", {"type": {"type": "long"}}), ("u", {"type": ["null", {"type": "string"}]}))
    put_tables(heap, {"ev": file(record(*columns), [long_bytes(1) + b"\x02" + text("a")])})
    assert read_table(heap)[1] == [{"event_id": 1, "u": "a"}]


@pytest.mark.slow
@pytest.mark.parametrize("codec", PACKERS)
def test_blocks_without_rows_cost_nothing(codec: str, heap: Heap) -> None:
    schema = record(("event_id", "long"), ("t", "string"))
    rows = [long_bytes(index) + text("a") for index in range(2)]
    empty = block(0, b"", codec)
    data = header(schema, codec) + empty + block(1, rows[0], codec) + empty * 3 + block(1, rows[1], codec) + empty
    put_tables(heap, {"ev": data, "none": header(schema, codec) + empty})
    assert read_table(heap)[1] == [{"event_id": 0, "t": "a"}, {"event_id": 1, "t": "a"}]
    output, rows_of_none = read_table(heap, "none")
    assert (output.last_statuses["none"], rows_of_none) == ("COMPLETE", [])


@pytest.mark.slow
def test_sixty_thousand_blocks_without_rows_take_no_longer_than_they_are(heap: Heap) -> None:
    rows = b"".join(block(1, long_bytes(index)) for index in range(6_000))
    put_tables(heap, {"ev": header(record(("event_id", "long"))) + block(0, b"") * 60_000 + rows})
    output = heap.read("ev")
    assert [row["event_id"] for row in output.records["ev"]] == list(range(6_000))


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("mode", ["generation", "tombstones"])
def test_columns_named_like_ours_never_replace_ours(mode: str, nested: bool, heap: Heap) -> None:
    ours = ("_heap_dump_id", "_heap_generation", "_heap_file", "_ab_cdc_deleted_at")
    columns = [("event_id", "long"), *((name, "string") for name in ours), ("l", {"type": "array", "items": "long"})]
    row = long_bytes(1) + text("theirs") * 4 + (long_bytes(0) if nested else b"")
    put_tables(heap, {"ev": file(record(*(columns if nested else columns[:-1])), [row])})
    for catalog in (None, [{**heap.discover(resync_mode=mode).stream("ev"), "json_schema": {}}]):
        output = heap.read("ev", catalog=catalog, resync_mode=mode)
        [found] = output.records["ev"]
        deleted = {"_ab_cdc_deleted_at": None} if mode == "tombstones" else {}
        assert {name: value for name, value in found.items() if name in ours} == {
            **{"_heap_dump_id": 1, "_heap_generation": 1, "_heap_file": "sync_1/ev/part-0.avro"},
            **deleted,
        }
    output = heap.discover(resync_mode=mode)
    properties = output.stream("ev")["json_schema"]["properties"]
    assert properties["_heap_dump_id"]["type"] == ["null", "integer"]
    assert ("_ab_cdc_deleted_at" in properties) is (mode == "tombstones")
    assert output.logged("Table ev has a column _heap_file of its own, which is dropped: this connector adds one.")


def test_a_union_within_a_union_is_read(heap: Heap) -> None:
    put_event(heap, 1, range(2), [*EVENT, Column("plan", ["null", "double"])])
    output = heap.read("event")
    assert output.failures == {}
    assert [(row["event_id"], row["plan"]) for row in output.records["event"]] == [(0, None), (1, None)]
