"""A Heap environment that grows. Each call of `Account.dump` makes the next dump. The same calls make the same dumps.

    account = Account(seed=7)
    first = account.dump(998, {"users": full(50), "sessions": full(80, files=2)})
    second = account.dump(999, {"users": more(5), "sessions": more(20, add=(Column("coupon"),))})

The account keeps the rows that it exported. An increment repeats a few earlier rows with newer values. A full dump
exports some earlier rows again; the others are missing, as after a deletion. Schema changes are kept for later dumps.
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from simulators.heap.avro_files import AvroType, Column, Damage, Row
from simulators.heap.catalog import ID_COLUMNS, MIGRATIONS, USERS, columns_of, value_of, zero_of
from simulators.heap.layout import DEFAULT_BUCKET, DataFile, Dump, FileStyle, Naming, TableDump
from simulators.heap.times import TIME_COLUMNS, TimeEncoding, write_instant

_FIRST_DAY_MICROS = 1_714_521_600_000_000  # 2024-05-01T00:00:00Z
_DAY_MICROS = 86_400_000_000
_DAY_OF_BIRTH_MICROS = 1_577_836_800_000_000  # 2020-01-01T00:00:00Z, before any dump


class IdRange(StrEnum):
    """The range of the ids. `EDGES` includes 2**53+1, 2**63-1 and negative numbers."""

    BITS_53 = "53-bit"
    BITS_63 = "63-bit"
    NEGATIVE = "negative"
    EDGES = "edges"


_EDGES = (2**53 + 1, 2**63 - 1, -1, -(2**63), 2**53 - 1, 2**53, -(2**53) - 1)


@dataclass(frozen=True)
class Part:
    """What the next dump has of one table."""

    rows: int = 20
    """New rows."""
    incremental: bool | None = True
    """None writes a manifest without the flag."""
    files: int = 1
    repeated: float = 0.02
    """For an increment: the number of earlier rows that come again, as a share of the new rows."""
    kept: float = 0.5
    """For a full dump: the share of the earlier rows that it exports again."""
    columns: tuple[Column, ...] | None = None
    """The columns of the table from this dump on, instead of its own."""
    add: tuple[Column, ...] = ()
    drop: tuple[str, ...] = ()
    retype: Mapping[str, AvroType] = field(default_factory=dict)
    """New types by column. Earlier rows that come again are converted to text, or to null if that is impossible."""
    times: tuple[TimeEncoding, ...] = (TimeEncoding.TEXT,)
    """Encodings of the time columns; the rows use them in turn. A column is a long if all are numbers, else text."""
    style: FileStyle | None = None
    damage: Mapping[int, Damage] = field(default_factory=dict)
    """The damage of a file, by the index of the file."""
    storage_class: str | None = None
    shuffled: bool = False
    """The manifest lists the files in random order."""


def full(rows: int = 20, **settings: Any) -> Part:
    """A full dump of a table: `incremental` is false."""
    return Part(rows=rows, incremental=False, **settings)


def more(rows: int = 20, **settings: Any) -> Part:
    """An increment."""
    return Part(rows=rows, **settings)


@dataclass
class Account:
    """A Heap environment and the bucket that it exports to."""

    seed: int = 1
    bucket: str = DEFAULT_BUCKET
    style: FileStyle = field(default_factory=FileStyle)
    ids: IdRange = IdRange.BITS_53
    migrated: float = 0.05
    """The share of users that were merged into another user."""
    with_properties: bool = False
    with_reports: bool = False
    _columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _dumps: int = 0
    _taken: set[int] = field(default_factory=set)

    def dump(self, dump_id: int, parts: Mapping[str, Part], *, uri_bucket: str | None = None) -> Dump:
        """Make the next dump. Users are made first, so that events of the same dump can refer to them."""
        self._dumps += 1
        ordered = sorted(parts.items(), key=lambda item: (item[0] != USERS, item[0] != MIGRATIONS))
        tables = {name: self._table(dump_id, name, part) for name, part in ordered}
        return Dump(
            id=dump_id,
            tables=tuple(tables[name] for name in parts),
            bucket=uri_bucket or self.bucket,
            properties=_PROPERTIES if self.with_properties else None,
            report_ms=self._now() // 1_000 if self.with_reports else None,
        )

    def rewritten(self, dump: Dump, tag: str, tables: Mapping[str, Mapping[int, Damage]] | None = None) -> Dump:
        """The same dump with other file names, as if Heap had written it again."""
        renamed = []
        for table in dump.tables:
            damage = (tables or {}).get(table.name, {})
            files = [
                replace(file, key=file.key.replace(".avro", f"-{tag}.avro"), damage=damage.get(index))
                for index, file in enumerate(table.files)
            ]
            renamed.append(replace(table, files=tuple(files)))
        return replace(dump, tables=tuple(renamed))

    def _now(self) -> int:
        return _FIRST_DAY_MICROS + self._dumps * _DAY_MICROS

    def _table(self, dump_id: int, table: str, part: Part) -> TableDump:
        rng = random.Random(f"{self.seed}/{dump_id}/{self._dumps}/{table}")
        columns = self._changed_columns(table, part)
        rows = self._exported(table, part, columns, rng)
        style = part.style or self._style_of(table)
        names = _file_names(style.naming, part.files, rng)
        written_columns = tuple(_time_column(column, part.times) for column in columns)
        written = [
            _written(row, written_columns, part.times[index % len(part.times)], style) for index, row in enumerate(rows)
        ]
        files = [
            DataFile(
                key=f"sync_{dump_id}/{table}/{name}",
                columns=written_columns,
                rows=tuple(written[index * len(written) // part.files : (index + 1) * len(written) // part.files]),
                style=style,
                damage=part.damage.get(index),
                storage_class=part.storage_class,
            )
            for index, name in enumerate(names)
        ]
        if part.shuffled:
            rng.shuffle(files)
        return TableDump(table, part.incremental, tuple(files))

    def _style_of(self, table: str) -> FileStyle:
        """In real buckets the file names of these two tables begin with a number and `_`."""
        return replace(self.style, naming=Naming.INT) if table in (USERS, MIGRATIONS) else self.style

    def _changed_columns(self, table: str, part: Part) -> tuple[Column, ...]:
        columns = part.columns or self._columns.get(table) or columns_of(table)
        columns = tuple(column for column in columns if column.name not in part.drop)
        columns = tuple(replace(column, type=part.retype.get(column.name, column.type)) for column in columns)
        last = columns[-1:] if columns and columns[-1].name == "time" else ()
        self._columns[table] = (*columns[: len(columns) - len(last)], *part.add, *last)
        return self._columns[table]

    def _exported(self, table: str, part: Part, columns: tuple[Column, ...], rng: random.Random) -> list[Row]:
        earlier = self._rows.setdefault(table, [])
        if table == MIGRATIONS:
            earlier.extend(self._new_migrations(part.rows, rng))
            return list(earlier)
        fresh = [self._new_row(table, columns, rng) for _ in range(part.rows)]
        if part.incremental is False:
            again = [row for row in earlier if rng.random() < part.kept]
            self._rows[table] = again + fresh
            return self._rows[table]
        count = min(len(earlier), round(part.rows * part.repeated + 0.49))
        again = [self._later(row, columns, rng) for row in rng.sample(earlier, count)]
        earlier.extend(fresh)
        return again + fresh

    def _new_row(self, table: str, columns: tuple[Column, ...], rng: random.Random) -> Row:
        row = {column.name: value_of(column, rng) for column in columns}
        names = row.keys()
        users = self._rows.get(USERS, [])
        for name in sorted(names & ID_COLUMNS):
            of_a_user = name == "user_id" and table != USERS and users
            row[name] = rng.choice(users)["user_id"] if of_a_user else self._new_id(rng)
        for name in sorted(names & TIME_COLUMNS):
            row[name] = self._now() - rng.randrange(_DAY_MICROS // 1_000) * 1_000
        if "joindate" in names:
            row["joindate"] = rng.randrange(_DAY_OF_BIRTH_MICROS // 1_000, _FIRST_DAY_MICROS // 1_000) * 1_000
        return row

    def _later(self, row: Row, columns: tuple[Column, ...], rng: random.Random) -> Row:
        """The row in a later dump: the same ids and instants, other properties, a later `last_modified`."""
        again = {column.name: value_of(column, rng) for column in columns}
        again.update({name: row[name] for name in again if name in ID_COLUMNS | TIME_COLUMNS and name in row})
        if "last_modified" in again:
            again["last_modified"] = self._now()
        row.update(again)
        return dict(row)

    def _new_migrations(self, limit: int, rng: random.Random) -> list[Row]:
        """Merges of users that have none: at most `limit`, and in total at most the share `migrated` of the users."""
        users = self._rows.get(USERS, [])
        merged = {row["from_user_id"] for row in self._rows[MIGRATIONS]}
        candidates = [row["user_id"] for row in users if row["user_id"] not in merged]
        room = max(1, round(len(users) * self.migrated)) - len(merged)
        chosen = rng.sample(candidates, max(0, min(limit, room, len(candidates))))
        return [
            {"from_user_id": user, "to_user_id": self._new_id(rng), "time": self._now() - rng.randrange(_DAY_MICROS)}
            for user in chosen
        ]

    def _new_id(self, rng: random.Random) -> int:
        if self.ids is IdRange.EDGES:
            for edge in _EDGES:
                if edge not in self._taken:
                    self._taken.add(edge)
                    return edge
        low, high = {
            IdRange.BITS_53: (0, 2**53),
            IdRange.BITS_63: (2**62, 2**63),
            IdRange.NEGATIVE: (-(2**63), 0),
            IdRange.EDGES: (-(2**63), 2**63),
        }[self.ids]
        while (new := rng.randrange(low, high)) in self._taken:
            pass
        self._taken.add(new)
        return new


def _file_names(naming: Naming, count: int, rng: random.Random) -> list[str]:
    writer = uuid.UUID(int=rng.getrandbits(128), version=4)
    if naming is Naming.SPARK:
        return [f"part-{index:05d}-{writer}-c000.avro" for index in range(count)]
    if naming is Naming.INT:
        return [f"{index}_{rng.getrandbits(24):06x}.avro" for index in range(count)]
    return [f"{rng.getrandbits(56):014x}.avro" for _ in range(count)]


def _time_column(column: Column, times: Sequence[TimeEncoding]) -> Column:
    if column.name not in TIME_COLUMNS:
        return column
    return replace(column, type="long" if all(encoding.numeric for encoding in times) else "string")


def _written(row: Row, columns: tuple[Column, ...], encoding: TimeEncoding, style: FileStyle) -> Row:
    """The values of a row as its file holds them."""
    return {column.name: _written_value(column, row.get(column.name), encoding, style) for column in columns}


def _written_value(column: Column, value: Any, encoding: TimeEncoding, style: FileStyle) -> Any:
    if value is None:
        return zero_of(column) if column.declared(style.order) == column.type else None
    if column.name in TIME_COLUMNS:
        written = write_instant(value, encoding)
        return str(written) if column.type == "string" else written
    if column.type == "string":
        return value if isinstance(value, str) else str(value)
    if isinstance(column.type, str) and isinstance(value, str):
        return None if column.declared(style.order) != column.type else zero_of(column)
    return value


_PROPERTIES: tuple[dict[str, Any], ...] = (
    {
        "property_name": "Channel",
        "type": "event",
        "cases": [
            {
                "value": {"type": "constant", "value": "Paid"},
                "condition": {
                    "clauses": [
                        {
                            "id": "a",
                            "property": {"field_name": "utm_medium", "entity": "session"},
                            "operator": "=",
                            "value": "cpc",
                        }
                    ],
                    "combination": "a",
                },
            }
        ],
        "default_value": {"type": "constant", "value": "Organic"},
    },
)
