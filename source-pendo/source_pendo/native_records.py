"""Makes RECORD lines of rows of events with the compiled module `native`, without decoding them.

Rows that `native` does not write exactly as Python would, it refuses one by one, and they are decoded: see
`native/records.h`.
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
from source_pendo.event_rows import RowText, decoded

try:
    import source_pendo.compiled.native as native
except ImportError as error:
    #: Why there is no `native`, most likely because the package was installed without a compiler. None if there is one
    MISSING: str | None = str(error)
else:
    MISSING = None

#: Columns that `native` knows. A row with others is decoded.
_COLUMNS_KEPT: Final = 1_000


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
        head = record_head(self._stream)
        if self._writer is None:
            self._learn([decoded(rows[0])])
        lines, ids = self._written(rows, head, b'",%b}%b' % (constants, RECORD_TAIL), of)
        in_python = {index: decoded(rows[index]) for index, line in enumerate(lines) if not line}
        self._learn(in_python.values())
        if len(in_python) < len(rows):  # a refused row may have the identity of one that is not
            for index, row in in_python.items():
                [ids[index]] = ids_of([row])
        if len(in_python) < len(rows) and len(set(ids)) < len(ids):
            times = Counter(ids)
            in_python = {i: decoded(rows[i]) for i, id_ in enumerate(ids) if i in in_python or times[id_] > 1}
        if in_python:
            found = list(in_python.values())
            for index, record in zip(in_python, records_of(found, ids_of(found)), strict=True):
                lines[index] = b"".join((head, dumps(record), RECORD_TAIL))
        return RecordLines(b"".join(lines), len(lines))

    def _written(
        self, rows: list[RowText], head: bytes, tail: bytes, of: Sequence[str]
    ) -> tuple[list[bytes], list[str]]:
        """Line and id of each row, both empty for a row that is refused."""
        if self._writer is None:
            return [b""] * len(rows), [""] * len(rows)
        identity_head = dumps([*of])[:-1] + (b"," if of else b"")
        return self._writer.write(rows, head, b',"record_id":"', tail, identity_head)

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
