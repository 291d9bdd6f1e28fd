"""Values that no vendor should send: beyond the calendar, endless, not a number. They are lost alone, and told."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import fastavro
import pytest
from simulators.heap.avro_files import long_bytes
from source_heap.avro.container import parse_header, read_blocks, scan
from source_heap.avro.decoder import Decoder
from source_heap.avro.values import RowRules

EVERYTHING = RowRules(None, {})
Told = list[tuple[dict[str, Any], list[dict[str, str]]]]


def nulled(field: str) -> dict[str, str]:
    """The note on a value that was lost."""
    return {"field": field, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}


def decoded(fields: dict[str, Any], rows: bytes, count: int, rules: RowRules = EVERYTHING, fast: bool = False) -> Told:
    """Each row of a block with its changes."""
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    decoder = Decoder(schema, rules)
    assert decoder.is_fast is fast
    told: Told = []
    for piece in decoder.pieces([(count, rows)]):
        lines = piece.lines.splitlines()
        told += zip(map(json.loads, lines), piece.changes or [[] for _ in lines], strict=True)
    return told


def read(
    fields: dict[str, Any], rows: Sequence[dict[str, Any]], rules: RowRules = EVERYTHING, fast: bool = False
) -> Told:
    """The same of rows that fastavro can write."""
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}
    file = io.BytesIO()
    fastavro.writer(file, schema, rows)
    header = parse_header(file.getvalue())
    blocks = list(read_blocks(file, header.codec, scan(file, header, len(file.getvalue()))))
    return decoded(fields, b"".join(data for _, data in blocks), len(rows), rules, fast)


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
