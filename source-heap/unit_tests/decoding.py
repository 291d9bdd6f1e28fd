"""Rows through the connector's two decoders, the compiled one and the reference, and what fastavro alone reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import fastavro
from simulators.heap.avro_files import Column, encode
from source_heap.avro.chunks import Chunk
from source_heap.avro.columns import flat_columns
from source_heap.avro.declared import Declared, declared
from source_heap.avro.file import AvroFile
from source_heap.avro.native_decoder import NativeDecoder
from source_heap.avro.reference import ReferenceDecoder, projected
from source_heap.avro.values import Projection

#: The compiled decoder, and the reference
DECODERS = ("compiled", "fastavro")
EVERYTHING = Projection(None, {})
HEAD = b'{"type":"RECORD","record":{"stream":"ev","emitted_at":1,"data":'
#: A row as JSON, as it is written, and the changes of its record
Line: TypeAlias = tuple[str, list[Any]]


def schema_of(fields: Mapping[str, Any]) -> Declared:
    """The schema of rows with these columns."""
    named = [{"name": name, "type": kind} for name, kind in fields.items()]
    return declared({"type": "record", "name": "r", "fields": named})


def avro_file(folder: Path, columns: Sequence[Column], rows: Sequence[dict[str, Any]], **style: Any) -> AvroFile:
    """A file of the rows, on disk."""
    path = folder / "file.avro"
    path.write_bytes(encode(columns, rows, **style))
    return AvroFile.open(path)


def lines_of(chunks: Iterable[Chunk]) -> list[Line]:
    """The rows of records that begin with `HEAD`."""
    found = []
    for chunk in chunks:
        lines = chunk.lines.decode().split("\n")
        assert lines.pop() == ""
        assert len(lines) == chunk.count
        for line in lines:
            record = json.loads(line)["record"]
            meta = ',"meta":' + json.dumps(record["meta"], separators=(",", ":")) if "meta" in record else ""
            row = line.removeprefix(HEAD.decode()).removesuffix(meta + "}}")
            assert json.loads(row) == record["data"] or "NaN" in row
            found.append((row, record.get("meta", {}).get("changes", [])))
    return found


def rows_of(file: AvroFile, projection: Projection = EVERYTHING) -> list[Line]:
    """What the connector writes of the file's rows."""
    return lines_of(file.rows(replace(projection, head=HEAD)))


def by_fastavro(file: AvroFile, projection: Projection = EVERYTHING) -> list[tuple[dict[str, Any], list[Any]]]:
    """What fastavro reads from the whole file, in the target types of the projection."""
    with file.path.open("rb") as data:
        rows: list[Any] = list(fastavro.reader(data, handle_unicode_errors="backslashreplace"))
    return [projected(row, {name: projection.target(name) for name in row}, projection.constants, []) for row in rows]


def assert_equals_fastavro(file: AvroFile, projection: Projection = EVERYTHING) -> None:
    """The file decodes as fastavro reads it: types (1 is not 1.0), values, order of columns, changes."""
    assert [(repr(json.loads(line)), changes) for line, changes in rows_of(file, projection)] == [
        (repr(row), changes) for row, changes in by_fastavro(file, projection)
    ]


def compiled(schema: Declared, projection: Projection) -> NativeDecoder:
    """The compiled decoder, for a flat schema."""
    columns = flat_columns(schema.record, projection)
    assert columns is not None
    return NativeDecoder(columns, schema, projection)


def decoder_of(schema: Declared, projection: Projection, kind: str) -> NativeDecoder | ReferenceDecoder:
    """The decoder of this kind, one of `DECODERS`."""
    return compiled(schema, projection) if kind == "compiled" else ReferenceDecoder(schema, projection)
