"""Writes random Avro files, valid ones and ones with mistakes, from nothing but the specification.

It does not use fastavro, which would refuse to write most of what is of interest here.
"""

from __future__ import annotations

import bz2
import json
import lzma
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cramjam
from simulators.heap.avro_files import long_bytes

MARKER = bytes(range(16))
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.compress(data, wbits=-15),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4, "big"),
    "zstandard": lambda data: bytes(cramjam.zstd.compress(data)),
}
NAMES = ("time", "joindate", "last_modified", "session_time", "user_id", "name", 'odd "näme"\n', "event_id")
PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "string", "bytes")
LOGICAL = (
    *[("long", name) for name in ("timestamp-millis", "timestamp-micros", "timestamp-nanos", "time-micros")],
    *[("long", f"local-timestamp-{unit}") for unit in ("millis", "micros", "nanos")],
    *[("int", name) for name in ("date", "time-millis", "unknown")],
    ("string", "uuid"),
)
LONGS = (0, 1, -1, 63, 64, 127, 1_714_567_890, 1_714_567_890_123, 10**11, 10**14, 10**17, 2**53 + 1, 2**62, -(2**63))
COUNTS = (0, 1, 2, 7, 8, 9, 16, 18, 19, 2**31, 2**63, 2**64 - 1)
NUMBERS = (0.0, -0.0, 1.5, 0.1, 1e16, 1e17, 1e22, 5e-324, 2.0**60, 1e308, float("nan"), float("inf"), 123456.789)
TEXTS = (
    b"",
    b"x",
    b"2024-05-01 12:34:56.789",
    b"2024-05-01T12:34:56Z",
    b"2024-05-01 12:34:56.1234567+05:30",
    b"9999-12-31 23:59:59-01",
    b"0001-01-01 00:00:00+01:00",
    b"2023-02-29 00:00:00",
    b"1714567890123",
    b"-5",
    b"12.5",
    b"true",
    b"seven b",
    b"eight by",
    b"nine byte",
    b'"\\/\b\f\n\r\t\x00\x1f\x7f',
    "äöü €𝄞\u2028".encode(),
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"x" * 4093 + "€€".encode(),
    b"\x01" * 4100,
)


def schema(rng: random.Random) -> dict[str, Any]:
    """A random schema of rows: mostly flat ones."""
    kinds = [column_type(rng) for _ in range(rng.choice((0, 1, 2, 4, 8)))]
    names = rng.sample(NAMES, len(kinds)) if rng.random() < 0.9 else rng.choices(NAMES, k=len(kinds))
    if rng.random() < 0.1 and names:
        kinds[-1] = rng.choice(({"type": "array", "items": kinds[-1]}, {"type": "map", "values": "long"}))
    fields = [{"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)]
    return {"type": "record", "name": "topLevelRecord", "fields": fields}


def column_type(rng: random.Random) -> Any:
    """A flat type of a column: with null as usual, of several types, or plain."""
    choice = rng.random()
    if choice < 0.5:
        branches = ["null", plain_type(rng)]
        return branches if rng.random() < 0.5 else branches[::-1]
    if choice < 0.7:
        return [plain_type(rng) for _ in range(rng.choice((0, 1, 2, 3, 5)))]
    return plain_type(rng)


def plain_type(rng: random.Random) -> Any:
    """A primitive, a logical type, an enum or a fixed."""
    name = f"n{rng.getrandbits(32)}"
    match rng.randrange(8):
        case 0 | 1 | 2 | 3:
            return rng.choice(PRIMITIVES)
        case 4:
            kind, logical = rng.choice(LOGICAL)
            return {"type": kind, "logicalType": logical}
        case 5:
            return {"type": "enum", "name": name, "symbols": ["RED", 'qu"ote', "näme", ""][: rng.randint(0, 4)]}
        case 6:
            fixed = {"type": "fixed", "name": name, "size": rng.choice(COUNTS)}
            return {**fixed, **rng.choice(({}, {"logicalType": "uuid", "size": 16}, decimal(rng)))}
    return {"type": "bytes", **decimal(rng)}


def decimal(rng: random.Random) -> dict[str, Any]:
    """The annotation of a decimal."""
    return {"logicalType": "decimal", "precision": rng.choice(COUNTS), "scale": rng.choice(COUNTS)}


def value(kind: Any, rng: random.Random) -> bytes:
    """A random value, encoded; also values that break the format, now and then."""
    if isinstance(kind, list):
        if not kind or rng.random() < 0.003:
            return long_bytes(rng.choice((-1, len(kind), 2**40)))
        place = rng.randrange(len(kind))
        return long_bytes(place) + value(kind[place], rng)
    name = kind if isinstance(kind, str) else kind["type"]
    match name:
        case "null":
            return b""
        case "boolean":
            return rng.choice((b"\0", b"\1")) if rng.random() < 0.99 else b"\2"
        case "int" | "long":
            return integer(rng)
        case "float":
            return struct.pack("<f", min(rng.choice(NUMBERS), 3e38))
        case "double":
            return struct.pack("<d", rng.choice(NUMBERS)) if rng.random() < 0.5 else rng.randbytes(8)
        case "string" | "bytes":
            text = rng.choice(TEXTS) if rng.random() < 0.8 else rng.randbytes(rng.randrange(20))
            return long_bytes(len(text)) + text
        case "enum":
            return long_bytes(rng.randrange(max(1, len(kind["symbols"]))))
        case "fixed":
            return rng.randbytes(min(kind["size"], 40))
        case "array" | "map":
            return long_bytes(0)
    return b""


def integer(rng: random.Random) -> bytes:
    """An integer; one of more bits than the format allows, now and then."""
    choice = rng.random()
    if choice < 0.005:
        return b"\xff" * rng.choice((9, 10, 11)) + rng.choice((b"\1", b"\2", b"\x7f"))
    if choice < 0.5:
        return long_bytes(rng.choice(LONGS))
    return long_bytes(rng.getrandbits(rng.randrange(1, 63)) * rng.choice((1, -1)))


def file(schema: Any, blocks: Sequence[tuple[int, bytes]], codec: str) -> bytes:
    """A file of blocks of (number of rows, rows). A schema that is bytes is written as it is."""
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    parts = [b"Obj\x01", long_bytes(2), *map(_sized, (b"avro.schema", text, b"avro.codec", codec.encode())), b"\0"]
    parts.append(MARKER)
    for count, rows in blocks:
        parts += [long_bytes(count), _sized(PACKERS[codec](rows)), MARKER]
    return b"".join(parts)


def _sized(data: bytes) -> bytes:
    return long_bytes(len(data)) + data


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a few mistakes: flipped bits, lost, repeated, inserted and typical bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at : at + rng.choice((1, 4, 30))]
            case 2:
                changed[at:at] = changed[at : at + rng.choice((1, 8, 60))]
            case 3:
                changed[at:at] = rng.randbytes(rng.choice((1, 2, 9)))
            case 4:
                changed[at : at + 1] = rng.choice(
                    (b"\0", b"\xff", b"\x80", b'"', b"\x7f", b"\xff" * 9 + b"\1", b"9" * 19)
                )
            case 5:
                del changed[at:]
    return bytes(changed)
