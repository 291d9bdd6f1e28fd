"""The types of columns, from the headers of some files of the live dumps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from heap_world import Heap
from jsonschema import Draft7Validator, FormatChecker
from simulators.heap.avro_files import Codec, Column, container_header, encode
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import error_fault

INTEGER, TEXT = {"type": ["null", "integer"]}, {"type": ["null", "string"]}
ANYTHING = {
    "type": ["null", "array", "boolean", "integer", "number", "object", "string"],
    "additionalProperties": True,
}
LONG = (Column("event_id", "long"), Column("x", "long"))
WORDS = (Column("event_id", "long"), Column("x", "string"))


def file_of(columns: Sequence[Column], *rows: Mapping[str, Any]) -> bytes:
    """An Avro file, by default of one row of nulls."""
    return encode(columns, rows or [{}])


def put(
    heap: Heap, dump: int, *files: bytes, columns: Sequence[str] = (), table: str = "ev", full: bool | None = None
) -> None:
    """A dump of one table: the first is full, the others add to it, unless `full` says otherwise."""
    keys = [f"sync_{dump}/{table}/part-{index:05d}.avro" for index in range(len(files))]
    addresses = [f"s3://{heap.server.bucket}/{key}" for key in keys]
    entry = {
        "name": table,
        "files": addresses,
        "columns": list(columns),
        "incremental": dump > 1 if full is None else not full,
    }
    manifest = json.dumps({"dump_id": dump, "tables": [entry]}).encode()
    stored = [StoredObject(key, data) for key, data in zip(keys, files, strict=True)]
    heap.server.put([*stored, StoredObject(f"manifests/sync_{dump}.json", manifest)])


def properties(heap: Heap, table: str = "ev") -> dict[str, Any]:
    found: dict[str, Any] = heap.discover().stream(table)["json_schema"]["properties"]
    return found


def headers_read(heap: Heap) -> int:
    return sum(request.path.endswith(".avro") for request in heap.server.requests)


def assert_records_match(heap: Heap, count: int, table: str = "ev") -> list[dict[str, Any]]:
    """Reads a table; every record is as its schema says, and none had to be changed."""
    stream = heap.discover().stream(table)
    output = heap.read(catalog=[stream])
    validator = Draft7Validator(stream["json_schema"], format_checker=FormatChecker())
    for row in output.records[table]:
        validator.validate(row)
    assert len(output.records[table]) == count
    assert not output.changes[table]
    return output.records[table]


# ---------------------------------------------------------------------------------------------- nested values


def test_what_is_of_several_types_within_a_value_has_all_types_in_the_schema(heap: Heap) -> None:
    def address(kind: str) -> Column:
        fields = [
            {"name": "zip", "type": ["null", kind]},
            {"name": "mix", "type": ["null", "long", "string"]},
            {"name": "both", "type": ["null", "string", "bytes"]},
        ]
        return Column("a", {"type": "record", "name": "address", "fields": fields})

    key = Column("event_id", "long")
    several = Column("l", {"type": "array", "items": ["long", "string"]})
    values = Column("m", {"type": "map", "values": ["null", "boolean", "string"]})
    whole = Column("w", {"type": "array", "items": "long"})
    first = {"event_id": 1, "a": {"zip": 8000, "mix": 5, "both": "b"}, "l": [1, "x"], "m": {"k": True}, "w": [1]}
    second = {"event_id": 2, "a": {"zip": "CH-8000", "mix": "y", "both": b"c"}, "l": [2], "m": {"k": "no"}, "w": [2]}
    columns = ["event_id", "a", "l", "m", "w"]
    put(heap, 1, file_of((key, address("long"), several, values, whole), first), columns=columns)
    put(heap, 2, file_of((key, address("string"), several, values, whole), second), columns=[*columns, "new"])

    found = properties(heap)

    assert found["a"]["properties"] == {"zip": ANYTHING, "mix": ANYTHING, "both": TEXT}
    assert found["l"] == {"type": ["null", "array"], "items": ANYTHING}
    assert found["m"] == {"type": ["null", "object"], "additionalProperties": ANYTHING}
    assert found["w"] == {"type": ["null", "array"], "items": INTEGER}
    rows = assert_records_match(heap, 2)
    assert [row["a"] for row in rows] == [first["a"], {"zip": "CH-8000", "mix": "y", "both": "c"}]


# ---------------------------------------------------------------------------------------------- files that are none

NO_TABLES: dict[str, tuple[Any, str]] = {
    "text": ("string", "its schema is not a record with named fields"),
    "union": ([{"type": "record", "name": "r", "fields": []}], "its schema is not a record with named fields"),
    "nameless": (
        {"type": "record", "name": "r", "fields": [{"type": "long"}]},
        "is not a record with named fields",
    ),
    "fieldless": ({"type": "record", "name": "r"}, "its schema is not a record with named fields"),
    "typeless": (
        {"type": "record", "name": "r", "fields": [{"name": "x", "type": {"items": "long"}}]},
        "its schema cannot be understood",
    ),
    "size": (
        {"type": "record", "name": "r", "fields": [{"name": "x", "type": {"type": "fixed", "name": "f", "size": "1"}}]},
        "cannot be",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("schema", "clause"), NO_TABLES.values(), ids=NO_TABLES)
def test_a_file_whose_schema_is_no_tables_stops_its_table_alone(schema: Any, clause: str, heap: Heap) -> None:
    put(heap, 1, container_header(schema, Codec.NULL, bytes(16)) + b"\x02\x02\x00" + bytes(16), columns=["event_id"])
    put(heap, 2, file_of(LONG, {"event_id": 1}), columns=["event_id", "x"], table="good")
    output = heap.discover()
    assert output.code == 0
    assert output.stream("ev")["json_schema"]["properties"]["event_id"]["type"] == INTEGER["type"]
    output = heap.read(catalog=output.streams)
    assert clause in output.failures["ev"].message
    assert "is not a complete Avro file: " in output.failures["ev"].message
    assert output.last_statuses == {"ev": "INCOMPLETE", "good": "COMPLETE", "_heap_dumps": "COMPLETE"}


# ---------------------------------------------------------------------------------------------- which files are read


def test_a_type_that_one_dump_in_the_middle_has_is_found(heap: Heap) -> None:
    put(heap, 1, file_of(LONG, {"event_id": 1, "x": 1}), columns=["event_id", "x"])
    put(heap, 2, file_of(WORDS, {"event_id": 2, "x": "a"}), columns=["event_id", "x"])
    put(heap, 3, file_of(LONG, {"event_id": 3, "x": 3}), columns=["event_id", "x"])
    assert properties(heap)["x"] == TEXT
    assert [row["x"] for row in assert_records_match(heap, 3)] == ["1", "a", "3"]


def test_a_type_that_the_last_file_of_the_newest_dump_has_is_found(heap: Heap) -> None:
    put(heap, 1, file_of(LONG, {"event_id": 1, "x": 1}), file_of(WORDS, {"event_id": 2, "x": "a"}), columns=["x"])
    assert properties(heap)["x"] == TEXT
    assert_records_match(heap, 2)


def test_a_column_of_one_dump_in_the_middle_is_found_where_manifests_list_none(heap: Heap) -> None:
    for dump in range(1, 31):
        put(heap, dump, file_of(LONG if dump == 17 else LONG[:1]))
    assert properties(heap)["x"] == INTEGER
    assert headers_read(heap) == 30


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "most"), [(["event_id", "x"], 9), ([], 33)])
def test_however_many_dumps_a_table_has_few_headers_are_read(columns: list[str], most: int, heap: Heap) -> None:
    for dump in range(1, 151):
        put(heap, dump, file_of(WORDS if dump == 1 else LONG), file_of(LONG), columns=columns)
    assert properties(heap)["x"] == TEXT
    assert headers_read(heap) == most
    dumps = sorted(
        int(request.path.split("sync_")[1].split("/")[0]) for request in heap.server.requests if ".avro" in request.path
    )
    gaps = [late - early for early, late in itertools.pairwise(dumps)]
    assert max(gaps) <= 2 * 150 / most


# ---------------------------------------------------------------------------------------------- refusals


def test_where_every_data_file_is_refused_types_are_not_guessed(heap: Heap) -> None:
    put(heap, 1, file_of(LONG), file_of(LONG), columns=["event_id", "x"])
    put(heap, 2, file_of(LONG), columns=["event_id", "x"], table="other")
    heap.server.faults.add(error_fault(403, "AccessDenied", r"\.avro", times=-1))
    output = heap.discover()
    assert output.code != 0
    assert not output.of_type("CATALOG")
    assert "was refused, though listing works" in output.failures[""].message
    assert output.failures[""].failure_type == "config_error"


def test_a_file_that_is_refused_among_others_is_warned_of(heap: Heap) -> None:
    put(heap, 1, file_of(LONG), columns=["event_id", "x"])
    put(heap, 2, file_of(WORDS), columns=["event_id", "x"])
    heap.server.faults.add(error_fault(403, "AccessDenied", r"sync_2/.*\.avro", times=-1))
    output = heap.discover()
    assert output.stream("ev")["json_schema"]["properties"]["x"] == INTEGER
    assert output.logged("The types of its columns are taken from other files.")


# ---------------------------------------------------------------------------------------------- what comes and goes


@pytest.mark.slow
def test_a_newly_synced_event_is_there_when_its_first_full_export_is_finished(heap: Heap) -> None:
    """It runs in the background, maybe for days: its files are in the bucket before its manifest is."""
    put(heap, 1, file_of(LONG, {"event_id": 1}), columns=["event_id", "x"])
    heap.server.put([StoredObject("sync_2/late/0.avro", file_of(LONG, {"event_id": 5}))])
    assert [stream["name"] for stream in heap.discover().streams] == ["_heap_dumps", "ev"]
    put(heap, 3, file_of(LONG, {"event_id": 2}), columns=["event_id", "x"])
    put(heap, 2, file_of(LONG, {"event_id": 5}), columns=["event_id", "x"], table="late", full=True)
    assert [row["event_id"] for row in heap.read("late").records["late"]] == [5]


@pytest.mark.slow
def test_a_property_that_is_no_longer_synced_stays_while_a_live_dump_has_it(heap: Heap) -> None:
    put(heap, 1, file_of(LONG, {"event_id": 1, "x": 1}), columns=["event_id", "x"])
    put(heap, 2, file_of(LONG[:1], {"event_id": 2}), columns=["event_id"])
    assert properties(heap)["x"] == INTEGER
    assert [row.get("x") for row in assert_records_match(heap, 2)] == [1, None]
    put(heap, 3, file_of(LONG[:1], {"event_id": 1}), columns=["event_id"], full=True)
    assert "x" not in properties(heap)
