"""Decodes the blocks of a file to chunks of output, with the decoder that fits the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from source_heap.avro.codegen import ChangedLine
from source_heap.avro.declared import Declared, flat_columns
from source_heap.avro.fast import PADDING, FastDecoder, fix_encoding, long_line
from source_heap.avro.faults import BrokenFile
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.skim import windows
from source_heap.avro.values import Projection
from source_heap.limits import LINE_BYTES

#: Most bytes of a chunk, so that it stays in the processor's cache and the reader waits briefly. Only a single row, or
#: the first rows of a file, may be longer.
CHUNK_BYTES = 480 * 1024
#: Most rows that are decoded before the size of the output is measured; blocks may be of any size.
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Chunk:
    """`count` rows, one per line, between the projection's `head` and `tail`.

    Rows with `changes` (one entry per row) are bare JSON objects instead: the caller completes their records.
    """

    lines: bytes
    count: int
    changes: list[list[dict[str, str]]] | None = None


class Decoder:
    """Decodes the blocks of files that share a schema."""

    def __init__(self, schema: Declared, projection: Projection) -> None:
        """Raises BrokenFile if fastavro does not understand the schema."""
        columns = flat_columns(schema.record)
        self._row = schema.row
        self._decode = FastDecoder(columns, projection) if columns else ReferenceDecoder(schema, projection)
        self.is_fast = self._decode.is_fast
        self._step = _ROWS_AT_A_TIME
        self._head = projection.head.encode()
        self._end = projection.tail.encode() + b"\n"
        self._between = self._end + self._head
        names = sum(len(field["name"]) + len('"":null,') for field in schema.record["fields"])
        #: Bytes of a line without the values
        self._overhead = len(self._between) + names

    def chunks(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[Chunk]:
        """The rows of (count, rows) blocks, in order, in chunks of about `CHUNK_BYTES` bytes."""
        lines: list[bytes] = []
        changed: list[ChangedLine] = []
        size = 0
        for count, data in self._parts(blocks):
            length, at = len(data), 0
            latin = data.decode("latin-1") if self.is_fast else ""
            block = data + PADDING
            most = max(1, CHUNK_BYTES // (length // max(count, 1) + self._overhead))  # rows may be few and long
            while count:
                rows, before = min(self._step, most, count), len(lines)
                at = self._decode(block, latin, at, rows, lines, changed)
                count -= rows
                added = sum(map(len, lines[before:])) + (len(lines) - before) * len(self._between)
                if added > LINE_BYTES and max(map(len, lines[before:])) > LINE_BYTES:
                    raise long_line()
                size += added
                if size + added > CHUNK_BYTES:
                    self._step = max(1, min(_ROWS_AT_A_TIME, CHUNK_BYTES * len(lines) // (3 * size)))
                    yield from self._cut(lines, changed)
                    lines, changed, size = [], [], 0
            if at != length:
                raise BrokenFile("a block has more or fewer bytes than its rows")
            del data, latin, block  # frees the block before the next one is decompressed
        yield from self._cut(lines, changed)

    def _parts(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        for count, data in blocks:
            parts = windows(self._row, count, data)
            del data
            yield from parts

    def _cut(self, lines: list[bytes], changed: list[ChangedLine]) -> Iterator[Chunk]:
        """The lines as chunks, in order: rows with changes apart from rows without."""
        at = 0
        while changed and at < len(lines):
            first = changed[0][0]
            if first > at:
                yield self._chunk(lines[at:first])
            changes = [found for offset, (index, found) in enumerate(changed) if index == first + offset]
            at = first + len(changes)
            yield self._chunk(lines[first:at], changes)
            del changed[: len(changes)]
        if at < len(lines):
            yield self._chunk(lines[at:])

    def _chunk(self, lines: list[bytes], changes: list[list[dict[str, str]]] | None = None) -> Chunk:
        if changes is not None:
            joined = b"\n".join([*lines, b""])
        elif len(lines) == 1:  # it may be long: copied once only
            joined = b"".join((self._head, lines[0], self._end))
        else:
            enclosed = [self._head + lines[0], *lines[1:]]
            enclosed[-1] += self._end
            joined = self._between.join(enclosed)
        return Chunk(fix_encoding(joined) if self.is_fast else joined, len(lines), changes)
