"""Values of Avro's logical types, and of `session_time`, which is emitted as the file has it."""

from __future__ import annotations

import io
import struct
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from avro_by_hand import file, put_tables, read_table, record, text
from heap_world import Heap
from simulators.heap.avro_files import long_bytes

pytestmark = pytest.mark.usefixtures("decoder")

INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
LOCAL = INSTANT | {"airbyte_type": "timestamp_without_timezone"}
TEXT, INTEGER, NUMBER = ({"type": ["null", kind]} for kind in ("string", "integer", "number"))


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """A type with a logical type."""
    return {"type": kind, "logicalType": name, **({"name": "it"} if kind == "fixed" else {}), **more}


def decimal(scale: int, precision: int = 4) -> dict[str, Any]:
    """A decimal of few digits."""
    return logical("bytes", "decimal", precision=max(precision, scale), scale=scale)


NANOS = long_bytes(1_700_000_000_123_456_789)
VALUES: dict[str, tuple[Any, bytes, Any, Any]] = {
    "nanoseconds": (logical("long", "timestamp-nanos"), NANOS, INSTANT, "2023-11-14T22:13:20.123456Z"),
    "a nanosecond before 1970": (
        logical("long", "timestamp-nanos"),
        long_bytes(-1),
        INSTANT,
        "1969-12-31T23:59:59.999999Z",
    ),
    "local nanoseconds": (logical("long", "local-timestamp-nanos"), NANOS, LOCAL, "2023-11-14T22:13:20.123456"),
    "a uuid of bytes": (
        logical("fixed", "uuid", size=16),
        bytes.fromhex("0123456789abcdef0123456789ABCDEF"),
        TEXT,
        "01234567-89ab-cdef-0123-456789abcdef",
    ),
    "a uuid of too few bytes": (logical("fixed", "uuid", size=4), b"abcd", TEXT, "abcd"),
    "a decimal": (decimal(2), text(b"\x04\xd2"), TEXT, "12.34"),
    "a negative decimal": (decimal(2), text(b"\xff"), TEXT, "-0.01"),
    "a decimal of nothing": (decimal(2), text(b""), TEXT, "0.00"),
    "a decimal without scale": (decimal(0), text(b"\x80"), TEXT, "-128"),
    "more digits than the precision": (decimal(2), text((12_345_678_901).to_bytes(5)), TEXT, "123456789.01"),
    "a hundred digits": (decimal(50), text((10**99 + 1).to_bytes(42)), TEXT, f"1{'0' * 49}.{'0' * 49}1"),
    "a decimal of fixed size": (
        logical("fixed", "decimal", size=2, precision=4, scale=1),
        b"\x7f\xff",
        TEXT,
        "3276.7",
    ),
    "a precision that the size has not": (logical("fixed", "decimal", size=2, precision=5), b"ab", TEXT, "ab"),
}


@pytest.mark.slow
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(("kind", "data", "declared", "value"), VALUES.values(), ids=VALUES)
def test_a_logical_type_has_one_notation(
    kind: Any, data: bytes, declared: Any, value: Any, within: bool, heap: Heap
) -> None:
    column = {"type": "array", "items": kind} if within else ["null", kind]
    row = long_bytes(1) + (long_bytes(1) + data + long_bytes(0) if within else b"\x02" + data)
    put_tables(heap, {"ev": file(record(("event_id", "long"), ("it", column)), [row])})
    found = heap.discover().stream("ev")["json_schema"]["properties"]["it"]
    assert found == ({"type": ["null", "array"], "items": declared} if within else declared)
    output, rows = read_table(heap)
    assert rows == [{"event_id": 1, "it": [value] if within else value}]
    assert not output.changes["ev"]


@pytest.mark.parametrize(
    ("kind", "data"), [(decimal(2), text(b"\x01" * 1_001)), (decimal(1_001), text(b"\x01"))], ids=["long", "small"]
)
def test_a_decimal_beyond_all_use_is_nulled_and_recorded(kind: Any, data: bytes, heap: Heap) -> None:
    put_tables(heap, {"ev": file(record(("event_id", "long"), ("it", kind)), [long_bytes(1) + data])})
    output, rows = read_table(heap)
    assert rows == [{"event_id": 1}]
    assert output.changes["ev"][0][1] == [{"field": "it", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]


def test_another_program_in_the_process_reads_avro_as_before(heap: Heap) -> None:
    """Spark's Python workers and notebooks read other Avro files, and fastavro's readers are the whole process's."""
    schema = record(("event_id", "long"), ("it", {"type": "array", "items": decimal(2)}))
    row = long_bytes(1) + long_bytes(1) + text(b"\x04\xd2") + long_bytes(0)
    put_tables(heap, {"ev": file(schema, [row])})
    _output, rows = read_table(heap)
    assert rows == [{"event_id": 1, "it": ["12.34"]}]
    assert [found["it"] for found in fastavro.reader(io.BytesIO(file(schema, [row])))] == [[Decimal("12.34")]]


# ---------------------------------------------------------------------------------------------- session_time

MICROS = logical("long", "timestamp-micros")
SESSION_TIMES: dict[str, tuple[Any, bytes, Any, Any]] = {
    "seconds": ("long", long_bytes(12), INTEGER, 12),
    "no seconds": ("long", long_bytes(0), INTEGER, 0),
    "parts of seconds": ("double", struct.pack("<d", 12.5), NUMBER, 12.5),
    "milliseconds of 2024": ("long", long_bytes(1_714_566_896_789), INTEGER, 1_714_566_896_789),
    "an instant as text": ("string", text("2024-05-01 12:34:56.789"), TEXT, "2024-05-01T12:34:56.789000Z"),
    "an instant with an offset": ("string", text("2024-05-01T12:34:56+02:00"), TEXT, "2024-05-01T10:34:56.000000Z"),
    "seconds as text": ("string", text("12.5"), TEXT, "12.5"),
    "a clock": ("string", text("00:00:12"), TEXT, "00:00:12"),
    "no day": ("string", text("2024-02-31 12:34:56"), TEXT, "2024-02-31 12:34:56"),
    "without a zone": (logical("long", "local-timestamp-nanos"), NANOS, LOCAL, "2023-11-14T22:13:20.123456"),
    "a logical type": (MICROS, long_bytes(1_714_566_896_789_012), INSTANT, "2024-05-01T12:34:56.789012Z"),
}


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("kind", "data", "declared", "value"), SESSION_TIMES.values(), ids=SESSION_TIMES)
def test_session_time_is_an_instant_only_where_it_says_so(
    kind: Any, data: bytes, declared: Any, value: Any, nested: bool, heap: Heap
) -> None:
    columns = [("event_id", "long"), ("session_time", ["null", kind])]
    columns += [("l", {"type": "array", "items": "long"})] if nested else []
    row = long_bytes(1) + b"\x02" + data + (b"\0" if nested else b"")
    put_tables(heap, {"ev": file(record(*columns), [row, row])})
    found = heap.discover().stream("ev")["json_schema"]["properties"]["session_time"]
    assert {key: value for key, value in found.items() if key != "description"} == declared
    output, rows = read_table(heap)
    assert [row["session_time"] for row in rows] == [value, value]
    empty = [{**heap.discover().stream("ev"), "json_schema": {}}]
    assert [row["session_time"] for row in heap.read(catalog=empty).records["ev"]] == [value, value]
    assert not output.changes["ev"]


def test_a_session_time_of_both_eras_is_text(heap: Heap) -> None:
    old = file(record(("event_id", "long"), ("session_time", "string")), [long_bytes(1) + text("2024-05-01 12:34:56")])
    new = file(record(("event_id", "long"), ("session_time", "double")), [long_bytes(2) + struct.pack("<d", 0.0)])
    put_tables(heap, {"ev": old})
    put_tables(heap, {"ev": new}, dump=2, incremental=True)
    _, rows = read_table(heap)
    assert rows == [
        {"event_id": 1, "session_time": "2024-05-01T12:34:56.000000Z"},
        {"event_id": 2, "session_time": "0.0"},
    ]
    assert [row.get("session_time") for row in read_table(heap, timestamp_mode="raw")[1]] == [
        "2024-05-01 12:34:56",
        "0.0",
    ]


def test_if_a_catalog_still_declares_an_instant_seconds_are_nulled_and_recorded(heap: Heap) -> None:
    schema = record(("event_id", "long"), ("session_time", "long"))
    put_tables(heap, {"ev": file(schema, [long_bytes(1) + long_bytes(12)])})
    stream = heap.discover().stream("ev")
    stream["json_schema"]["properties"]["session_time"] = INSTANT
    output = heap.read(catalog=[stream])
    assert [row["session_time"] for row in output.records["ev"]] == [None]
    assert output.changes["ev"][0][1][0]["field"] == "session_time"
