"""The bytes of a segment: compressed, counted, and searched for keys and times without decoding its lines."""

from __future__ import annotations

import re

from backports import zstd

from webhook_inlet.lines import KEY, at_of, key_of
from webhook_inlet.store import ZSTD_LEVEL, StoreError

_KEYS = re.compile(rb"\n" + KEY)


class Damaged(StoreError):
    """A segment that cannot be decompressed."""


def compress(data: bytes) -> bytes:
    """The bytes of a sealed segment."""
    return zstd.compress(data, ZSTD_LEVEL)


def decompress(data: bytes, where: str) -> bytes:
    """The lines of a sealed segment. Raises Damaged; `where` names the segment in its sentence."""
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise Damaged(
            f"{where} is damaged and cannot be decompressed ({error}). Restore its file from a copy of the store, or "
            "remove it; readers that have not read it yet will then say that it is missing."
        ) from None


def behind(data: bytes, line: int) -> bytes:
    """What follows the `line`-th line feed; nothing if there are fewer."""
    end = 0
    for _ in range(line):
        end = data.find(b"\n", end) + 1
        if not end:
            return b""
    return data[end:] if end else data


def durable_end(data: bytes) -> int:
    """Where the last whole line ends in a file that a process did not close.

    A NUL never stands in a line (JSON escapes it), but file systems may fill the end of a file with them when the power
    fails before the bytes were written.
    """
    nul = data.find(b"\0")
    return data.rfind(b"\n", 0, nul if nul >= 0 else len(data)) + 1


def keys(data: bytes) -> list[bytes]:
    """The keys of all lines as they stand in them, in the order of the lines."""
    first = key_of(data)
    found: list[bytes] = _KEYS.findall(data)
    return found if first is None else [first, *found]


def last_at(data: bytes) -> int | None:
    """When the last line was received, in microseconds; None if there is none."""
    return at_of(data[data.rfind(b"\n", 0, max(len(data) - 1, 0)) + 1 :])
