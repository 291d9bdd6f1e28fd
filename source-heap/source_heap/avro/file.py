"""An Avro file on disk: checks its structure, and decodes its rows with the decoder that fits its schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from source_heap.avro import native_decoder
from source_heap.avro.chunks import Chunk
from source_heap.avro.columns import flat_columns
from source_heap.avro.container import Header, count_rows, read_blocks, read_header
from source_heap.avro.declared import Declared
from source_heap.avro.faults import BeyondLimit
from source_heap.avro.native_decoder import NativeDecoder
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.values import Projection
from source_heap.limits import EMPTY_ROWS

#: First guess at a header's length. Bytes.
_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class AvroFile:
    """An Avro file on disk whose structure was checked."""

    path: Path
    header: Header
    size: int

    @classmethod
    def open(cls, path: Path) -> AvroFile:
        """Reads the header and finds the blocks. Raises BrokenFile if the file is cut or is not an Avro file."""
        size = path.stat().st_size
        with path.open("rb") as data:
            header = read_header(partial(_first, data), _HEADER_BYTES)
            rows = count_rows(data, header, size)
        if not header.schema.row.least and rows > EMPTY_ROWS:
            raise BeyondLimit(f"it has more than {EMPTY_ROWS:,} rows of no bytes")
        return cls(path, header, size)

    def rows(self, projection: Projection) -> Iterator[Chunk]:
        """The rows, in order. Raises BrokenFile."""
        decoder = decoder_for(self.header.schema, projection)
        with self.path.open("rb") as data:
            yield from decoder.chunks(read_blocks(data, self.header, self.size))


def decoder_for(schema: Declared, projection: Projection) -> NativeDecoder | ReferenceDecoder:
    """The compiled decoder for a flat schema, where it is installed; else the reference decoder."""
    columns = flat_columns(schema.record, projection) if native_decoder.MISSING is None else None
    return ReferenceDecoder(schema, projection) if columns is None else NativeDecoder(columns, schema, projection)


def _first(file: BinaryIO, size: int) -> bytes:
    file.seek(0)
    return file.read(size)
