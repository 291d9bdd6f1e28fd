"""The rows of a file as Arrow, by the compiled module `native` where it can: a sixth of the time of the way over JSON.

`native` fills the columns of flat schemas in Arrow's layout. Rows that are unusual (see `native_decoder`) take the way
over JSON, and so do whole files with nested columns: what the batches hold is the same in both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from source_heap.avro import native_decoder
from source_heap.avro.arrow import BATCH_ROWS, CHANGES, POSITION, arrow_batches, as_lines, batch_of_lines
from source_heap.avro.chunks import Chunk
from source_heap.avro.columns import Branch, Column, flat_columns
from source_heap.avro.container import read_blocks
from source_heap.avro.declared import Declared
from source_heap.avro.file import AvroFile
from source_heap.avro.native_decoder import line_of, stops
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.values import Projection
from source_heap.limits import LINE_BYTES, ROW_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

    import source_heap.avro.native as native

#: About the bytes of a batch's texts, of its unusual rows as lines, and most of its other values
_BATCH_BYTES = 4 * 1024 * 1024
#: Most bytes that a byte of text has as JSON, and more than any other value has, with a comma
_ESCAPED, _OTHER_VALUE = 6, 40
#: A bit and eight bytes
_VALUE_BYTES = 9


def native_batches(
    file: AvroFile, projection: Projection, schema: pa.Schema, position: int
) -> Iterator[pa.RecordBatch]:
    """As `arrow_batches`, with the compiled module where it is installed and the file is flat."""
    columns = native_columns(file.header.schema, projection, schema) if native_decoder.MISSING is None else None
    if columns is None:
        return arrow_batches(file, projection, schema, position)
    return _Batches(columns, file.header.schema, projection, schema).of(file, position)


@dataclass(frozen=True, slots=True)
class NativeColumns:
    """How the compiled module decodes the columns of a file: their description, and the element of each array."""

    columns: tuple[Column, ...]
    elements: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def text_limit(self) -> int:
        """Bytes of text of a row that surely keeps the limit of a line as JSON. Negative if none does."""
        return (LINE_BYTES - sum(len(begin) + _OTHER_VALUE for begin, *_ in self.columns)) // _ESCAPED

    def decoder(self, since: str | None) -> native.Decoder:
        """A decoder to arrays. A row of more text is unusual: the reference decoder measures its line."""
        import source_heap.avro.native as native  # it is installed, or there is no such description

        selected = sum(element != "skipped" for element in self.elements)
        return native.Decoder(
            self.columns,
            b"",
            b"",
            (since or "").encode(),
            row_limit=ROW_BYTES,
            line_limit=self.text_limit,
            chunk=_BATCH_BYTES,
            elements=self.elements,
            room=min(BATCH_ROWS, max(1, _BATCH_BYTES // (_VALUE_BYTES * max(1, selected)))),
        )


def native_columns(declared: Declared, projection: Projection, schema: pa.Schema) -> NativeColumns | None:
    """None if a column of the file is nested, if one that is selected has a type that the module does not write, or if
    the names alone fill a line of JSON."""
    names = tuple(column["name"] for column in declared.record["fields"])
    wanted = {name: schema.field(name).type for name in names if _is_data(name, projection, schema)}
    targets = {name: target for name in wanted if (target := projection.target(name)) is not None}
    columns = flat_columns(declared.record, replace(projection, columns=targets))
    elements = _elements()
    if columns is None or any(wanted[name] not in elements for name in targets):
        return None
    native = NativeColumns(
        tuple(map(with_texts, columns)),
        tuple(elements[wanted[name]] if name in targets else "skipped" for name in names),
        names,
    )
    return native if native.text_limit >= 0 else None


def _is_data(name: str, projection: Projection, schema: pa.Schema) -> bool:
    return name in schema.names and name not in projection.constants and name not in (POSITION, CHANGES)


def with_texts(column: Column) -> Column:
    """A column with the symbols of its enums as texts, not as JSON."""
    begin, null, is_union, decides, branches = column
    return begin, null, is_union, decides, tuple(map(_with_text, branches))


def _with_text(branch: Branch) -> Branch:
    kind, form, scale, zero_is_null, size, symbols = branch
    return kind, form, scale, zero_is_null, size, tuple(orjson.loads(symbol).encode() for symbol in symbols)


def _elements() -> Mapping[pa.DataType, str]:
    """What `native` calls the types of Arrow that it writes."""
    import pyarrow as pa

    return {
        pa.int64(): "long",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.string(): "text",
        pa.timestamp("us", tz="UTC"): "instant",
        pa.timestamp("us"): "local instant",
        pa.date32(): "day",
    }


@dataclass(slots=True)
class _UnusualRows:
    """Rows of a batch as lines of the reference decoder, each with the number of `native`'s rows before it."""

    lines: list[bytes] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes, place: int) -> None:
        self.lines.append(line)
        self.places.append(place)
        self.size += len(line)

    @property
    def is_full(self) -> bool:
        return self.size >= _BATCH_BYTES or len(self.lines) >= BATCH_ROWS


class _Batches:
    """Makes batches of the rows of a file."""

    def __init__(self, native: NativeColumns, declared: Declared, projection: Projection, schema: pa.Schema) -> None:
        self._rows = native.decoder(projection.since)
        self._names, self._declared = native.names, declared
        self._projection, self._schema = projection, schema
        self._unusual = _UnusualRows()
        self._reference: ReferenceDecoder | None = None

    def of(self, file: AvroFile, position: int) -> Iterator[pa.RecordBatch]:
        """The rows of the file, in order. Raises BrokenFile."""
        with file.path.open("rb") as data:
            for unusual in stops(self._rows, read_blocks(data, file.header, file.size)):
                if unusual is not None:
                    self._add_unusual(unusual)
                if unusual is None or self._unusual.is_full:
                    batch = self._taken()
                    yield _numbered(batch, position)
                    position += batch.num_rows
        batch = self._taken()
        if batch.num_rows:
            yield _numbered(batch, position)

    def _add_unusual(self, row: bytes) -> None:
        if self._reference is None:
            self._reference = ReferenceDecoder(self._declared, as_lines(self._projection))
        line = line_of(row, self._reference)
        if line is not None:
            self._unusual.add(line, self._rows.count())

    def _taken(self) -> pa.RecordBatch:
        """What was decoded since the last time, without positions."""
        import pyarrow as pa

        unusual, self._unusual = self._unusual, _UnusualRows()
        count, arrays = self._rows.take_arrays()
        usual = self._batch(count, arrays)
        if not unusual.lines:
            return usual
        chunk = Chunk(b"".join(unusual.lines), len(unusual.lines))
        others = batch_of_lines(chunk, self._projection.constants, self._schema, 0)
        if not count:
            return others
        order = pa.array(_order(count, unusual.places), pa.int64())
        [batch] = pa.Table.from_batches([usual, others]).take(order).combine_chunks().to_batches()
        return batch

    def _batch(self, count: int, arrays: Sequence[tuple[bytes, bytes, bytes] | None]) -> pa.RecordBatch:
        import pyarrow as pa

        found = {name: array for name, array in zip(self._names, arrays, strict=True) if array is not None}
        columns = []
        for column in self._schema:
            if column.name in self._projection.constants:
                columns.append(pa.repeat(self._projection.constants[column.name], count).cast(column.type))
            elif column.name in found:
                valid, values, text = map(pa.py_buffer, found[column.name])
                buffers = [valid, values, text] if column.type == pa.string() else [valid, values]
                columns.append(pa.Array.from_buffers(column.type, count, buffers))
            else:
                columns.append(pa.nulls(count, column.type))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _order(usual: int, places: Sequence[int]) -> list[int]:
    """The order of so many usual rows with others behind them, of which each has its place among them."""
    order: list[int] = []
    at = 0
    for number, place in enumerate(places):
        order += (*range(at, place), usual + number)
        at = place
    return [*order, *range(at, usual)]


def _numbered(batch: pa.RecordBatch, position: int) -> pa.RecordBatch:
    """A batch with the positions of its rows."""
    import pyarrow as pa

    at = batch.schema.get_field_index(POSITION)
    if at < 0:
        return batch
    numbers = pa.array(range(position, position + batch.num_rows), pa.int64())
    return batch.set_column(at, batch.schema.field(at), numbers)
