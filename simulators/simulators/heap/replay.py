"""What a perfect warehouse holds: the reference model of a bucket of dumps.

The vendor's rule in three lines: take the dumps in the order of their ids; a table that is not `incremental` starts
from nothing; then add the rows. A table that a dump does not name stays as it is.
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
    """A row, the dump that brought it and its file's key. `values` are as written, absent columns absent."""

    values: Row
    dump_id: int
    file: str


@dataclass
class LiveTable:
    """The live rows of a table, in dump order, then in the order in which the manifest lists the files."""

    name: str
    generation: int
    """The dump that the live rows start from: the last full one, else the oldest."""
    rows: list[LiveRow] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The columns of the live rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def emitted(self, *, normalized: bool = True) -> list[Row]:
        """Every live row without its nulls; the time columns as RFC 3339 (six digits, UTC) or as written."""
        return [_as_row(row.values, normalized) for row in self.rows]

    def latest(self, mode: str = "stitch", *, normalized: bool = True) -> list[Row]:
        """One row for each key, the one that came last, by the key of `mode`; every row of a table without a key."""
        key = key_of(self.columns, self.name, mode)
        if not key:
            return self.emitted(normalized=normalized)
        last: dict[tuple[Any, ...], Row] = {}
        for row in self.rows:
            last[tuple(row.values[name] for name in key)] = row.values
        return [_as_row(values, normalized) for values in last.values()]


def replay(dumps: Iterable[Dump]) -> dict[str, LiveTable]:
    """The live rows of every table after these dumps, whatever order they are given in."""
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
