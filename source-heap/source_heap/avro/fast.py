"""The fast decoder: turns rows of flat tables into lines of JSON with a function generated for their schema.

For a flat schema `codegen` generates a Python function that reads a row without looking at the schema and without a
call for a text or a null, and passes the row to orjson. That is two to three times as fast as fastavro's compiled
reader with the same orjson, and as fast as polars, whose wheel takes 175 MB (figures in `docs/heap.md`). It is fast
because:

* It does not decode text. The block is turned into a str once, one character per byte (latin-1), and a value is a slice
  of it. In the JSON of such rows each byte of UTF-8 is one character; `fix_encoding` corrects that for many rows at
  once, and does nothing if all is ASCII.
* It reads ids, random 53-bit numbers of 8 bytes with 7 bits each, as four pairs of bytes and looks them up.
* It reuses one dict for all rows. If a column range has the same bytes as in the previous row (the user, device, place
  and campaign of a visit), the values are in the dict already, and one comparison skips the range. The first rows of a
  table show which columns repeat together.

A wrong length ends in an exception or at a position that is not the end of the block; both mean a broken file. The
tests compare this decoder with `reference` for every type.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from source_heap.avro.codegen import ChangedLine, ColumnRange, as_latin, keeps_its_type, rows_function
from source_heap.avro.declared import NATURAL, FlatColumn
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.values import SINCE_COLUMN, Projection
from source_heap.limits import LINE_BYTES

#: Follows a block's last byte, so that reading an id as four pairs never goes beyond the end.
PADDING = bytes(8)
#: Rows that show which columns repeat; comparing them takes 0.5 ms for a table of thirty columns.
TRIAL_ROWS = 256
#: Bytes of JSON after which fewer rows are enough.
_TRIAL_BYTES = 1024 * 1024
#: A column range that repeats in a smaller share of the rows costs more than it saves.
_WORTH_IT = 0.2
#: A column joins a range if the longer range repeats in at least this share of the rows that the shorter one does.
_GOES_ALONG = 0.8

#: The ranges found in the first rows of a table, for its other files
_RANGES: dict[tuple[Any, ...], tuple[ColumnRange, ...]] = {}
_TABLES_KEPT = 256

_BROKEN = (IndexError, TypeError, struct.error)


class FastDecoder:
    """Decodes rows of files with these columns. The projection's constants follow them in each row."""

    is_fast = True

    def __init__(self, columns: tuple[FlatColumn, ...], projection: Projection) -> None:
        self._columns = columns
        self._targets = tuple(projection.target(column.name) for column in columns)
        self._key = (columns, self._targets, projection.since)
        ranges = _RANGES.get(self._key)
        self._decode = rows_function(*self._key, ranges or ())
        self._trial: list[dict[str, Any]] | None = [] if ranges is None else None
        self._trial_bytes = 0
        wanted = [column.name for column, kind in zip(columns, self._targets, strict=True) if kind is not None]
        constants = {
            as_latin(name): as_latin(value) if isinstance(value, str) else value
            for name, value in projection.constants.items()
        }
        self._row = dict.fromkeys(map(as_latin, wanted)) | constants

    def __call__(self, b: bytes, s: str, p: int, count: int, lines: list[bytes], changed: list[ChangedLine]) -> int:
        """Decodes `count` rows from position `p` of block `b`, which is `s` as latin-1; returns the position after
        them.

        Appends a line for each row to `lines`, and an entry for each line with lost values to `changed`.
        """
        dumps = orjson.dumps if self._trial is None else self._dump_and_look
        try:
            p = self._decode(b, s, p, count, self._row, lines, changed, dumps)
        except _BROKEN as error:
            raise BrokenFile("a row cannot be decoded") from error
        if self._trial is not None and (len(self._trial) >= TRIAL_ROWS or self._trial_bytes > _TRIAL_BYTES):
            ranges = self._ranges(self._trial)
            self._decode = rows_function(*self._key, ranges)
            self._trial = None
            if len(_RANGES) >= _TABLES_KEPT:
                _RANGES.clear()
            _RANGES[self._key] = ranges
        return p

    def _dump_and_look(self, row: dict[str, Any]) -> bytes:
        assert self._trial is not None  # noqa: S101 - it is dropped between calls only
        self._trial.append(row.copy())
        line = orjson.dumps(row)
        self._trial_bytes += len(line)
        return line

    def _ranges(self, rows: Sequence[Mapping[str, Any]]) -> tuple[ColumnRange, ...]:
        ranges: list[ColumnRange] = []
        repeats: set[int] = set()
        first = 0
        for at, column in enumerate((*self._columns, None)):
            now = self._repeats(at, rows) if column is not None else set()
            joint = now if first == at else repeats & now
            if first < at and len(joint) < max(_GOES_ALONG * len(repeats), _WORTH_IT * len(rows)):
                if at - first > 1:
                    ranges.append((first, at))
                first, joint = at, now
            if len(joint) < _WORTH_IT * len(rows):
                first = at + 1
            repeats = joint
        return tuple(ranges)

    def _repeats(self, at: int, rows: Sequence[Mapping[str, Any]]) -> set[int]:
        """The rows in which a column has the value of the previous row; empty for a column that must not be skipped.

        That is a column that decides whether its row is emitted, or whose coercion may fail, because each row must list
        the change. A column that is not selected is not in the rows, so it is never skipped either.
        """
        column, target = self._columns[at], self._targets[at]
        if target is None or column.name == SINCE_COLUMN or not keeps_its_type(column, target):
            return set()
        if NATURAL[column.kind] == "number":  # 0.0 equals -0.0, and each row must list a NaN as a change
            return set()
        name = as_latin(column.name)
        return {index for index in range(1, len(rows)) if rows[index][name] == rows[index - 1][name]}


def fix_encoding(lines: bytes) -> bytes:
    """Lines of rows whose text was read as latin-1, in UTF-8. Raises BeyondLimit if a row becomes too long.

    A byte that is not UTF-8 is written as `\\xff`.
    """
    if lines.isascii():
        return lines
    fixed = lines.decode().encode("latin-1")
    del lines
    try:
        fixed.decode()
    except UnicodeDecodeError:
        return _with_shown_bytes(fixed.decode("utf-8", "surrogateescape"))
    return fixed


#: From the character that `surrogateescape` makes of a byte to `\xff` in JSON, which doubles the backslash
_SHOWN = {0xDC00 + byte: f"\\\\x{byte:02x}" for byte in range(0x80, 0x100)}
_CHARACTERS = 1024 * 1024


def _with_shown_bytes(text: str) -> bytes:
    parts, size = [], 0
    for at in range(0, len(text), _CHARACTERS):
        parts.append(text[at : at + _CHARACTERS].translate(_SHOWN).encode())
        size += len(parts[-1])
        if size > LINE_BYTES:
            raise long_line()
    return b"".join(parts)


def long_line() -> BeyondLimit:
    """The error for a row that is too long as JSON."""
    return BeyondLimit(f"a row is longer than {LINE_BYTES // 1024**2} MiB as JSON")
