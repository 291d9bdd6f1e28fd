"""Random flat tables: every type, drift between the file's schema and the catalog, odd values, mutated bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulators.heap.avro_files import long_bytes
from source_heap.avro.values import Projection, target_type

NAMES = ["time", "joindate", "session_time", "last_modified", "a", 'b"', "_heap_file", "ü"]
TARGETS = ["any", "time", "string", "integer", "number", "boolean", "object", "array", "null"]
TYPES: list[Any] = [
    *("null", "boolean", "int", "long", "float", "double", "string", "bytes"),
    {"type": "enum", "name": "e", "symbols": ["A", 'B"x', "2024-05-01 00:00:00"]},
    {"type": "fixed", "name": "f", "size": 4},
    {"type": "fixed", "name": "nothing", "size": 0},
    *(
        {"type": "long", "logicalType": f"{zone}timestamp-{unit}"}
        for zone in ("", "local-")
        for unit in ("millis", "micros", "nanos")
    ),
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
    {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 19},
    {"type": "fixed", "name": "d", "size": 5, "logicalType": "decimal", "precision": 8, "scale": 0},
    {"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "long", "logicalType": "not-a-type"},
]
TEXTS = [
    *(b"", b"a", b"hello world, this is long", b"true", b'caf\xc3\xa9 "q"\\\n\x00', b"x" * 5000 + b"\x01"),
    "\u2028é𝄞\x7f".encode(),
    # no UTF-8: unknown bytes, half a surrogate pair, beyond the last character, cut
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80\xf4\x90\x80\x80", b"cut \xe2\x82"),
    # instants, and what is almost one
    *(b"2024-05-01 12:34:56.789", b"2024-05-01T12:34:56Z", b"2024-05-01 12:34:56+02:00", b"2024-05-01 12:34:56-0730"),
    *(b"2024-02-30 00:00:00", b"2024-05-01 24:00:00", b"2024-05-01 12:34:56.", b"2024-05-01 12:34:56.1234567890"),
    *(b"0001-01-01 00:00:00+01", b"9999-12-31 23:59:59.9999999", b"0000-05-01 12:34:56", b"2024-05-01 12:34:56 Z"),
    *(b"2024-05-01 12:34:56Zx", b"2024-05-01  2:34:56", b"2024-04-30 23:59:59.999999", b"2024-05-01 00:00:00"),
    *(b"0", b"1714567890123", b"-5", b"+7", b"1.5", b"1e3", b"12345678901234567890"),
]
INTEGERS = [0, 1, -1, 10**11, -(10**14), 10**17, 19_000, 86_399_999, 86_400_000, 1_714_567_890_123, 2**53 + 1]
DOUBLES = [0.0, -0.0, 0.1, 1.5, 1e300, 2.0**60, 1e15, 1e16, 123456789012345680.0, 5e-324, float("nan"), float("-inf")]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a file as they stand in a block, with what the catalog wants of them. Mutated rows may be none."""

    schema: dict[str, Any]
    projection: Projection
    rows: tuple[bytes, ...]
    mutated: bool


def random_table(rng: random.Random, most_rows: int = 4, mutate: bool = True) -> Table:
    """A table of a few columns and rows."""
    names = rng.sample(NAMES, rng.randint(1, 5))
    schema = {"type": "record", "name": "r", "fields": [{"name": name, "type": _column(rng)} for name in names]}
    rows = tuple(
        b"".join(_cell(rng, field["type"]) for field in schema["fields"]) for _ in range(rng.randint(0, most_rows))
    )
    mutated = mutate and any(rows) and rng.random() < 0.15
    if mutated:
        rows = (_mutated(rng, b"".join(rows)), *[b""] * (len(rows) - 1))
    return Table(schema, _projection(rng, names), rows, mutated)


def _projection(rng: random.Random, names: Sequence[str]) -> Projection:
    normalize = rng.random() < 0.6
    columns = None
    if rng.random() < 0.7:
        columns = {name: target_type(name, rng.choice(TARGETS), normalize) for name in names if rng.random() < 0.8}
    constants = {"_heap_dump_id": 5} if rng.random() < 0.5 else {}
    since = "2024-05-01T00:00:00.000000Z" if rng.random() < 0.5 else None
    return Projection(columns, constants, since, normalize, head=rng.choice([b"", b'{"record":{"data":']))


def _column(rng: random.Random) -> Any:
    """A type, mostly nullable, or a union of several."""
    chance = rng.random()
    if chance < 0.3:
        return _type(rng)
    if chance < 0.8:
        return rng.sample(["null", _type(rng, TYPES[1:])], 2)
    union: dict[str, Any] = {}
    for _ in range(rng.randint(2, 4)):
        kind = _type(rng)
        name = kind if isinstance(kind, str) else kind.get("name", kind["type"])
        union.setdefault(name, kind)
    return list(union.values())


def _type(rng: random.Random, among: Sequence[Any] = TYPES) -> Any:
    kind = rng.choice(among)
    if isinstance(kind, dict) and "name" in kind:  # a name stands for one type in a schema
        return {**kind, "name": f"{kind['name']}{rng.getrandbits(40)}"}
    return kind


def _cell(rng: random.Random, kind: Any) -> bytes:
    if isinstance(kind, list):
        index = rng.randrange(len(kind))
        return long_bytes(index) + _value(rng, kind[index])
    return _value(rng, kind)


def _value(rng: random.Random, kind: Any) -> bytes:
    match kind if isinstance(kind, str) else kind["type"]:
        case "boolean":
            return rng.choice([b"\0", b"\1"])
        case "int":
            return long_bytes(_integer(rng, 31))
        case "long":
            return long_bytes(_integer(rng, 63))
        case "float":
            return rng.choice([struct.pack("<f", rng.choice([0.0, -0.0, 0.1, 1e30, float("inf")])), rng.randbytes(4)])
        case "double":
            usual = rng.choice([*DOUBLES, rng.random() * 10 ** rng.randint(-20, 20)])
            return rng.choice([struct.pack("<d", usual), rng.randbytes(8)])
        case "string" | "bytes":
            data = rng.choice(TEXTS) if rng.random() < 0.7 else rng.randbytes(rng.randint(0, 12))
            return long_bytes(len(data)) + data
        case "enum":
            return long_bytes(rng.randrange(3))
        case "fixed":
            return rng.choice([rng.randbytes(kind["size"]), b"a" * kind["size"]])
    return b""


def _integer(rng: random.Random, bits: int) -> int:
    limit = 2**bits
    small = [number for number in INTEGERS if abs(number) < limit]
    drawn = rng.getrandbits(rng.randint(1, bits))
    return rng.choice([*small, limit - 1, -limit, drawn, -drawn])


def _mutated(rng: random.Random, rows: bytes) -> bytes:
    """Rows with a few other bytes, some longer or shorter."""
    data = bytearray(rows)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.getrandbits(8)
    return bytes(data) if rng.random() < 0.7 else bytes(data[: rng.randrange(len(data))])
