"""The rows of `_heap_dumps`, one for each dump and table, as Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson
import pyarrow as pa
from source_heap.avro.arrow import typed, wire_type
from source_heap.bucket import HeapBucket
from source_heap.config import HeapConfig
from source_heap.dumps import Dumps
from source_heap.streams.dumps import HeapDumps
from source_kit.convert import utc_now

#: As in the connector's catalog; `columns` is JSON text
COLUMNS: Mapping[str, pa.DataType] = {
    "dump_id": pa.int64(),
    "table_name": pa.string(),
    "incremental": pa.bool_(),
    "generation": pa.int64(),
    "files": pa.int64(),
    "columns": pa.string(),
    "manifest_key": pa.string(),
    "manifest_last_modified": pa.timestamp("us", tz="UTC"),
}


def batches(config: HeapConfig, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """All rows, with the columns of a schema; a column that is not one of `COLUMNS` is null."""
    stream = HeapDumps(Dumps(HeapBucket(config)))
    stream.start({}, True, utc_now())
    for slice_ in stream.slices():
        for rows in stream.read_slice(slice_):
            if isinstance(rows, list):
                texts = [{**row, "columns": orjson.dumps(row["columns"]).decode()} for row in rows]
                columns = (pa.array([row.get(one.name) for row in texts], wire_type(one.type)) for one in schema)
                arrays = [typed(column, field.type)[0] for column, field in zip(columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
