"""The reference model: the rows that a complete warehouse holds after some dumps.

The vendor's rule: Take the dumps in the order of their ids. A table that is not `incremental` is emptied first. Then
its rows are added. A table that a dump does not name stays as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators.heap.avro_files import Row
from simulators.heap.catalog import key_of
from simulators.heap.layout import Dump
from simulators.heap.times import SESSION_TIME, TIME_COLUMNS, instant_text


@dataclass(frozen=True)
class LiveRow:
    """A row, its dump and the key of its file. `values` are as written; columns that the file lacks are missing."""

    values: Row
    dump_id: int
    file: str


@dataclass
class LiveTable:
    """The live rows of a table, in the order of the dumps and, within a dump, of the files in the manifest."""

    name: str
    generation: int
    """The id of the dump that the live rows start with: the last full dump, or the oldest dump if none is full."""
    rows: list[LiveRow] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The columns of the live rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def emitted(self, *, normalized: bool = True) -> list[Row]:
        """All live rows, without nulls.

        Time columns are RFC 3339 (UTC, six digits), or as written if not `normalized`.
        """
        return [_as_row(row.values, normalized) for row in self.rows]

    def latest(self, mode: str = "stitch", *, normalized: bool = True) -> list[Row]:
        """The last row of each key. `mode` chooses the key. A table without a key gives all rows."""
        key = key_of(self.columns, self.name, mode)
        if not key:
            return self.emitted(normalized=normalized)
        last: dict[tuple[Any, ...], Row] = {}
        for row in self.rows:
            last[tuple(row.values[name] for name in key)] = row.values
        return [_as_row(values, normalized) for values in last.values()]


def replay(dumps: Iterable[Dump]) -> dict[str, LiveTable]:
    """The live rows of every table after these dumps. The order of the argument does not matter."""
    live: dict[str, LiveTable] = {}
    for dump in sorted(dumps, key=lambda one: one.id):
        for table in dump.tables:
            if not table.incremental or table.name not in live:
                live[table.name] = LiveTable(table.name, dump.id)
            for file in table.files:
                live[table.name].rows.extend(LiveRow(row, dump.id, file.key) for row in file.rows)
    return live


def _as_row(values: Mapping[str, Any], normalized: bool) -> Row:
    values_by_name = {
        name: instant_text(value) if normalized and _is_instant(name, value) else value
        for name, value in values.items()
    }
    return {name: value for name, value in values_by_name.items() if value is not None}


def _is_instant(name: str, value: Any) -> bool:
    return name in TIME_COLUMNS or (name == SESSION_TIME and isinstance(value, str))
