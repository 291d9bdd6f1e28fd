"""Plans the reading of a table and reads its files, without Spark: any scheduler can run the parts.

parts = plan(config, "pageviews")
for part in parts:  # anywhere, in any order
    for batch in read(config, "pageviews", schema, [part]): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from source_heap.added_columns import CURSOR, FILE, GENERATION
from source_heap.bucket import HeapBucket
from source_heap.config import HeapConfig
from source_heap.discovery import find_tables, table_schemas
from source_heap.dumps import Dumps
from source_heap.files import TableFiles
from source_heap.projection import projection_of
from source_heap.streams.table import TableSlice, TableStream
from source_kit.convert import utc_now
from source_kit.errors import config_error

from product_analytics_spark.columns import arrow_type

POSITION, CHANGES = "_heap_position", "_heap_changes"
#: `_heap_changes`: what Airbyte calls a record's `meta.changes`
CHANGES_TYPE = pa.list_(pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())]))
#: The columns that every table has here, whatever `columns` chooses
OWN_COLUMNS: Mapping[str, pa.DataType] = {
    CURSOR: pa.int64(),
    GENERATION: pa.int64(),
    FILE: pa.string(),
    POSITION: pa.int64(),
    CHANGES: CHANGES_TYPE,
}


@dataclass(frozen=True, slots=True)
class FilePart:
    """File number `index` (from 0) of a dump."""

    dump_id: int
    generation: int
    key: str
    index: int


def table_columns(config: HeapConfig, table: str) -> pa.Schema:
    """The columns of a table: those of the connector's catalog, then `OWN_COLUMNS`."""
    dumps = Dumps(HeapBucket(config), frozenset({table}))
    found = find_tables(dumps)
    if table not in found:
        raise config_error(f"No manifest in the bucket {config.bucket} contains the table {table}.")
    [columns] = table_schemas(dumps.bucket, [found[table]], config.normalize_times)
    return pa.schema([*((name, arrow_type(schema)) for name, schema in columns.items()), *OWN_COLUMNS.items()])


def plan(config: HeapConfig, table: str, state: Mapping[str, Any] | None = None) -> list[FilePart]:
    """The files of the table's live rows; with a state, those that a sync from it would read."""
    return [part for part, _ in planned(config, table, state or {})]


def planned(config: HeapConfig, table: str, state: Mapping[str, Any]) -> Iterator[tuple[FilePart, TableSlice]]:
    """Each file with the slice that has the state behind it."""
    dumps = Dumps(HeapBucket(config), frozenset({table}))
    stream = TableStream(table, config, dumps, {}, None)
    stream.start(state, not state, utc_now())
    for slice_ in stream.slices():
        if slice_.key is not None:
            yield FilePart(slice_.dump_id, slice_.after.generation, slice_.key, slice_.index), slice_


def read(config: HeapConfig, table: str, schema: pa.Schema, parts: Iterable[FilePart]) -> Iterator[pa.RecordBatch]:
    """The rows of some files, with the columns of a schema."""
    files = TableFiles(table, HeapBucket(config), config.skip_missing_files)
    parts = list(parts)
    files.expect(part.key for part in parts)
    for part in parts:
        constants = {CURSOR: part.dump_id, GENERATION: part.generation, FILE: part.key}
        properties = {name: _PROPERTIES[schema.field(name).type] for name in schema.names if name not in OWN_COLUMNS}
        projection = projection_of(table, config, properties, constants)
        yield from files.batches(part.key, projection, schema, part.index << 32)
    files.close()


#: By the type of a column: the JSON schema that makes the decoder write what this package reads
_PROPERTIES: Mapping[pa.DataType, Mapping[str, Any]] = {
    pa.int64(): {"type": ["null", "integer"]},
    pa.float64(): {"type": ["null", "number"]},
    pa.bool_(): {"type": ["null", "boolean"]},
    pa.string(): {"type": ["null", "string"]},
    pa.date32(): {"type": ["null", "string"], "format": "date"},
    pa.timestamp("us", tz="UTC"): {"type": ["null", "string"], "format": "date-time"},
    pa.timestamp("us"): {
        "type": ["null", "string"],
        "format": "date-time",
        "airbyte_type": "timestamp_without_timezone",
    },
}
