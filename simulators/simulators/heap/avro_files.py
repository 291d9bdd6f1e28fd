"""Avro object container files as Heap's dumps hold them, and the same files broken.

A dump's file has one record named `topLevelRecord` (the name Apache Spark gives; Heap's part names are Spark's too),
snappy blocks of about 64,000 bytes, and no metadata but `avro.schema` and `avro.codec`. Readers have met both union
orders (`["string", "null"]` and `["null", "string"]`) and, since 2021, columns without any union; other codecs are
allowed by the format and were never ruled out by the vendor.
"""

import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cramjam
import fastavro

AvroType = str | dict[str, Any] | list[Any]
Row = dict[str, Any]

BLOCK_BYTES = 64_000
"""Bytes of records in a block before it is closed: the default of Avro's Java library, which Spark uses."""

_MAGIC = b"Obj\x01"
_MARKER_BYTES = 16


class Codec(StrEnum):
    """Block compression, by the name that `avro.codec` carries."""

    SNAPPY = "snappy"
    NULL = "null"
    DEFLATE = "deflate"
    ZSTANDARD = "zstandard"
    BZIP2 = "bzip2"


class UnionOrder(StrEnum):
    """How a column that may be null is declared. `PLAIN` declares it without a union, so it holds no null."""

    TYPE_FIRST = "type-first"
    NULL_FIRST = "null-first"
    PLAIN = "plain"


class Damage(StrEnum):
    """One way for a stored file to be broken."""

    EMPTY = "zero bytes"
    CUT_AT_BLOCK = "cut between two blocks"
    """Still a well-formed file: only a length from outside (Content-Length) can tell that rows are missing."""
    CUT_IN_BLOCK = "cut inside a block"
    BAD_CHECKSUM = "wrong snappy checksum"
    """The rows are intact; the CRC-32 behind the first block is not. Snappy files only."""
    HEADER_ONLY = "header without blocks"
    """A valid file of no rows."""
    NOT_AVRO = "not Avro at all"


@dataclass(frozen=True)
class Column:
    """A column and its Avro type, before the union that makes it nullable."""

    name: str
    type: AvroType = "string"
    plain: bool = False
    """Declared without a union whatever the file's style says."""

    def declared(self, order: UnionOrder) -> AvroType:
        """The type as the file's schema declares it."""
        if self.plain or order is UnionOrder.PLAIN:
            return self.type
        return [self.type, "null"] if order is UnionOrder.TYPE_FIRST else ["null", self.type]


def avro_schema(columns: Sequence[Column], order: UnionOrder) -> dict[str, Any]:
    """The record schema of a file with these columns."""
    fields = [{"name": column.name, "type": column.declared(order)} for column in columns]
    return {"type": "record", "name": "topLevelRecord", "fields": fields}


def encode(
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    *,
    order: UnionOrder = UnionOrder.TYPE_FIRST,
    codec: Codec = Codec.SNAPPY,
    block_bytes: int = BLOCK_BYTES,
    marker: bytes = b"heap-sync-marker",
) -> bytes:
    """An Avro file of the rows. The 16-byte sync marker is given, so the same rows make the same bytes."""
    buffer = io.BytesIO()
    # fastavro wants a package of its own for zstandard; cramjam, which it uses for snappy, has the codec already
    written_as = Codec.NULL if codec is Codec.ZSTANDARD else codec
    schema = fastavro.parse_schema(avro_schema(columns, order))
    fastavro.writer(buffer, schema, rows, codec=written_as, sync_interval=block_bytes, sync_marker=marker)
    if codec is not Codec.ZSTANDARD:
        return buffer.getvalue()
    return _with_zstandard(buffer.getvalue(), avro_schema(columns, order), marker)


def container_header(schema: Mapping[str, Any], codec: Codec, marker: bytes) -> bytes:
    """Magic, the two metadata entries, sync marker."""
    entries = {"avro.codec": codec.encode(), "avro.schema": json.dumps(schema).encode()}
    pairs = b"".join(
        long_bytes(len(key)) + key.encode() + long_bytes(len(value)) + value for key, value in entries.items()
    )
    return _MAGIC + long_bytes(len(entries)) + pairs + long_bytes(0) + marker


def container_block(count: int, records: bytes, codec: Codec, marker: bytes) -> bytes:
    """One block: rows in it, its length, the compressed records, the sync marker. Snappy, zstandard and null only."""
    if codec is Codec.SNAPPY:
        payload = bytes(cramjam.snappy.compress_raw(records)) + zlib.crc32(records).to_bytes(4, "big")
    elif codec is Codec.ZSTANDARD:
        payload = bytes(cramjam.zstd.compress(records))
    elif codec is Codec.NULL:
        payload = records
    else:
        message = f"container_block does not write {codec}"
        raise ValueError(message)
    return long_bytes(count) + long_bytes(len(payload)) + payload + marker


def long_bytes(value: int) -> bytes:
    """Avro's zigzag variable-length integer."""
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


@dataclass(frozen=True)
class Block:
    """Where a block lies in its file: [start, end) with the sync marker, and its compressed records."""

    start: int
    end: int
    count: int
    payload: bytes


def header_end(data: bytes) -> int:
    """The offset of the first block."""
    position = len(_MAGIC)
    while True:
        count, position = _read_long(data, position)
        if count == 0:
            return position + _MARKER_BYTES
        for _ in range(2 * count):
            length, position = _read_long(data, position)
            position += length


def blocks(data: bytes) -> list[Block]:
    """The blocks of a whole, undamaged file. `[block.end for block in ...]` are the offsets where a cut hides."""
    found = []
    position = header_end(data)
    while position < len(data):
        start = position
        count, position = _read_long(data, position)
        length, position = _read_long(data, position)
        end = position + length + _MARKER_BYTES
        found.append(Block(start, end, count, data[position : position + length]))
        position = end
    return found


def damaged(data: bytes, damage: Damage) -> bytes:
    """The file as this damage leaves it. The cuts keep about half of the file's blocks."""
    if damage is Damage.EMPTY:
        return b""
    if damage is Damage.NOT_AVRO:
        return b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code></Error>'
    if damage is Damage.HEADER_ONLY:
        return data[: header_end(data)]
    parts = blocks(data)
    if damage is Damage.BAD_CHECKSUM:
        last = parts[0].end - _MARKER_BYTES - 1
        return data[:last] + bytes([data[last] ^ 0xFF]) + data[last + 1 :]
    middle = parts[len(parts) // 2]
    return data[: middle.start] if damage is Damage.CUT_AT_BLOCK else data[: (middle.start + middle.end) // 2]


def _with_zstandard(data: bytes, schema: Mapping[str, Any], marker: bytes) -> bytes:
    body = (container_block(block.count, block.payload, Codec.ZSTANDARD, marker) for block in blocks(data))
    return container_header(schema, Codec.ZSTANDARD, marker) + b"".join(body)


def _read_long(data: bytes, position: int) -> tuple[int, int]:
    zigzag = shift = 0
    while True:
        byte = data[position]
        position += 1
        zigzag |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (zigzag >> 1) ^ -(zigzag & 1), position
        shift += 7
