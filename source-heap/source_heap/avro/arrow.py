"""The rows of a file as Arrow. pyarrow is no dependency of this package: who calls this has it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection

if TYPE_CHECKING:
    import pyarrow as pa

#: A line is `{"record":{"data":{...},"meta":{"changes":[...]}}}`; `meta` is there only where a value was lost.
_HEAD = b'{"record":{"data":'


def arrow_batches(file: AvroFile, projection: Projection, schema: pa.Schema, position: int) -> Iterator[pa.RecordBatch]:
    """The rows of a file with the columns of `schema`; what the file lacks is null.

    The column `_heap_position` counts the rows from `position` on, `_heap_changes` has the entries of `meta.changes`.
    Raises BrokenFile.
    """
    import pyarrow as pa
    from pyarrow import json

    data = [field for field in schema if field.name not in ("_heap_position", "_heap_changes")]
    changes = schema.field("_heap_changes").type
    meta = pa.struct([("changes", changes)])
    line = pa.schema([("record", pa.struct([("data", pa.struct(data)), ("meta", meta)]))])
    parsing = json.ParseOptions(explicit_schema=line, unexpected_field_behavior="ignore")
    for chunk in file.rows(replace(projection, head=_HEAD)):
        reading = json.ReadOptions(use_threads=False, block_size=len(chunk.lines) + 1)
        table = json.read_json(io.BytesIO(chunk.lines), reading, parsing).combine_chunks()
        record = table.column("record").combine_chunks()
        rows, lost = record.field("data"), record.field("meta").field("changes")
        columns = {field.name: rows.field(at) for at, field in enumerate(data)}
        columns["_heap_position"] = pa.array(range(position, position + chunk.count), pa.int64())
        columns["_heap_changes"] = lost
        yield pa.RecordBatch.from_arrays(
            [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
        )
        position += chunk.count
