"""Reads Avro object container files: header and compressed blocks.

The format ("Object Container Files" in the Avro 1.11 specification): magic, a metadata map, a 16-byte marker, then
blocks of a row count, a byte length, the compressed rows, and the marker again.

fastavro is not used here because it does not check the CRC-32 of a snappy block, and does not report a file that is cut
between two blocks. Each block is decompressed up to a limit: 250 KB can expand to 250 MB.
"""

from __future__ import annotations

import bz2
import lzma
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import cramjam
from isal import isal_zlib
from isal.igzip_lib import IsalError

from source_heap.avro.declared import Declared, declared, parsed
from source_heap.avro.faults import BeyondLimit, BrokenFile, HeaderCut, OtherFormat
from source_heap.avro.varint import LONG_BYTES, read_long
from source_heap.limits import BLOCK_BYTES, HEADER_BYTES, PARALLEL_HEADER_BYTES, XZ_BYTES

MAGIC = b"Obj\x01"
#: First bytes of what the vendor may send some day. No page of its documentation announces it.
_OTHER_FORMATS = {b"PAR1": "a Parquet file", b"\x1f\x8b": "a gzip file", b"{": "a JSON file"}
_MARKER_BYTES = 16
#: What the codecs raise for invalid bytes. isal's stub declares its class as an instance.
_CODEC_ERRORS: Any = (cramjam.DecompressionError, IsalError, lzma.LZMAError, OSError, EOFError, ValueError)
_CHECKSUM_BYTES = 4
#: First size of zstandard's output buffer, whose needed size may be unknown; multiplied by four while too small. Bytes.
_ZSTANDARD_ROOM = 1024 * 1024
#: Many headers are read in parallel, but only one long header at a time, because parsing it takes memory.
_ONE_LONG_HEADER = threading.Lock()


def _too_large() -> BeyondLimit:
    return BeyondLimit(f"a block holds more than {BLOCK_BYTES // 1024**2} MiB, decompressed")


def _bounded(start: Callable[[], Any], data: bytes) -> bytes:
    stream = start()
    found: bytes = stream.decompress(data, BLOCK_BYTES + 1)
    if len(found) > BLOCK_BYTES:
        raise _too_large()
    if not stream.eof:
        raise EOFError("cut")
    return found


def _snappy(data: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > BLOCK_BYTES:
        raise _too_large()
    rows = bytes(cramjam.snappy.decompress_raw(data[:-_CHECKSUM_BYTES]))
    if isal_zlib.crc32(rows).to_bytes(_CHECKSUM_BYTES, "big") != data[-_CHECKSUM_BYTES:]:
        raise ValueError("wrong checksum")
    return rows


def _zstandard(data: bytes) -> bytes:
    room = _ZSTANDARD_ROOM
    while True:
        found = bytearray(room)
        try:
            size = cramjam.zstd.decompress_into(data, found)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):  # cramjam's only sign that the buffer is too small
                raise
            if room > BLOCK_BYTES:
                raise _too_large() from None
            room = min(4 * room, BLOCK_BYTES + 1)
            continue
        if size > BLOCK_BYTES:
            raise _too_large()
        return bytes(memoryview(found)[:size])


#: Heap writes snappy (certain: other readers of its dumps require it).
_DECOMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": partial(_bounded, partial(isal_zlib.decompressobj, -15)),
    "snappy": _snappy,
    "bzip2": partial(_bounded, bz2.BZ2Decompressor),
    "xz": partial(_bounded, partial(lzma.LZMADecompressor, memlimit=XZ_BYTES)),
    "zstandard": _zstandard,
}


@dataclass(frozen=True, slots=True)
class Header:
    """A file's header. `text` is the schema as written, `size` the offset of the first block in bytes."""

    text: bytes
    schema: Declared
    codec: str
    marker: bytes
    size: int


def parse_header(data: bytes) -> Header:
    """The header at the start of these bytes.

    Raises HeaderCut if they end too early, BrokenFile if it is not a header, BeyondLimit if it is too large.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        name = next((name for begin, name in _OTHER_FORMATS.items() if data.startswith(begin)), None)
        raise OtherFormat(name) if name else BrokenFile("it does not begin like an Avro file")
    try:
        metadata, at = _metadata(data, len(MAGIC))
    except IndexError:
        metadata, at = {}, len(data) + 1
    if at + _MARKER_BYTES > len(data):
        if len(data) >= HEADER_BYTES:
            raise _long_header()
        raise HeaderCut("it ends within its header")
    codec = metadata.get("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _DECOMPRESSORS:
        raise BrokenFile(f"its compression is {codec[:40]!r}; supported are {', '.join(sorted(_DECOMPRESSORS))}")
    text = metadata.get("avro.schema", b"")
    schema = declared(parsed(text))
    return Header(text, schema, codec, data[at : at + _MARKER_BYTES], at + _MARKER_BYTES)


def _long_header() -> BeyondLimit:
    return BeyondLimit(f"its header is longer than {HEADER_BYTES // 1024**2} MiB")


def _metadata(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """A map of text to bytes. It is encoded in blocks; the length in bytes follows a negative count."""
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
        raise BrokenFile("a length in its header is negative")
    if size > HEADER_BYTES:
        raise _long_header()
    if at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size


def read_header(first: Callable[[int], bytes], size: int) -> Header:
    """The header of a file. `first` returns the first bytes of the file; it is called with `size`, then with more.

    Raises BrokenFile if the file has no valid header.
    """
    while True:
        with _ONE_LONG_HEADER if size > PARALLEL_HEADER_BYTES else nullcontext():
            data = first(size)
            try:
                return parse_header(data)
            except HeaderCut:
                if len(data) < size:
                    raise
            del data
        size = min(4 * size, HEADER_BYTES)


def count_rows(file: BinaryIO, header: Header, size: int) -> int:
    """The rows of a file of `size` bytes, after a look at each block's begin and end. Rows are not read.

    Raises BrokenFile if the file is cut. A block without rows and bytes is valid (a flush writes it).
    """
    at, rows = header.size, 0
    while at < size:
        lead, begin, length = _lead(file, at)
        end = begin + length + _MARKER_BYTES
        if end > size:
            raise _cut(at)
        if length > BLOCK_BYTES:
            raise _too_large()
        file.seek(begin + length)
        if file.read(_MARKER_BYTES) != header.marker:
            raise BrokenFile(f"the block at byte {begin} does not end with the file's marker")
        at = end
        rows += lead
    return rows


def _lead(file: BinaryIO, at: int) -> tuple[int, int, int]:
    """Of the block at this byte: the number of rows, their first byte, and their length in bytes."""
    file.seek(at)
    lead = file.read(2 * LONG_BYTES)
    try:
        rows, used = read_long(lead, 0)
        length, used = read_long(lead, used)
    except IndexError:
        raise _cut(at) from None
    if rows < 0 or length < 0:
        raise BrokenFile(f"the block at byte {at} has a negative length")
    return rows, at + used, length


def _cut(at: int) -> BrokenFile:
    return BrokenFile(f"it ends within the block at byte {at}")


def read_blocks(file: BinaryIO, header: Header, size: int) -> Iterator[tuple[int, bytes]]:
    """The row count and the decompressed rows of each block that has any. `count_rows` has checked the file."""
    decompress = _DECOMPRESSORS[header.codec]
    at = header.size
    while at < size:
        rows, begin, length = _lead(file, at)
        at = begin + length + _MARKER_BYTES
        if not rows and not length:
            continue
        file.seek(begin)
        try:
            data = decompress(file.read(length))
        except _CODEC_ERRORS as error:
            raise BrokenFile(f"the block at byte {begin} cannot be decompressed") from error
        yield rows, data
        del data  # frees it before the next block is read
