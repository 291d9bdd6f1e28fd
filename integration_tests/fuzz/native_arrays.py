"""Has the native decoder fill arrays, and reads them back as rows: plain Python, without Arrow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from source_heap.avro import times
from source_heap.avro.columns import flat_columns
from source_heap.avro.container import read_blocks
from source_heap.avro.file import AvroFile
from source_heap.avro.native_arrow import NativeColumns, with_texts
from source_heap.avro.native_decoder import line_of, stops
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.values import Projection

#: By the target type of a column; all others are texts, so that many of their rows are unusual
ELEMENTS: Mapping[str, str] = {"integer": "long", "number": "double", "boolean": "boolean", "time": "instant"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def native_columns(file: AvroFile, projection: Projection) -> NativeColumns | None:
    """None if a column is nested."""
    columns = flat_columns(file.header.schema.record, projection)
    if columns is None:
        return None
    names = tuple(column["name"] for column in file.header.schema.record["fields"])
    targets = [projection.target(name) for name in names]
    elements = ("skipped" if target is None else ELEMENTS.get(target, "text") for target in targets)
    return NativeColumns(tuple(map(with_texts, columns)), tuple(elements), names)


def rows_of_arrays(native: NativeColumns, file: AvroFile, projection: Projection) -> Iterator[dict[str, Any]]:
    """The rows of a file, the unusual ones by the reference decoder. Raises BrokenFile."""
    decoder = native.decoder(projection.since)
    reference = ReferenceDecoder(file.header.schema, projection)
    with file.path.open("rb") as data:
        for unusual in stops(decoder, read_blocks(data, file.header, file.size)):
            yield from _taken(native, *decoder.take_arrays())
            line = None if unusual is None else line_of(unusual, reference)
            if line is not None:
                yield orjson.loads(line)
    yield from _taken(native, *decoder.take_arrays())


def _taken(
    native: NativeColumns, count: int, arrays: tuple[tuple[bytes, bytes, bytes] | None, ...]
) -> Iterator[dict[str, Any]]:
    columns = {
        name: _values(element, count, *array)
        for name, element, array in zip(native.names, native.elements, arrays, strict=True)
        if array is not None
    }
    for row in range(count):
        yield {name: values[row] for name, values in columns.items()}


def _values(element: str, count: int, valid: bytes, values: bytes, text: bytes) -> list[Any]:
    return [_value(element, row, values, text) if valid[row >> 3] >> (row & 7) & 1 else None for row in range(count)]


def _value(element: str, row: int, values: bytes, text: bytes) -> Any:
    match element:
        case "boolean":
            return bool(values[row >> 3] >> (row & 7) & 1)
        case "double":
            return struct.unpack_from("=d", values, 8 * row)[0]
        case "text":
            begin, end = struct.unpack_from("=2i", values, 4 * row)
            return text[begin:end].decode()
    (number,) = struct.unpack_from("=q", values, 8 * row)
    return times.write(_EPOCH + timedelta(microseconds=number)) if element == "instant" else number


def without_record(projection: Projection) -> Projection:
    """The same rows as bare lines."""
    return replace(projection, head=b"", constants={})
