"""The fast decoder: rows of flat tables to lines of JSON, by a function that is written for their schema.

For a flat schema `codegen` writes a Python function with one straight run of statements per row, no dispatch and no
call for a text or a null, which hands each row to orjson. That is two to three times as fast as fastavro's compiled
reader with the same orjson, and on a par with polars, whose wheel takes 175 MB (`docs/heap.md` has the figures).

What makes it fast, beyond having no interpreter loop over the schema:

* Text is never decoded. The block is turned into a str once, a character for each byte (latin-1), and a value is a
  slice of it. The JSON of such rows is right except that each byte of UTF-8 was taken for a character; `mend` takes
  that back for many rows at once, and does nothing where all is ASCII.
* Ids are random 53-bit numbers: 8 bytes of 7 bits each. They are read as four pairs and looked up.
* One dict serves all rows: a column's value is stored where its predecessor was. Where a run of columns has the same
  bytes as in the row before (a visit's user, device, place and campaign), the values are there already, and the run is
  skipped by one comparison. Which columns repeat together is seen from the first rows.

The function trusts no length: a wrong one ends in an exception or at a position that is not the end of the block, and
both mean a broken file. `reference.py` is the other reading of the same rows; the tests hold the two against each
other for every type.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from source_heap.avro.codegen import Mark, Run, as_latin, keeps_its_type, rows_function
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.flat import NATURAL, FlatColumn
from source_heap.avro.values import SINCE_COLUMN, RowRules
from source_heap.limits import LINE_BYTES

#: Stands behind a block's last byte, so that reading an id as four pairs never reaches beyond the end.
PADDING = bytes(8)
#: Rows that show which columns repeat. 0.5 ms for a table of thirty columns.
TRIAL_ROWS = 256
#: JSON of these rows that is kept at most: a few long ones show enough. Bytes.
_TRIAL_BYTES = 1024 * 1024
#: A run that repeats in a smaller share of the rows costs more than it saves.
_WORTH_IT = 0.2
#: A column joins a run if that keeps so much of the run's repetitions.
_GOES_ALONG = 0.8

#: What the trial of a table showed, for its other files
_RUNS: dict[tuple[Any, ...], tuple[Run, ...]] = {}
_TABLES_KEPT = 256

_BROKEN = (IndexError, TypeError, struct.error)


class FastDecoder:
    """Decodes rows of files with these columns. `constants` stand behind the columns in each row."""

    is_fast = True

    def __init__(self, columns: tuple[FlatColumn, ...], rules: RowRules) -> None:
        self._columns = columns
        self._promised = tuple(rules.promised(column.name) for column in columns)
        self._key = (columns, self._promised, rules.since)
        runs = _RUNS.get(self._key)
        self._decode = rows_function(*self._key, runs or ())
        self._trial: list[dict[str, Any]] | None = [] if runs is None else None
        self._trial_bytes = 0
        wanted = [column.name for column, kind in zip(columns, self._promised, strict=True) if kind is not None]
        constants = {as_latin(name): _constant(value) for name, value in rules.constants.items()}
        self._row = dict.fromkeys(map(as_latin, wanted)) | constants

    def __call__(self, b: bytes, s: str, p: int, count: int, lines: list[bytes], marks: list[Mark]) -> int:
        """Decodes `count` rows from position `p` of block `b`, which is `s` as latin-1; returns the position behind.

        Adds a line for each row, and a mark for each line whose record must tell changes.
        """
        dumps = orjson.dumps if self._trial is None else self._dump_and_look
        try:
            p = self._decode(b, s, p, count, self._row, lines, marks, dumps)
        except _BROKEN as error:
            msg = "a row cannot be decoded"
            raise BrokenFile(msg) from error
        if self._trial is not None and (len(self._trial) >= TRIAL_ROWS or self._trial_bytes > _TRIAL_BYTES):
            runs = self._runs(self._trial)
            self._decode = rows_function(*self._key, runs)
            self._trial = None
            if len(_RUNS) >= _TABLES_KEPT:
                _RUNS.clear()
            _RUNS[self._key] = runs
        return p

    def _dump_and_look(self, row: dict[str, Any]) -> bytes:
        assert self._trial is not None  # noqa: S101 - it ends outside of a call
        self._trial.append(row.copy())
        line = orjson.dumps(row)
        self._trial_bytes += len(line)
        return line

    def _runs(self, rows: Sequence[Mapping[str, Any]]) -> tuple[Run, ...]:
        """The runs of columns that repeat together often enough.

        Columns whose value may be changed are in none: the change must be told again for each row. Neither is one that
        decides about its row. A column that is not wanted repeats as far as its neighbors do; it is compared with them.
        """
        runs: list[Run] = []
        repeats: set[int] = set()
        first = 0
        for at, column in enumerate((*self._columns, None)):
            now = self._repeats(at, rows) if column is not None else set()
            joint = now if first == at else repeats & now
            if first < at and len(joint) < max(_GOES_ALONG * len(repeats), _WORTH_IT * len(rows)):
                if at - first > 1:
                    runs.append((first, at))
                first, joint = at, now
            if len(joint) < _WORTH_IT * len(rows):
                first = at + 1
            repeats = joint
        return tuple(runs)

    def _repeats(self, at: int, rows: Sequence[Mapping[str, Any]]) -> set[int]:
        """The rows in which a column has the value of the row before; none for a column that must not be skipped."""
        column, promised = self._columns[at], self._promised[at]
        if promised is None or column.name == SINCE_COLUMN or not keeps_its_type(column, promised):
            return set()
        if NATURAL[column.kind] == "number":  # 0.0 and -0.0 are equal, and a number that is none must be told
            return set()
        name = as_latin(column.name)
        return {index for index in range(1, len(rows)) if rows[index][name] == rows[index - 1][name]}


def _constant(value: Any) -> Any:
    return as_latin(value) if isinstance(value, str) else value


def mend(lines: bytes) -> bytes:
    """Lines of rows whose text was taken for latin-1, as they should be. Raises BeyondLimit where that is too much."""
    if lines.isascii():
        return lines
    mended = lines.decode().encode("latin-1")
    del lines
    try:
        mended.decode()
    except UnicodeDecodeError:
        return _with_shown_bytes(mended.decode("utf-8", "surrogateescape"))
    return mended


#: `backslashreplace` within a JSON text, where a backslash is written twice, by what `surrogateescape` makes of a byte
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
    """The fault of a row that is too long as JSON."""
    return BeyondLimit(f"a row is longer than {LINE_BYTES // 1024**2} MiB as JSON")
