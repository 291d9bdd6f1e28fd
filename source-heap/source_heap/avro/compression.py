"""The codecs of the Avro specification, each with a bound on what a block may become.

A quarter of a megabyte can hold 250 MB, so no codec is asked for all at once without a limit.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import cramjam

from source_heap.avro.faults import BeyondLimit
from source_heap.limits import BLOCK_BYTES, XZ_BYTES

#: What the codecs raise at bytes that are none of theirs
ERRORS = (cramjam.DecompressionError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_CHECKSUM_BYTES = 4
#: First room for what zstandard, which does not always say how much it is, becomes; grown fourfold while too small
_ZSTANDARD_ROOM = 1024 * 1024


class _Stream(Protocol):
    """A decompressor of the standard library."""

    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def too_large() -> BeyondLimit:
    """The fault of a block with more bytes than allowed."""
    return BeyondLimit(f"a block holds more than {BLOCK_BYTES // 1024**2} MiB, decompressed")


def _bounded(start: Callable[[], _Stream], data: bytes) -> bytes:
    stream = start()
    found = stream.decompress(data, BLOCK_BYTES + 1)
    if len(found) > BLOCK_BYTES:
        raise too_large()
    if not stream.eof:
        msg = "cut"
        raise EOFError(msg)
    return found


def _snappy(data: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > BLOCK_BYTES:
        raise too_large()
    rows = bytes(cramjam.snappy.decompress_raw(data[:-_CHECKSUM_BYTES]))
    if zlib.crc32(rows).to_bytes(_CHECKSUM_BYTES, "big") != data[-_CHECKSUM_BYTES:]:
        msg = "wrong checksum"
        raise ValueError(msg)
    return rows


def _zstandard(data: bytes) -> bytes:
    room = _ZSTANDARD_ROOM
    while True:
        found = bytearray(room)
        try:
            size = cramjam.zstd.decompress_into(data, found)
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):  # its only word for a room that is too small
                raise
            if room > BLOCK_BYTES:
                raise too_large() from None
            room = min(4 * room, BLOCK_BYTES + 1)
            continue
        if size > BLOCK_BYTES:
            raise too_large()
        return bytes(memoryview(found)[:size])


#: Heap writes snappy; certain from its readers' requirements.
DECOMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": partial(_bounded, partial(zlib.decompressobj, -15)),
    "snappy": _snappy,
    "bzip2": partial(_bounded, bz2.BZ2Decompressor),
    "xz": partial(_bounded, partial(lzma.LZMADecompressor, memlimit=XZ_BYTES)),
    "zstandard": _zstandard,
}
