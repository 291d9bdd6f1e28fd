"""Avro object container files of Heap's dumps, whole and damaged.

A file has one record type with the name `topLevelRecord`, snappy blocks of about 64,000 bytes, and two metadata
entries: `avro.schema` and `avro.codec`. Apache Spark gives that record name, and Heap's files have Spark's part names
too. Other readers have seen both union orders (`["string", "null"]` and `["null", "string"]`) and, since 2021, columns
without a union. The format allows other codecs, and the vendor does not exclude them.
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
"""A block ends after this many bytes of records. It is the default of Avro's Java library, which Spark uses."""

_MAGIC = b"Obj\x01"
_MARKER_BYTES = 16


class Codec(StrEnum):
    """Compression of the blocks; the value is the one of `avro.codec`."""

    SNAPPY = "snappy"
    NULL = "null"
    DEFLATE = "deflate"
    ZSTANDARD = "zstandard"
    BZIP2 = "bzip2"


class UnionOrder(StrEnum):
    """How a nullable column is declared. `PLAIN` declares it without a union, so it cannot hold null."""

    TYPE_FIRST = "type-first"
    NULL_FIRST = "null-first"
    PLAIN = "plain"


class Damage(StrEnum):
    """How a stored file is damaged."""

    EMPTY = "zero bytes"
    CUT_AT_BLOCK = "cut between two blocks"
    """The file is still well-formed. Only Content-Length shows that rows are missing."""
    CUT_IN_BLOCK = "cut inside a block"
    BAD_CHECKSUM = "wrong snappy checksum"
    """The rows are intact, but the CRC-32 of the first block is wrong. Snappy files only."""
    HEADER_ONLY = "header without blocks"
    """A valid file without rows."""
    NOT_AVRO = "not Avro at all"


@dataclass(frozen=True)
class Column:
    """A column and its Avro type, without the union with null."""

    name: str
    type: AvroType = "string"
    plain: bool = False
    """Declared without a union, whatever the style of the file is."""

    def declared(self, order: UnionOrder) -> AvroType:
        """The type in the schema of the file."""
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
    """An Avro file of the rows. The 16-byte sync marker is an argument, so the same rows give the same bytes."""
    buffer = io.BytesIO()
    # For zstandard fastavro needs a further package. cramjam, which it uses for snappy, has this codec too.
    written_as = Codec.NULL if codec is Codec.ZSTANDARD else codec
    schema = fastavro.parse_schema(avro_schema(columns, order))
    fastavro.writer(buffer, schema, rows, codec=written_as, sync_interval=block_bytes, sync_marker=marker)
    if codec is not Codec.ZSTANDARD:
        return buffer.getvalue()
    return _with_zstandard(buffer.getvalue(), avro_schema(columns, order), marker)


def container_header(schema: Mapping[str, Any], codec: Codec, marker: bytes) -> bytes:
    """The header of a file: magic bytes, two metadata entries, sync marker."""
    entries = {"avro.codec": codec.encode(), "avro.schema": json.dumps(schema).encode()}
    pairs = b"".join(
        long_bytes(len(key)) + key.encode() + long_bytes(len(value)) + value for key, value in entries.items()
    )
    return _MAGIC + long_bytes(len(entries)) + pairs + long_bytes(0) + marker


def container_block(count: int, records: bytes, codec: Codec, marker: bytes) -> bytes:
    """One block: number of rows, length, compressed records, sync marker. Snappy, zstandard and null only."""
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
    """A block: its offsets `start` and `end` (after the sync marker), number of rows, and compressed records."""

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
    """The blocks of an undamaged file. A file that is cut at a `block.end` is still well-formed."""
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
    """The bytes of a file with this damage. The cuts keep about half of the blocks."""
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
