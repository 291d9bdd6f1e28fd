"""Plans the reading of a table and reads its files, without Spark: any scheduler can run the parts.

schema = table_columns(config, "pageviews")
for part in plan(config, "pageviews"):  # anywhere, in any order
    for batch in read(config, "pageviews", schema, [part]): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from source_heap.added_columns import CURSOR, FILE, GENERATION
from source_heap.avro.arrow import CHANGES, POSITION
from source_heap.avro.times import TIME_COLUMNS
from source_heap.avro.values import ANY, Projection
from source_heap.bucket import HeapBucket
from source_heap.config import HeapConfig
from source_heap.discovery import find_table, table_schemas
from source_heap.dumps import Dumps
from source_heap.files import TableFiles
from source_heap.projection import projection_of
from source_heap.streams.dumps import NAME as DUMPS
from source_heap.streams.table import TableSlice, TableStream
from source_kit.convert import utc_now
from source_kit.errors import config_error

from product_analytics_spark.columns import arrow_type
from product_analytics_spark.heap import dumps_table

#: `_heap_changes`: what Airbyte calls a record's `meta.changes`
CHANGES_TYPE = pa.list_(pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())]))
#: The columns that every table has here, whatever `columns` chooses. `_heap_dumps` is the exception.
OWN_COLUMNS: Mapping[str, pa.DataType] = {
    CURSOR: pa.int64(),
    GENERATION: pa.int64(),
    FILE: pa.string(),
    POSITION: pa.int64(),
    CHANGES: CHANGES_TYPE,
}
#: Columns that an error lists
_NAMED = 50
_INSTANT = pa.timestamp("us", tz="UTC")
_TEXT: Mapping[str, Any] = {"type": ["null", "string"]}
#: By the type of a column: its name in SQL, and the JSON schema that makes the decoder write what it holds
_SERVED: Mapping[pa.DataType, tuple[str, Mapping[str, Any]]] = {
    pa.int64(): ("bigint", {"type": ["null", "integer"]}),
    pa.float64(): ("double", {"type": ["null", "number"]}),
    pa.bool_(): ("boolean", {"type": ["null", "boolean"]}),
    pa.string(): ("string", _TEXT),
    pa.date32(): ("date", _TEXT),
    _INSTANT: ("timestamp", {**_TEXT, "format": "date-time"}),
    pa.timestamp("us"): ("timestamp_ntz", _TEXT),
}


@dataclass(frozen=True, slots=True)
class FilePart:
    """File number `index` (from 0) of a dump. The only part of `_heap_dumps` is no file and has no key."""

    dump_id: int
    generation: int
    key: str
    index: int


def table_columns(config: HeapConfig, table: str, only: Sequence[str] = ()) -> pa.Schema:
    """The columns of a table: those of the connector's catalog, all or `only` these, then `OWN_COLUMNS`.

    Raises a config_error for a table or a column that does not exist.
    """
    columns = dumps_table.COLUMNS if table == DUMPS else _columns(config, table)
    own: Mapping[str, pa.DataType] = {} if table == DUMPS else OWN_COLUMNS
    names = [name for name in only or columns if name not in own]
    unknown = next((name for name in names if name not in columns), None)
    if unknown is not None:
        more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
        raise config_error(
            f"Table {table} has no column {unknown}, which option columns names; upper and lower case count. The "
            f"columns are: {', '.join([*columns][:_NAMED])}{more}."
        )
    return pa.schema([*((name, columns[name]) for name in names), *own.items()])


def _columns(config: HeapConfig, table: str) -> Mapping[str, pa.DataType]:
    dumps = Dumps(HeapBucket(config), frozenset({table}))
    found = find_table(dumps, table)
    if found is None:
        raise config_error(
            f"No manifest in the bucket {config.bucket} contains the table {table}. Check the name; Heap's tables are "
            f"in the column table_name of {DUMPS}."
        )
    [columns] = table_schemas(dumps.bucket, [found], config.normalize_times)
    return {name: arrow_type(schema) for name, schema in columns.items() if name not in OWN_COLUMNS}


def require_served(config: HeapConfig, table: str, schema: pa.Schema) -> None:
    """Raises a config_error that names a column of a given schema that cannot be read as it is declared."""
    for field in schema:
        served = _served(config, table, field.name)
        if field.type not in served:
            names = [
                _SERVED[kind][0] if kind in _SERVED else "array<struct<...>> as without a schema" for kind in served
            ]
            raise config_error(
                f"Column {field.name} of table {table} cannot be read as the type that the given schema has for it. "
                f"Its type can be {', '.join(names)}."
            )
        if not field.nullable:
            raise config_error(
                f"Column {field.name} of table {table} may be null, as every column. Leave NOT NULL out of the given "
                "schema."
            )


def _served(config: HeapConfig, table: str, column: str) -> Sequence[pa.DataType]:
    """The types that a column can be read as."""
    own = dumps_table.COLUMNS if table == DUMPS else OWN_COLUMNS
    if column in own:
        return [own[column]]
    if config.normalize_times and column in TIME_COLUMNS:
        return [_INSTANT, pa.string()]
    return list(_SERVED)


def plan(config: HeapConfig, table: str, state: Mapping[str, Any] | None = None) -> list[FilePart]:
    """The files of the table's live rows; with a state, those that a sync from it would read."""
    if table == DUMPS:
        HeapBucket(config).manifests()  # what is wrong with the access shows here, not in a part somewhere
        return [FilePart(0, 0, "", 0)]
    return [part for part, _ in planned(config, table, state or {})]


def planned(config: HeapConfig, table: str, state: Mapping[str, Any]) -> Iterator[tuple[FilePart, TableSlice]]:
    """Each file with the slice that has the state behind it."""
    dumps = Dumps(HeapBucket(config), frozenset({table}))
    stream = TableStream(table, config, dumps, {}, ())
    stream.start(state, not state, utc_now())
    for slice_ in stream.slices():
        if slice_.key is not None:
            yield FilePart(slice_.dump_id, slice_.after.generation, slice_.key, slice_.index), slice_


def read(config: HeapConfig, table: str, schema: pa.Schema, parts: Iterable[FilePart]) -> Iterator[pa.RecordBatch]:
    """The rows of some parts, with the columns of a schema; a column that a file lacks is null."""
    parts = list(parts)
    if table == DUMPS:
        yield from dumps_table.batches(config, schema) if parts else ()
        return
    with closing(TableFiles(table, HeapBucket(config), config.skip_missing_files)) as files:
        files.expect(part.key for part in parts)
        for part in parts:
            constants = {CURSOR: part.dump_id, GENERATION: part.generation, FILE: part.key}
            projection = _projection(config, table, schema, constants)
            yield from files.batches(part.key, projection, schema, part.index << 32)


def _projection(config: HeapConfig, table: str, schema: pa.Schema, constants: Mapping[str, Any]) -> Projection:
    properties = {field.name: _SERVED[field.type][1] for field in schema if field.name not in (POSITION, CHANGES)}
    found = projection_of(table, config, properties, constants)
    # with timestamp_mode raw a column that holds instants passes every value through, of which only text has a place
    targets = {name: "string" if target == ANY else target for name, target in (found.columns or {}).items()}
    return replace(found, columns=targets)
