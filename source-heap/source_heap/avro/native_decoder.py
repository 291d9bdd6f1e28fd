"""Decodes rows of flat schemas with the compiled module `native`, which releases the GIL while it works.

Rows that `native` does not write exactly as `reference` does, it hands back one by one: a text that is no UTF-8, an odd
instant, a value that does not fit its target type, a line that is too long. It finds their ends first, so a row has its
limit in bytes before it is decoded. Such a row takes the time that `reference` alone takes for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping

import orjson

from source_heap.avro.chunks import CHUNK_BYTES, OTHER_SIZE, Chunk
from source_heap.avro.columns import Column
from source_heap.avro.declared import Declared
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.skim import LONG_ROW
from source_heap.avro.values import Projection
from source_heap.limits import LINE_BYTES, ROW_BYTES

try:
    import source_heap.avro.native as native
except ImportError as error:
    #: Why there is no `native`, most likely because the package was installed without a compiler. None if there is one
    MISSING: str | None = str(error)
else:
    MISSING = None

#: By the native decoder's outcome
_FAULTS: Mapping[str, tuple[type[BrokenFile], str]] = {
    "broken row": (BrokenFile, "a row cannot be decoded"),
    "bad branch": (BrokenFile, "a row selects a branch that its union does not have"),
    "long row": (BeyondLimit, LONG_ROW),
}


class NativeDecoder:
    """Decodes the blocks of files with one schema."""

    def __init__(self, columns: tuple[Column, ...], schema: Declared, projection: Projection) -> None:
        """`columns` are those of the schema, by `flat_columns`."""
        constants = orjson.dumps(projection.constants)[1:-1]
        written = any(form not in ("skipped", "unusual") for column in columns for _, form, *_ in column[-1])
        head = projection.head + b"{"
        tail = b"%b%b}%b" % (b"," if written and constants else b"", constants, projection.tail)
        line_limit = len(projection.head) + LINE_BYTES + len(projection.tail)
        since = (projection.since or "").encode()
        self._rows = native.Decoder(columns, head, tail, since, ROW_BYTES, line_limit, CHUNK_BYTES)
        self._schema, self._projection = schema, projection
        self._reference: ReferenceDecoder | None = None

    def chunks(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[Chunk]:
        """The rows of (count, rows) blocks, in order. Raises BrokenFile."""
        rows = self._rows
        for unusual in stops(rows, blocks):
            if unusual is None:
                yield Chunk(*rows.take())
            else:
                self._append_unusual(unusual)
        last = Chunk(*rows.take())
        if last.count:
            yield last

    def _append_unusual(self, row: bytes) -> None:
        """Appends a row by the reference decoder."""
        if self._reference is None:
            self._reference = ReferenceDecoder(self._schema, self._projection)
        line = line_of(row, self._reference)
        if line is not None:
            self._rows.append(line)


def stops(rows: native.Decoder, blocks: Iterable[tuple[int, bytes]]) -> Iterator[bytes | None]:
    """Decodes (count, rows) blocks. Stops with None where the output is to be taken, and with each unusual row.

    Raises BrokenFile.
    """
    for count, data in blocks:
        at = 0
        while count:
            outcome, row, at, count = rows.decode(data, at, count)
            if outcome == "chunk full":
                yield None
            elif outcome == "unusual row":
                yield data[row:at]
            elif outcome == "broken row" and at == len(data):
                raise BrokenFile(OTHER_SIZE)
            elif outcome != "all rows":
                kind, text = _FAULTS[outcome]
                raise kind(text)
        if at != len(data):
            raise BrokenFile(OTHER_SIZE)
        del data  # frees the block before the next one is decompressed


def line_of(row: bytes, reference: ReferenceDecoder) -> bytes | None:
    """The line of an unusual row; None if it is filtered out. Raises BrokenFile."""
    file = io.BytesIO(row)
    line = reference.line(file)
    if file.tell() != len(row):
        raise BrokenFile("a row cannot be decoded")
    return line
