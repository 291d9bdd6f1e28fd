"""Sends decoded rows from a decoding process to the connector: headers through a pipe, rows through shared memory.

A kilobyte of JSON takes a microsecond in a pipe, a tenth of the time to decode it, and a tenth of that in shared memory
(measured). The memory consists of a few slots, used in turn. The connector acknowledges each slot that it has emptied,
and a process without an empty slot waits, so memory stays bounded.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import BinaryIO

import orjson

from source_heap.avro.decoder import Chunk

ROWS, SPAN_END, BROKEN, BEYOND_LIMIT, FAILED = range(5)

_SLOTS = 4
#: Fits a chunk of the usual size; a longer one goes through the pipe.
_SLOT_BYTES = 512 * 1024
MEMORY_BYTES = _SLOTS * _SLOT_BYTES
_INLINE = 0xFF
#: kind, slot, rows, bytes of changes, bytes of lines
_HEAD = struct.Struct("<BBIII")


class Sender:
    """The decoding process's end."""

    def __init__(self, out: BinaryIO, memory: int, acknowledgements: int) -> None:
        """`memory` and `acknowledgements` are file descriptors that the process inherited."""
        self._out = out
        self._memory = mmap.mmap(memory, MEMORY_BYTES)
        self._acknowledgements = acknowledgements
        self._empty = _SLOTS
        self._next = 0

    def rows(self, chunk: Chunk) -> None:
        """Sends decoded rows. Raises BrokenPipeError if the connector is gone."""
        changes = b"" if chunk.changes is None else orjson.dumps(chunk.changes)
        size = len(chunk.lines)
        if size > _SLOT_BYTES:
            self._write(_HEAD.pack(ROWS, _INLINE, chunk.count, len(changes), size) + changes)
            self._write(chunk.lines)
            return
        slot = self._slot()
        start = slot * _SLOT_BYTES
        self._memory[start : start + size] = chunk.lines
        self._write(_HEAD.pack(ROWS, slot, chunk.count, len(changes), size) + changes)

    def _slot(self) -> int:
        """Waits for an empty slot and returns its number."""
        if not self._empty:
            done = os.read(self._acknowledgements, _SLOTS)
            if not done:
                raise BrokenPipeError
            self._empty += len(done)
        self._empty -= 1
        self._next = (self._next + 1) % _SLOTS
        return self._next

    def send(self, kind: int, text: str = "") -> None:
        """Sends a frame without rows."""
        payload = text.encode()
        self._write(_HEAD.pack(kind, _INLINE, 0, 0, len(payload)) + payload)

    def _write(self, data: bytes) -> None:
        """Writes all of it: an unbuffered pipe may take less at a time."""
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]


class Receiver:
    """The connector's end."""

    def __init__(self, source: BinaryIO, memory: int, acknowledgements: int) -> None:
        self._source = source
        self._memory = mmap.mmap(memory, MEMORY_BYTES)
        self._acknowledgements = acknowledgements

    def next(self) -> tuple[int, Chunk]:
        """The kind and content of the next frame. Raises EOFError if the process is gone."""
        kind, slot, rows, changes_size, size = _HEAD.unpack(self._read(_HEAD.size))
        changes = orjson.loads(self._read(changes_size)) if changes_size else None
        if slot == _INLINE:
            return kind, Chunk(self._read(size), rows, changes)
        start = slot * _SLOT_BYTES
        lines = self._memory[start : start + size]
        try:
            os.write(self._acknowledgements, b"\0")
        except BrokenPipeError:
            raise EOFError from None
        return kind, Chunk(lines, rows, changes)

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        """Releases the memory and the pipe of acknowledgements."""
        self._memory.close()
        os.close(self._acknowledgements)
