"""Decompresses blocks with the codecs of the Avro specification, each up to a limit: 250 KB can expand to 250 MB."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cramjam

from source_heap.avro.faults import BeyondLimit
from source_heap.limits import BLOCK_BYTES, XZ_BYTES

#: What the codecs raise for invalid bytes
ERRORS = (cramjam.DecompressionError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_CHECKSUM_BYTES = 4
#: First size of zstandard's output buffer, whose needed size may be unknown; multiplied by four while too small. Bytes.
_ZSTANDARD_ROOM = 1024 * 1024


def too_large() -> BeyondLimit:
    """The error for a block that is too large."""
    return BeyondLimit(f"a block holds more than {BLOCK_BYTES // 1024**2} MiB, decompressed")


def _bounded(start: Callable[[], Any], data: bytes) -> bytes:
    """Decompresses with one of the standard library's decompressors."""
    stream = start()
    found: bytes = stream.decompress(data, BLOCK_BYTES + 1)
    if len(found) > BLOCK_BYTES:
        raise too_large()
    if not stream.eof:
        raise EOFError("cut")
    return found


def _snappy(data: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > BLOCK_BYTES:
        raise too_large()
    rows = bytes(cramjam.snappy.decompress_raw(data[:-_CHECKSUM_BYTES]))
    if zlib.crc32(rows).to_bytes(_CHECKSUM_BYTES, "big") != data[-_CHECKSUM_BYTES:]:
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
                raise too_large() from None
            room = min(4 * room, BLOCK_BYTES + 1)
            continue
        if size > BLOCK_BYTES:
            raise too_large()
        return bytes(memoryview(found)[:size])


#: Heap writes snappy (certain: other readers of its dumps require it).
DECOMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": partial(_bounded, partial(zlib.decompressobj, -15)),
    "snappy": _snappy,
    "bzip2": partial(_bounded, bz2.BZ2Decompressor),
    "xz": partial(_bounded, partial(lzma.LZMADecompressor, memlimit=XZ_BYTES)),
    "zstandard": _zstandard,
}
