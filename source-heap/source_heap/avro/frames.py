"""What travels from a decoding process to the connector: a small head, then the payload it announces."""

from __future__ import annotations

import struct
from typing import BinaryIO

import orjson

from source_heap.avro.decoder import Piece

ROWS = 0
GROUP_END = 1
BROKEN = 2
FAILED = 3

#: kind, rows, bytes of changes, bytes of lines
_HEAD = struct.Struct("<BIII")


def write(out: BinaryIO, kind: int, payload: bytes = b"", rows: int = 0, changes: bytes = b"") -> None:
    """Writes one frame."""
    _write_all(out, _HEAD.pack(kind, rows, len(changes), len(payload)) + changes)
    _write_all(out, payload)


def _write_all(out: BinaryIO, data: bytes) -> None:
    """An unbuffered pipe may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]


def write_piece(out: BinaryIO, piece: Piece) -> None:
    """Writes decoded rows."""
    write(out, ROWS, piece.lines, piece.count, b"" if piece.changes is None else orjson.dumps(piece.changes))


def read(source: BinaryIO) -> tuple[int, Piece]:
    """The next frame. Raises EOFError where the process is gone."""
    kind, rows, changes_size, size = _HEAD.unpack(_read_all(source, _HEAD.size))
    changes = orjson.loads(_read_all(source, changes_size)) if changes_size else None
    return kind, Piece(_read_all(source, size), rows, changes)


def _read_all(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data
