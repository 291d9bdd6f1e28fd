"""The rows of a file as Arrow. pyarrow is no dependency of this package: who calls this has it.

The lines of JSON that the decoders write become columns, so every schema is served. The projection has to ask for
values that Arrow can hold: a column of several types or of nested values as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from source_heap.avro.chunks import Chunk
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection, change

if TYPE_CHECKING:
    import pyarrow as pa

POSITION, CHANGES = "_heap_position", "_heap_changes"
#: Rows of a batch, and bytes of their JSON lines, where either ends it. A row may have 10 MiB.
BATCH_ROWS = 8_192
_BATCH_BYTES = 8 * 1024 * 1024
#: A line is `{"record":{"data":{...},"meta":{"changes":[...]}}}`; `meta` is there only where a value was lost.
_HEAD = b'{"record":{"data":'


def arrow_batches(file: AvroFile, projection: Projection, schema: pa.Schema, position: int) -> Iterator[pa.RecordBatch]:
    """The rows of a file with the columns of `schema`, of the types in `wire_type`; what the file lacks is null.

    The column `_heap_position` counts the rows from `position` on. `_heap_changes` has the entries of `meta.changes`,
    also those of texts that are no values of their column's type, and is null for a row without one. Raises
    BrokenFile.
    """
    for chunk in _joined(file.rows(as_lines(projection))):
        yield batch_of_lines(chunk, projection.constants, schema, position)
        position += chunk.count


def as_lines(projection: Projection) -> Projection:
    """The projection that makes decoders write the lines of `batch_of_lines`."""
    return replace(projection, head=_HEAD, constants={})


def _joined(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Chunks of about a batch's rows: a few are cheaper for whoever takes them than many."""
    parts: list[bytes] = []
    count = size = 0
    for chunk in chunks:
        parts.append(chunk.lines)
        count, size = count + chunk.count, size + len(chunk.lines)
        if count >= BATCH_ROWS or size >= _BATCH_BYTES:
            yield Chunk(b"".join(parts), count)
            parts, count, size = [], 0, 0
    if count:
        yield Chunk(b"".join(parts), count)


def batch_of_lines(chunk: Chunk, constants: Mapping[str, object], schema: pa.Schema, position: int) -> pa.RecordBatch:
    """The rows of some lines, without the columns of `constants`."""
    import pyarrow as pa

    names = [name for name in schema.names if name not in constants and name not in (POSITION, CHANGES)]
    rows, changes = _parsed(chunk.lines, {name: wire_type(schema.field(name).type) for name in names})
    columns: dict[str, pa.Array] = {name: pa.repeat(value, chunk.count) for name, value in constants.items()}
    lost: dict[str, Sequence[int]] = {}
    for name, column in zip(names, rows, strict=True):
        columns[name], lost[name] = typed(column, schema.field(name).type)
    columns[POSITION] = pa.array(range(position, position + chunk.count), pa.int64())
    columns[CHANGES] = with_lost(changes, lost)
    arrays = [columns[field.name].cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _parsed(lines: bytes, types: Mapping[str, pa.DataType]) -> tuple[list[pa.Array], pa.Array]:
    """The columns of the lines, and the entries of `meta.changes`."""
    import pyarrow as pa
    from pyarrow import json

    entry = pa.struct([(key, pa.string()) for key in change("")])
    meta = pa.struct([("changes", pa.list_(entry))])
    record = pa.struct([("data", pa.struct(list(types.items()))), ("meta", meta)])
    parsing = json.ParseOptions(
        explicit_schema=pa.schema([("record", record)]),
        unexpected_field_behavior="ignore",  # a column of a file that the schema does not have
    )
    reading = json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    found = json.read_json(pa.BufferReader(lines), reading, parsing).column("record").combine_chunks()
    data, meta_column = found.field("data"), found.field("meta")
    return [data.field(at) for at in range(len(types))], meta_column.field("changes")


def wire_type(wanted: pa.DataType) -> pa.DataType:
    """The type that a column has in the lines: numbers and booleans are themselves, all others are text."""
    import pyarrow as pa

    return wanted if wanted in (pa.int64(), pa.float64(), pa.bool_()) else pa.string()


def typed(column: pa.Array, wanted: pa.DataType) -> tuple[pa.Array, Sequence[int]]:
    """A column in its type, and the rows whose texts are no values of it, which become null.

    What Arrow casts is a value: dates like `2024-05-01`, instants in RFC 3339.
    """
    import pyarrow as pa

    try:
        return column.cast(wanted), ()
    except pa.ArrowInvalid:
        values = [_value(one, wanted) for one in column]
    lost = [row for row, value in enumerate(values) if not value.is_valid and column[row].is_valid]
    return pa.array(values, wanted), lost


def _value(one: pa.Scalar, wanted: pa.DataType) -> pa.Scalar:
    import pyarrow as pa

    try:
        return one.cast(wanted)
    except pa.ArrowInvalid:
        return pa.scalar(None, wanted)


def with_lost(changes: pa.Array, lost: Mapping[str, Sequence[int]]) -> pa.Array:
    """The changes of the rows, with an entry for each row of `lost`, which has the rows by the names of columns."""
    import pyarrow as pa

    if not any(lost.values()):
        return changes
    entries = changes.to_pylist()
    for name, rows in lost.items():
        for row in rows:
            entries[row] = [*(entries[row] or ()), change(name)]
    return pa.array(entries, changes.type)
