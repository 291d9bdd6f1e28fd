"""Which types a table's columns get, from the headers of a few files of its live dumps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from heap_world import Heap
from jsonschema import Draft7Validator, FormatChecker
from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject

INTEGER, TEXT = {"type": ["null", "integer"]}, {"type": ["null", "string"]}
LONG = (Column("event_id", "long"), Column("x", "long"))
WORDS = (Column("event_id", "long"), Column("x", "string"))


def file_of(columns: Sequence[Column], *rows: Mapping[str, Any]) -> bytes:
    """An Avro file, by default of one row of nulls."""
    return encode(columns, rows or [{}])


def put(heap: Heap, dump: int, *files: bytes, columns: Sequence[str] = (), table: str = "ev") -> None:
    """A dump of one table: the first is full, the others add to it."""
    keys = [f"sync_{dump}/{table}/part-{index:05d}.avro" for index in range(len(files))]
    addresses = [f"s3://{heap.server.bucket}/{key}" for key in keys]
    entry = {"name": table, "files": addresses, "columns": list(columns), "incremental": dump > 1}
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


def test_what_is_of_several_types_within_a_value_has_none_in_the_schema(heap: Heap) -> None:
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

    assert found["a"]["properties"] == {"zip": {}, "mix": {}, "both": TEXT}
    assert found["l"] == {"type": ["null", "array"], "items": {}}
    assert found["m"] == {"type": ["null", "object"], "additionalProperties": {}}
    assert found["w"] == {"type": ["null", "array"], "items": INTEGER}
    rows = assert_records_match(heap, 2)
    assert [row["a"] for row in rows] == [first["a"], {"zip": "CH-8000", "mix": "y", "both": "c"}]
