"""Makes RECORD lines of rows of events with the compiled module `native`, without decoding them.

`native` writes the records when it cuts the rows out of an answer, so each byte is looked at once. A row that it would
not write exactly as Python does it refuses, see `native/records.h`. msgspec finds out whether that row is JSON, and it
is decoded later.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Final

from source_kit.convert import snake_case
from source_kit.json_text import dumps
from source_kit.limits import REMEMBERED_NAME
from source_kit.output import RECORD_TAIL, record_head
from source_kit.stream import RecordLines

from source_pendo.aggregation import Row
from source_pendo.event_rows import RowText, cut, decoded, is_json

try:
    import source_pendo.compiled.native as native
except ImportError as error:
    #: Why there is no `native`, most likely because the package was installed without a compiler. None if there is one
    MISSING: str | None = str(error)
else:
    MISSING = None

#: Columns that `native` knows. A row with others is decoded.
_COLUMNS_KEPT: Final = 1_000
#: Rows that were not cut by `native`: it takes lists of up to a megabyte
_READ_AT_ONCE: Final = 100


class NativeRecords:
    """Makes RECORD lines of one stream's rows. Several threads may share it.

    The columns are learned from the rows. A column is known only if no other one has the same name in snake_case, so
    the names in a record never depend on which columns its row has.
    """

    def __init__(
        self,
        stream: str,
        *,
        required: str,
        identity: Sequence[str],
        instants: Set[str],
        added: Iterable[str],
    ) -> None:
        """`required` is the vendor's name of a column; a row without a value in it is decoded.

        `identity` are the vendor's names of the columns that are hashed. `instants` are our names of columns, and so
        are `added`, which every record gets.
        """
        self._stream = stream
        self._required = required
        self._identity = list(identity)
        self._instants = instants
        self._taken = set(added)
        self._columns: dict[str, tuple[bytes, bytes, bool, int]] = {}
        self._writer: native.Writer | None = None
        self._lock = threading.Lock()

    def cut(self, text: bytes, of: Sequence[str]) -> list[RowText]:
        """The rows of a JSON list, as `event_rows.cut`, for `lines` with the same `of`."""
        if self._writer is not None:
            if not text.isascii():
                text.decode()
            read = self._writer.read(text, _identity_head(of))
            if read is not None and all(map(is_json, read[1])):
                return list[RowText](read[0])
        return cut(text)

    def lines(
        self,
        rows: list[RowText],
        of: Sequence[str],
        constants: bytes,
        ids_of: Callable[[list[Row]], list[str]],
        records_of: Callable[[list[Row], list[str]], list[Row]],
    ) -> RecordLines:
        """The lines of rows, whole visitors. Behind its `record_id` each record has `constants`: `"read_day":"..."`.

        `of` is hashed before the identity. `ids_of` and `records_of` do the same for decoded rows: those that are
        refused, and those with one identity, whose ids are numbered.
        """
        around = record_head(self._stream), b',"record_id":"', b'",%b}%b' % (constants, RECORD_TAIL)
        lines = native.join(rows, *around)
        if lines is not None:
            return RecordLines(lines, len(rows))
        if self._writer is None:
            self._learn([decoded(rows[0])])
        rows = self._read(rows, of)
        digests = [row.digest if isinstance(row, native.Row) else None for row in rows]
        in_python = {index: decoded(rows[index]) for index, digest in enumerate(digests) if digest is None}
        self._learn(in_python.values())
        if len(in_python) < len(rows):  # a refused row may have the identity of one that is not
            ids = [digest or ids_of([in_python[index]])[0] for index, digest in enumerate(digests)]
            times = Counter(ids)
            in_python = {i: decoded(rows[i]) for i, id_ in enumerate(ids) if i in in_python or times[id_] > 1}
        found = list(in_python.values())
        parts, behind = [], 0
        for index, record in zip(in_python, records_of(found, ids_of(found)), strict=True):
            parts += [_joined(rows[behind:index], around), around[0], dumps(record), RECORD_TAIL]
            behind = index + 1
        parts.append(_joined(rows[behind:], around))
        return RecordLines(b"".join(parts), len(rows))

    def _read(self, rows: list[RowText], of: Sequence[str]) -> list[RowText]:
        """The rows as `native` reads them; as they are where it refuses."""
        if self._writer is None or all(isinstance(row, native.Row) for row in rows):
            return rows
        found: list[RowText] = []
        for start in range(0, len(rows), _READ_AT_ONCE):
            some = rows[start : start + _READ_AT_ONCE]
            read = self._writer.read(b"[%b]" % b",".join(some), _identity_head(of))
            found += some if read is None else read[0]
        return found

    def _learn(self, rows: Iterable[Row]) -> None:
        """Adds the columns of rows that are not known, up to a limit."""
        with self._lock:
            before = len(self._columns)
            for row in rows:
                for name in row.keys() - self._columns.keys():
                    self._add(name)
            if len(self._columns) > before and self._required in self._columns:
                required = list(self._columns).index(self._required)
                self._writer = native.Writer(tuple(self._columns.values()), required, len(self._identity))

    def _add(self, name: str) -> None:
        """Adds a column, unless its name is long, needs escapes, or is another one's in snake_case."""
        ours, quoted = snake_case(name), b'"%b"' % name.encode()
        if len(self._columns) >= _COLUMNS_KEPT or len(name) > REMEMBERED_NAME or dumps(name) != quoted:
            return
        if ours not in self._taken:
            self._taken.add(ours)
            place = self._identity.index(name) if name in self._identity else -1
            self._columns[name] = (quoted[1:-1], b",%b:" % dumps(ours), ours in self._instants, place)


def _identity_head(of: Sequence[str]) -> bytes:
    """The beginning of an identity, up to the first of the row's own values."""
    return dumps([*of])[:-1] + (b"," if of else b"")


def _joined(rows: list[RowText], around: tuple[bytes, bytes, bytes]) -> bytes:
    lines = native.join(rows, *around)
    assert lines is not None  # noqa: S101 - they were read, and have different ids
    return lines
