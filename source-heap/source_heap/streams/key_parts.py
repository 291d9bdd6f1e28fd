"""Compares two sets of keys of any size on disk: finds the keys of the first set that the second lacks.

A key's checksum decides its part, so equal keys are in parts with the same number, and two such parts are compared in
memory. A part that is too large for memory is divided again. All parts share one temporary file, in which each part is
a chain of chunks, so neither memory nor the number of open files grows with the sets.
"""

from __future__ import annotations

import os
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import orjson
from source_kit.disk import no_room

from source_heap.limits import COMPARED_KEY_BYTES

#: The values of a row's key, in the order of the key's columns
Key = list[Any]

_BITS = 6
_PARTS = 1 << _BITS
#: Levels of division by another six bits of the checksum; a part that is larger after that holds equal keys
_DEPTH = 5
_CHUNK_BYTES = 8 * 1024
#: Position of the previous chunk in the file, and length of this one
_LEAD = struct.Struct("<qI")
_NO_CHUNK = -1
#: Parts are compared one at a time in the whole process
_comparing = threading.Lock()


class KeyFile:
    """The temporary file. Raises a config_error if the disk is full."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise no_room(error) from error
        self._size = 0

    def append(self, before: int, lines: bytes) -> int:
        """Appends a chunk that follows the one at `before`, and returns its position."""
        at = self._size
        data = memoryview(_LEAD.pack(before, len(lines)) + lines)
        try:
            while data:  # the system may write less at a time
                taken = os.pwrite(self._file.fileno(), data, self._size)
                self._size += taken
                data = data[taken:]
        except OSError as error:
            raise no_room(error) from error
        return at

    def chunks(self, last: int) -> Iterator[bytes]:
        """The chunks of a chain, from the last to the first."""
        descriptor = self._file.fileno()
        while last != _NO_CHUNK:
            lead = os.pread(descriptor, _LEAD.size, last)
            at = last + _LEAD.size
            last, size = _LEAD.unpack(lead)
            yield os.pread(descriptor, size, at)

    def close(self) -> None:
        self._file.close()


class Parts:
    """A set of keys, divided into parts."""

    def __init__(self, file: KeyFile, depth: int = 0) -> None:
        self._file = file
        self._shift = depth * _BITS
        self._waiting = [bytearray() for _ in range(_PARTS)]
        self._last = [_NO_CHUNK] * _PARTS
        self.sizes = [0] * _PARTS

    def add(self, line: bytes) -> None:
        """Adds a key as a line of JSON."""
        number = zlib.crc32(text_of(line).encode()) >> self._shift & (_PARTS - 1)
        waiting = self._waiting[number]
        waiting += line
        self.sizes[number] += len(line)
        if len(waiting) >= _CHUNK_BYTES:
            self._write(number)

    def _write(self, number: int) -> None:
        self._last[number] = self._file.append(self._last[number], bytes(self._waiting[number]))
        self._waiting[number].clear()

    def flush(self) -> None:
        """Writes what is in memory; nothing may be added after it."""
        for number, waiting in enumerate(self._waiting):
            if waiting:
                self._write(number)
        self._waiting.clear()

    def lines(self, number: int) -> Iterator[bytes]:
        """The keys of a part, as lines of JSON."""
        for chunk in self._file.chunks(self._last[number]):
            yield from chunk.splitlines(keepends=True)


def text_of(line: bytes) -> str:
    """The text that keys are compared by: an id that is a number in one file and text in another is the same.

    It is a str because many are kept, and each bytes object of orjson keeps a buffer of four kilobytes.
    """
    texts = [value if isinstance(value, str) else orjson.dumps(value).decode() for value in orjson.loads(line)]
    return orjson.dumps(texts).decode()


def only_in(before: Parts, now: Parts, file: KeyFile, depth: int = 0) -> Iterator[list[Key]]:
    """The keys that are in `before` and not in `now`, in lists that fit into memory."""
    before.flush()
    now.flush()
    for number in range(_PARTS):
        if max(before.sizes[number], now.sizes[number]) > COMPARED_KEY_BYTES and depth < _DEPTH - 1:
            finer = _parted(before, number, file, depth + 1), _parted(now, number, file, depth + 1)
            yield from only_in(*finer, file, depth + 1)
        elif before.sizes[number]:
            yield _missing(before, now, number)


def _parted(part: Parts, number: int, file: KeyFile, depth: int) -> Parts:
    finer = Parts(file, depth)
    for line in part.lines(number):
        finer.add(line)
    return finer


def _missing(before: Parts, now: Parts, number: int) -> list[Key]:
    with _comparing:
        had = {text_of(line): line for line in before.lines(number)}
        for line in now.lines(number):
            had.pop(text_of(line), None)
        return [orjson.loads(had[text]) for text in sorted(had)]
