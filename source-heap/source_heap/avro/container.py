"""Avro object container files: header, blocks, compression.

The format is the Avro 1.11 specification's ("Object Container Files"): magic, a metadata map, a 16-byte marker, then
blocks of a row count, a byte length, the compressed rows, and the marker again.

fastavro reads the same format, but ends quietly where a file is cut between two blocks, does not check the CRC-32
behind a snappy block, and cannot start in the middle; all three matter here.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import cramjam
import orjson

MAGIC = b"Obj\x01"
_MARKER_BYTES = 16
#: More than any count or length that the format allows
_LONG_BYTES = 10
_CHECKSUM_BYTES = 4


class BrokenFile(Exception):
    """The bytes are not a whole, valid Avro file. The text is a clause that says why, without any data."""


class HeaderCut(BrokenFile):
    """The bytes end within the header: right for the first bytes of a file, wrong for a whole one."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the first block. `size` is the offset of the first block."""

    schema: Any
    codec: str
    marker: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block's compressed rows lie in the file, and how many rows they are."""

    start: int
    size: int
    rows: int


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag-encoded integer at a position, and the position behind it. Raises IndexError, or BrokenFile."""
    value = shift = 0
    for position in range(at, at + _LONG_BYTES):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    msg = "an integer is longer than the format allows"
    raise BrokenFile(msg)


def parse_header(data: bytes) -> Header:
    """The header at the start of these bytes. Raises HeaderCut where they end too early, BrokenFile if it is none."""
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        msg = "it does not begin as an Avro file does"
        raise BrokenFile(msg)
    try:
        metadata, at = _metadata(data, len(MAGIC))
    except IndexError:
        metadata, at = {}, len(data) + 1
    if at + _MARKER_BYTES > len(data):
        msg = "it ends within its header"
        raise HeaderCut(msg)
    codec = metadata.get("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _DECOMPRESSORS:
        msg = f"its compression is {codec[:40]!r}; known are {', '.join(sorted(_DECOMPRESSORS))}"
        raise BrokenFile(msg)
    try:
        schema = orjson.loads(metadata["avro.schema"])
    except (KeyError, ValueError):
        msg = "its header holds no schema that can be read"
        raise BrokenFile(msg) from None
    if not _is_of_rows(schema):
        msg = "its schema is not that of rows with named columns"
        raise BrokenFile(msg)
    return Header(schema, codec, data[at : at + _MARKER_BYTES], at + _MARKER_BYTES)


def _is_of_rows(schema: Any) -> bool:
    """Whether the schema is a record's whose fields have names and types. What types, only decoding has to know."""
    fields = schema.get("fields") if isinstance(schema, dict) and schema.get("type") == "record" else None
    return isinstance(fields, list) and all(
        isinstance(field, dict) and isinstance(field.get("name"), str) and "type" in field for field in fields
    )


def _metadata(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """A map of text to bytes, written in blocks; a negative count is followed by the block's length in bytes."""
    entries: dict[str, bytes] = {}
    while True:
        count, at = read_long(data, at)
        if count == 0:
            return entries, at
        if count < 0:
            _, at = read_long(data, at)
        for _ in range(abs(count)):
            key, at = _bytes(data, at)
            value, at = _bytes(data, at)
            entries[key.decode("utf-8", "replace")] = value


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    if size < 0:
        msg = "a length in its header is negative"
        raise BrokenFile(msg)
    if at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size


def read_header(file: BinaryIO, first_bytes: int = 64 * 1024) -> Header:
    """The header of a whole file, however long its schema is."""
    size = first_bytes
    while True:
        file.seek(0)
        data = file.read(size)
        try:
            return parse_header(data)
        except HeaderCut:
            if len(data) < size:
                raise
        size *= 4


def scan(file: BinaryIO, header: Header, size: int) -> list[Block]:
    """Every block of a file of `size` bytes, without reading the rows. Raises BrokenFile where the file is cut."""
    blocks = []
    at = header.size
    while at < size:
        file.seek(at)
        lead = file.read(2 * _LONG_BYTES)
        try:
            rows, used = read_long(lead, 0)
            length, used = read_long(lead, used)
        except IndexError:
            raise _cut(at) from None
        if rows < 0 or length < 0:
            msg = f"the block at byte {at} has a negative length"
            raise BrokenFile(msg)
        start = at + used
        at = start + length + _MARKER_BYTES
        file.seek(start + length)
        marker = file.read(_MARKER_BYTES)
        if len(marker) < _MARKER_BYTES:
            raise _cut(start)
        if marker != header.marker:
            msg = f"the block at byte {start} does not end with the file's marker"
            raise BrokenFile(msg)
        blocks.append(Block(start, length, rows))
    return blocks


def _cut(at: int) -> BrokenFile:
    return BrokenFile(f"it ends within the block at byte {at}")


def read_blocks(file: BinaryIO, codec: str, blocks: list[Block]) -> Iterator[tuple[int, bytes]]:
    """The row count and the decompressed rows of each block."""
    decompress = _DECOMPRESSORS[codec]
    for block in blocks:
        file.seek(block.start)
        try:
            yield block.rows, decompress(file.read(block.size))
        except (cramjam.DecompressionError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            msg = f"the block at byte {block.start} cannot be decompressed"
            raise BrokenFile(msg) from error


def _snappy(data: bytes) -> bytes:
    rows = bytes(cramjam.snappy.decompress_raw(data[:-_CHECKSUM_BYTES]))
    if zlib.crc32(rows).to_bytes(_CHECKSUM_BYTES, "big") != data[-_CHECKSUM_BYTES:]:
        msg = "wrong checksum"
        raise ValueError(msg)
    return rows


#: The codecs of the Avro specification. Heap writes snappy; certain from its readers' requirements.
_DECOMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.decompress(data, -15),
    "snappy": _snappy,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
    "zstandard": lambda data: bytes(cramjam.zstd.decompress(data)),
}
