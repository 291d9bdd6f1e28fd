"""Two sets of keys on disk, of any size, and which of the first the second lacks.

Keys go into parts by their checksum, so that equal ones are in parts of the same number, and two parts are compared in
memory; one that is too large for that is parted again. All parts of both sets share one temporary file, in which each
is a chain of chunks: a set costs no descriptor of its own, and its memory does not grow with it.
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

from source_heap.disk import no_room
from source_heap.limits import COMPARED_KEY_BYTES

#: The values of a row's key, in the order of the key's columns
Key = list[Any]

_BITS = 6
_PARTS = 1 << _BITS
#: Times that keys can be parted by another six bits of their checksum; what is larger then holds equal keys
_DEPTH = 5
_CHUNK_BYTES = 8 * 1024
#: Where the chunk before this one lies in the file, and how long this one is
_LEAD = struct.Struct("<qI")
_NO_CHUNK = -1
#: Parts are compared one at a time in the whole process
_comparing = threading.Lock()


class KeyFile:
    """The temporary file. Raises the error for a full disk."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the sets
        except OSError as error:
            raise no_room(error) from error
        self._size = 0

    def append(self, before: int, lines: bytes) -> int:
        """Adds a chunk behind the one at `before`, and returns its place."""
        at = self._size
        data = memoryview(_LEAD.pack(before, len(lines)) + lines)
        try:
            while data:  # the system may take less than it is given
                taken = os.pwrite(self._file.fileno(), data, self._size)
                self._size += taken
                data = data[taken:]
        except OSError as error:
            raise no_room(error) from error
        return at

    def chunks(self, last: int) -> Iterator[bytes]:
        """The chunks of a chain, the last one first."""
        descriptor = self._file.fileno()
        while last != _NO_CHUNK:
            lead = os.pread(descriptor, _LEAD.size, last)
            at = last + _LEAD.size
            last, size = _LEAD.unpack(lead)
            yield os.pread(descriptor, size, at)

    def close(self) -> None:
        """Removes the file."""
        self._file.close()


class Parts:
    """A set of keys, in parts."""

    def __init__(self, file: KeyFile, depth: int = 0) -> None:
        self._file = file
        self._shift = depth * _BITS
        self._waiting = [bytearray() for _ in range(_PARTS)]
        self._last = [_NO_CHUNK] * _PARTS
        self.sizes = [0] * _PARTS

    def add(self, line: bytes) -> None:
        """Adds a key, written as a line of JSON."""
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
        """Lets go of the memory; nothing is added any more."""
        for number, waiting in enumerate(self._waiting):
            if waiting:
                self._write(number)
        self._waiting.clear()

    def lines(self, number: int) -> Iterator[bytes]:
        """The keys of a part, as they were written."""
        for chunk in self._file.chunks(self._last[number]):
            yield from chunk.splitlines(keepends=True)


def text_of(line: bytes) -> str:
    """What keys are compared by: a column that was a number in one file and text in another holds the same ids.

    No bytes of orjson's: many are kept, and each holds on to the four kilobytes in which it was made.
    """
    texts = [value if isinstance(value, str) else orjson.dumps(value).decode() for value in orjson.loads(line)]
    return orjson.dumps(texts).decode()


def only_in(before: Parts, now: Parts, file: KeyFile, depth: int = 0) -> Iterator[list[Key]]:
    """The keys that are in `before` and not in `now`, in lists of what can be held in memory."""
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
