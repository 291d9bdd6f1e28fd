"""Values without a JSON notation, such as NaN: only they become null, and the record lists them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from decoding import EVERYTHING, HEAD, lines_of, schema_of
from simulators.heap.avro_files import long_bytes
from source_heap.avro.file import decoder_for
from source_heap.avro.values import Projection

pytestmark = pytest.mark.usefixtures("decoder")

Decoded = list[tuple[dict[str, Any], list[dict[str, str]]]]


NESTED = {"nested": {"type": "array", "items": "long"}}


def nulled(field: str) -> dict[str, str]:
    """The note on a value that was lost."""
    return {"field": field, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}


def decoded(fields: dict[str, Any], rows: bytes, count: int, projection: Projection = EVERYTHING) -> Decoded:
    """Each row of a block with its changes."""
    decoder = decoder_for(schema_of(fields), replace(projection, head=HEAD))
    return [(json.loads(line), changes) for line, changes in lines_of(decoder.chunks([(count, rows)]))]


def block_of(fields: dict[str, Any], rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as they stand in a block."""
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    block = io.BytesIO()
    for row in rows:
        fastavro.schemaless_writer(block, schema, row)
    return block.getvalue()


def read(fields: dict[str, Any], rows: Sequence[dict[str, Any]], projection: Projection = EVERYTHING) -> Decoded:
    """The same of rows that fastavro can write."""
    return decoded(fields, block_of(fields, rows), len(rows), projection)


ABSURD = [
    *[("long", f"{zone}timestamp-millis", 253_402_300_799_999, 253_402_300_800_000) for zone in ("", "local-")],
    *[("long", f"{zone}timestamp-micros", 253_402_300_799_999_999, 2**63 - 1) for zone in ("", "local-")],
    *[("long", f"{zone}timestamp-millis", -62_135_596_800_000, -(2**63)) for zone in ("", "local-")],
    ("int", "date", 2_932_896, 2**31 - 1),
    ("int", "date", -719_162, -719_163),
    ("int", "time-millis", 86_399_999, 86_400_000),
    ("int", "time-millis", 0, -1),
    ("long", "time-micros", 86_399_999_999, 2**63 - 1),
]
LAST = {
    "timestamp-millis": "9999-12-31T23:59:59.999000Z",
    "local-timestamp-millis": "9999-12-31T23:59:59.999000",
    "timestamp-micros": "9999-12-31T23:59:59.999999Z",
    "local-timestamp-micros": "9999-12-31T23:59:59.999999",
    "date": "9999-12-31",
    "time-millis": "23:59:59.999000",
    "time-micros": "23:59:59.999999",
}


@pytest.mark.parametrize(("kind", "logical", "last", "beyond"), ABSURD)
def test_an_instant_that_no_calendar_has_is_nulled_alone(kind: str, logical: str, last: int, beyond: int) -> None:
    rows = b"".join(b"\x02" + long_bytes(value) for value in (last, beyond))
    (first, kept), lost = decoded({"it": ["null", {"type": kind, "logicalType": logical}]}, rows, 2)
    assert first["it"] == LAST[logical] if last > 0 else first["it"].startswith(("0001-01-01", "00:00:00"))
    assert kept == []
    assert lost == ({"it": None}, [nulled("it")])


def test_a_uuid_that_is_none_stays_text() -> None:
    rows = long_bytes(4) + b"none"
    assert decoded({"u": {"type": "string", "logicalType": "uuid"}}, rows, 1) == [({"u": "none"}, [])]


INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-millis"}
DAY = {"type": "int", "logicalType": "date"}


@pytest.mark.parametrize(
    ("kind", "early", "late"),
    [
        (INSTANT, 1_577_836_800_000_000, 1_767_225_600_000_000),
        (LOCAL, 1_577_836_800_000, 1_767_225_600_000),
        (DAY, 18_262, 20_454),
        ("bytes", b"2020-01-01 00:00:00", b"2026-01-01 00:00:00"),
    ],
)
@pytest.mark.parametrize("target", [None, {"id": "integer"}, {"id": "integer", "time": "time"}])
@pytest.mark.parametrize("nested", [False, True])
def test_rows_older_than_the_start_are_left_out_whatever_their_time_is_made_of(
    kind: Any, early: Any, late: Any, target: dict[str, str] | None, nested: bool
) -> None:
    fields = {"id": "long", "time": ["null", kind]} | (NESTED if nested else {})
    plain_fields = {**fields, "time": ["null", kind["type"] if isinstance(kind, dict) else kind]}
    rows = [{"id": index, "time": time, "nested": []} for index, time in enumerate((early, late, None))]
    file = block_of(plain_fields, rows)
    found = decoded(fields, file, 3, Projection(target, {}, "2025-01-01T00:00:00.000000Z", normalize_times=True))
    assert [row["id"] for row, _ in found] == [1, 2]


def test_a_logical_type_in_a_time_column_is_an_instant_and_0_is_none() -> None:
    fields = {"time": INSTANT, "session_time": LOCAL, "joindate": DAY, "renewal": INSTANT}
    some = dict.fromkeys(fields, 0) | {"time": 1_714_566_896_789_012, "session_time": 1_714_566_896_789, "joindate": 1}
    rows = block_of(dict.fromkeys(fields, "long"), [some, dict.fromkeys(fields, 0)])
    assert decoded(fields, rows, 2, Projection(dict.fromkeys(fields, "time"), {})) == [
        (
            {
                "time": "2024-05-01T12:34:56.789012Z",
                "session_time": "2024-05-01T12:34:56.789000Z",
                "joindate": "1970-01-02T00:00:00.000000Z",
                "renewal": "1970-01-01T00:00:00.000000Z",
            },
            [],
        ),
        (
            {"time": None, "joindate": None}
            | dict.fromkeys(("session_time", "renewal"), "1970-01-01T00:00:00.000000Z"),
            [],
        ),
    ]


@pytest.mark.parametrize("target", ["any", "string"])
def test_a_lost_value_within_another_is_listed_by_its_path(target: str) -> None:
    point = {
        "type": "record",
        "name": "point",
        "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": "double"}],
    }
    fields = {"p": point, "l": {"type": "array", "items": {"type": "map", "values": "double"}}, "n": "double"}
    row = {"p": {"x": math.nan, "y": 1.5}, "l": [{}, {"k": -math.inf}], "n": 2.0}
    [(found, changes)] = read(fields, [row], Projection(dict.fromkeys(fields, target), {}))
    values = {name: json.loads(value) if target == "string" else value for name, value in found.items()}
    assert values == {"p": {"x": None, "y": 1.5}, "l": [{}, {"k": None}], "n": 2.0}
    assert changes == [nulled("p.x"), nulled("l.1.k")]


@pytest.mark.parametrize("target", ["any", "string", "number", "integer", "boolean", "time"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_nan_becomes_null_for_every_target_type(target: str, nested: bool) -> None:
    fields = {"x": ["null", "double"]} | (NESTED if nested else {})
    rows = [{"x": x, "nested": []} for x in (math.nan, math.inf, -math.inf)]
    assert read(fields, rows, Projection({"x": target}, {})) == [({"x": None}, [nulled("x")])] * 3


@pytest.mark.parametrize("text", ["1" * 5000, "0" * 5000, "-" + "9" * 5000, "1." + "1" * 5000, "1e" + "9" * 5000])
@pytest.mark.parametrize("target", ["integer", "time"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_number_without_end_is_nulled(text: str, target: str, nested: bool) -> None:
    fields = {"x": "string"} | (NESTED if nested else {})
    projection = Projection({"x": target}, {})
    [(row, changes)] = read(fields, [{"x": text, "nested": []}], projection)
    assert (row, changes) == ({"x": None}, [nulled("x")])


@pytest.mark.parametrize("nested", [False, True])
def test_a_number_without_end_does_not_decide_about_its_row(nested: bool) -> None:
    fields = {"time": "string"} | (NESTED if nested else {})
    projection = Projection({"time": "string"}, {}, "2025-01-01T00:00:00.000000Z")
    row = {"time": "1" * 5000, "nested": []}
    assert read(fields, [row], projection) == [({"time": row["time"]}, [])]


@pytest.mark.parametrize("target", ["integer", "number", "time"])
def test_a_long_text_that_is_almost_a_number_is_refused_at_once(target: str) -> None:
    text = "1" * 300_000 + "x"
    [(row, changes)] = read({"x": "string"}, [{"x": text}], Projection({"x": target}, {}))
    assert (row, changes) == ({"x": None}, [nulled("x")])
