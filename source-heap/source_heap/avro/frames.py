"""What travels from a decoding process to the connector: small heads through a pipe, rows through shared memory.

A kilobyte of JSON costs a pipe a microsecond, a tenth of what decoding the row costs; a copy through memory that both
have mapped costs a tenth of that. The memory is a few slots, used in turn; the connector acknowledges each one that it
has emptied, and a process without an empty slot waits, so memory stays bounded.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import BinaryIO

import orjson

from source_heap.avro.decoder import Piece

ROWS = 0
SPAN_END = 1
BROKEN = 2
BEYOND_LIMIT = 3
FAILED = 4

_SLOTS = 4
#: Room for a piece of the usual size; a longer one goes through the pipe.
_SLOT_BYTES = 512 * 1024
MEMORY_BYTES = _SLOTS * _SLOT_BYTES
_INLINE = 0xFF
#: kind, slot, rows, bytes of changes, bytes of lines
_HEAD = struct.Struct("<BBIII")


class Sender:
    """The decoding process's end."""

    def __init__(self, out: BinaryIO, memory: int, acknowledgements: int) -> None:
        """`memory` and `acknowledgements` are the descriptors that the process was started with."""
        self._out = out
        self._memory = mmap.mmap(memory, MEMORY_BYTES)
        self._acknowledgements = acknowledgements
        self._empty = _SLOTS
        self._next = 0

    def rows(self, piece: Piece) -> None:
        """Sends decoded rows. Raises BrokenPipeError where the connector is gone."""
        changes = b"" if piece.changes is None else orjson.dumps(piece.changes)
        size = len(piece.lines)
        if size > _SLOT_BYTES:
            self._write(_HEAD.pack(ROWS, _INLINE, piece.count, len(changes), size) + changes)
            self._write(piece.lines)
            return
        slot = self._slot()
        start = slot * _SLOT_BYTES
        self._memory[start : start + size] = piece.lines
        self._write(_HEAD.pack(ROWS, slot, piece.count, len(changes), size) + changes)

    def _slot(self) -> int:
        """The next slot, when it is empty."""
        if not self._empty:
            done = os.read(self._acknowledgements, _SLOTS)
            if not done:
                raise BrokenPipeError
            self._empty += len(done)
        self._empty -= 1
        self._next = (self._next + 1) % _SLOTS
        return self._next

    def tell(self, kind: int, text: str = "") -> None:
        """Sends something other than rows."""
        payload = text.encode()
        self._write(_HEAD.pack(kind, _INLINE, 0, 0, len(payload)) + payload)

    def _write(self, data: bytes) -> None:
        """An unbuffered pipe may take less than it is given."""
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]


class Receiver:
    """The connector's end."""

    def __init__(self, source: BinaryIO, memory: int, acknowledgements: int) -> None:
        self._source = source
        self._memory = mmap.mmap(memory, MEMORY_BYTES)
        self._acknowledgements = acknowledgements

    def next(self) -> tuple[int, Piece]:
        """The next frame. Raises EOFError where the process is gone."""
        kind, slot, rows, changes_size, size = _HEAD.unpack(self._read(_HEAD.size))
        changes = orjson.loads(self._read(changes_size)) if changes_size else None
        if slot == _INLINE:
            return kind, Piece(self._read(size), rows, changes)
        start = slot * _SLOT_BYTES
        lines = self._memory[start : start + size]
        try:
            os.write(self._acknowledgements, b"\0")
        except BrokenPipeError:
            raise EOFError from None
        return kind, Piece(lines, rows, changes)

    def _read(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        """Lets go of the memory and the pipe of acknowledgements."""
        self._memory.close()
        os.close(self._acknowledgements)
