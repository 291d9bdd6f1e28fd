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
  bytes as in the row before (a visit's device, place and campaign), the values are there already, and the run is
  skipped by one comparison. Whether a run repeats often enough is tried out on the first rows.

The function trusts no length: a wrong one ends in an exception or at a position that is not the end of the block, and
both mean a broken file. `reference.py` is the other reading of the same rows; the tests hold the two against each
other for every type.
"""

from __future__ import annotations

import codecs
import struct
from typing import Any

from source_heap.avro.codegen import Mark, Run, as_latin, keeps_its_type, rows_function
from source_heap.avro.container import BrokenFile
from source_heap.avro.flat import NATURAL, FlatColumn
from source_heap.avro.values import RowRules

#: Stands behind a block's last byte, so that reading an id as four pairs never reaches beyond the end.
PADDING = bytes(8)
#: Rows that show which runs of columns repeat
TRIAL_ROWS = 2048
#: Columns that are compared at once. Fewer are hit more often, more save more at a hit.
_RUN_COLUMNS = 6
#: A run that repeats in a smaller share of the rows costs more than it saves.
_WORTH_IT = 0.2

_BROKEN = (IndexError, TypeError, struct.error)


class FastDecoder:
    """Decodes rows of files with these columns. `constants` stand behind the columns in each row."""

    is_fast = True

    def __init__(self, columns: tuple[FlatColumn, ...], rules: RowRules) -> None:
        promised = tuple(rules.promised(column.name) for column in columns)
        self._key = (columns, promised, rules.since)
        self._runs = _runs(columns, promised)
        self._hits = [0] * len(self._runs)
        self._tried = 0
        self._decode = rows_function(*self._key, self._runs, True)
        wanted = [column.name for column, kind in zip(columns, promised, strict=True) if kind is not None]
        constants = {as_latin(name): _constant(value) for name, value in rules.constants.items()}
        self._row = dict.fromkeys(map(as_latin, wanted)) | constants

    def __call__(self, b: bytes, s: str, p: int, count: int, lines: list[bytes], marks: list[Mark]) -> int:
        """Decodes `count` rows from position `p` of block `b`, which is `s` as latin-1; returns the position behind.

        Adds a line for each row, and a mark for each line whose record must tell changes.
        """
        if self._tried < TRIAL_ROWS:
            self._tried += count
        elif self._hits:
            self._settle()
        try:
            return self._decode(b, s, p, count, self._row, lines, marks, self._hits)
        except _BROKEN as error:
            msg = "a row cannot be decoded"
            raise BrokenFile(msg) from error

    def _settle(self) -> None:
        """Ends the trial: from now on only the runs are compared that repeat."""
        pairs = zip(self._runs, self._hits, strict=True)
        runs = tuple(run for run, hits in pairs if hits >= _WORTH_IT * self._tried)
        self._hits = []
        self._decode = rows_function(*self._key, runs, False)


def _constant(value: Any) -> Any:
    return as_latin(value) if isinstance(value, str) else value


def _runs(columns: tuple[FlatColumn, ...], promised: tuple[str | None, ...]) -> tuple[Run, ...]:
    """The runs that may be skipped: columns whose value says nothing about its row beyond itself, and that may repeat.

    A value that was changed must be told again for each row, so converted columns are not in a run. Neither are floats,
    which may be no number, and integers, which are ids.
    """
    runs: list[Run] = []
    first: int | None = None
    for at in range(len(columns) + 1):
        inside = at < len(columns) and _may_repeat(columns[at], promised[at])
        if first is not None and (not inside or at - first == _RUN_COLUMNS):
            runs.append((first, at))
            first = None
        if inside and first is None:
            first = at
    return tuple(run for run in runs if run[1] - run[0] > 1)


def _may_repeat(column: FlatColumn, promised: str | None) -> bool:
    kept = promised is None or keeps_its_type(column, promised)
    return kept and NATURAL[column.kind] in ("string", "boolean") and column.name != "time"


def mend(lines: bytes) -> bytes:
    """Lines of rows whose text was taken for latin-1, as they should be."""
    if lines.isascii():
        return lines
    mended = lines.decode().encode("latin-1")
    try:
        mended.decode()
    except UnicodeDecodeError:
        return mended.decode("utf-8", _SHOW_BYTES).encode()
    return mended


def _show_bytes(error: UnicodeError) -> tuple[str, int]:
    """`backslashreplace` within a JSON text, where a backslash is written twice."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"\\\\x{byte:02x}" for byte in error.object[error.start : error.end]), error.end


_SHOW_BYTES = "source_heap.show_bytes"
codecs.register_error(_SHOW_BYTES, _show_bytes)
