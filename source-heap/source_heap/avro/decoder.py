"""Blocks of a file to pieces of output, by whichever decoder fits the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from source_heap.avro.codegen import Mark
from source_heap.avro.declared import Declared
from source_heap.avro.fast import PADDING, FastDecoder, long_line, mend
from source_heap.avro.faults import BrokenFile
from source_heap.avro.flat import flat_columns
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.skim import Skimmer
from source_heap.avro.values import RowRules
from source_heap.limits import LINE_BYTES

#: Bytes of output that are handed on at a time, at most: they stay in a processor's cache, and a wait for the reader is
#: short. Only a row, or the first rows of a file, may be longer.
PIECE_BYTES = 480 * 1024
#: Rows that are decoded before it is looked how much they gave, at most; blocks may be of any size.
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """`count` rows, one a line: with `changes`, an entry for each row, JSON objects; else as the rules enclose them."""

    lines: bytes
    count: int
    changes: list[list[dict[str, str]]] | None = None


class Decoder:
    """Decodes the blocks of files that share a schema."""

    def __init__(self, schema: Declared, rules: RowRules) -> None:
        """Raises BrokenFile where the schema is none."""
        columns = flat_columns(schema.record)
        self._windows = Skimmer(schema).windows
        self._decode = FastDecoder(columns, rules) if columns else ReferenceDecoder(schema, rules)
        self.is_fast = self._decode.is_fast
        self._step = _ROWS_AT_A_TIME
        self._head = rules.head.encode()
        self._end = rules.tail.encode() + b"\n"
        self._between = self._end + self._head
        names = sum(len(field["name"]) + len('"":null,') for field in schema.record["fields"])
        #: What a row's line has beside its values
        self._overhead = len(self._between) + names

    def pieces(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[Piece]:
        """The rows of (count, rows) blocks, in order, in pieces of about `PIECE_BYTES`."""
        lines: list[bytes] = []
        marks: list[Mark] = []
        size = 0
        for count, data in self._parts(blocks):
            length, at = len(data), 0
            latin = data.decode("latin-1") if self.is_fast else ""
            block = data + PADDING
            most = max(1, PIECE_BYTES // (length // max(count, 1) + self._overhead))  # where it has few and long rows
            while count:
                rows, before = min(self._step, most, count), len(lines)
                at = self._decode(block, latin, at, rows, lines, marks)
                count -= rows
                added = sum(map(len, lines[before:])) + (len(lines) - before) * len(self._between)
                if added > LINE_BYTES and max(map(len, lines[before:])) > LINE_BYTES:
                    raise long_line()
                size += added
                if size + added > PIECE_BYTES:
                    self._step = max(1, min(_ROWS_AT_A_TIME, PIECE_BYTES * len(lines) // (3 * size)))
                    yield from self._cut(lines, marks)
                    lines, marks, size = [], [], 0
            if at != length:
                msg = "a block holds more or less than its rows"
                raise BrokenFile(msg)
            del data, latin, block  # nothing of a block is held while the next one is decompressed
        yield from self._cut(lines, marks)

    def _parts(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """See `Skimmer.windows`, of all blocks."""
        for count, data in blocks:
            windows = self._windows(count, data)
            del data
            yield from windows

    def _cut(self, lines: list[bytes], marks: list[Mark]) -> Iterator[Piece]:
        """The lines as pieces: runs of rows with changes apart from runs without."""
        at = 0
        while marks and at < len(lines):
            first = marks[0][0]
            if first > at:
                yield self._piece(lines[at:first])
            run = [changes for offset, (index, changes) in enumerate(marks) if index == first + offset]
            yield self._piece(lines[first : first + len(run)], run)
            del marks[: len(run)]
            at = first + len(run)
        if at < len(lines):
            yield self._piece(lines[at:])

    def _piece(self, lines: list[bytes], changes: list[list[dict[str, str]]] | None = None) -> Piece:
        if changes is not None:
            joined = b"\n".join([*lines, b""])
        elif len(lines) == 1:  # it may be long: one copy
            joined = b"".join((self._head, lines[0], self._end))
        else:
            enclosed = [self._head + lines[0], *lines[1:]]
            enclosed[-1] += self._end
            joined = self._between.join(enclosed)
        return Piece(mend(joined) if self.is_fast else joined, len(lines), changes)
