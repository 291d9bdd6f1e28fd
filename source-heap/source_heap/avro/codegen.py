"""Writes the Python function that decodes the rows of one flat schema. `fast` says why, and runs it.

In the statements `b` is the block, `s` the same as latin-1 text, `p` the position, `row` the dict whose values are
replaced row by row, `n` a length or a raw integer, `t` the byte that announces a branch of a union, `x` a value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from source_heap.avro.faults import BrokenFile
from source_heap.avro.flat import NATURAL, FlatColumn
from source_heap.avro.times import Unfit, normalize, normalize_text
from source_heap.avro.values import ANY, SINCE_COLUMN, TIME, cast, change
from source_heap.avro.varint import read_long
from source_heap.limits import KEPT_COLUMNS

#: The index of a line, and the changes that its record must tell
Mark: TypeAlias = tuple[int, list[dict[str, str]]]
#: (block, block as latin-1, position, rows, row, lines, marks, dumps) -> position behind the rows
RowsFunction: TypeAlias = Callable[
    [bytes, str, int, int, dict[str, Any], list[bytes], list[Mark], Callable[[dict[str, Any]], bytes]], int
]

#: (first column, column behind the last)
Run: TypeAlias = tuple[int, int]
#: No encoding of anything begins like this: an integer ends within ten bytes.
_NEVER = b"\xff" * 16


# An eight-byte integer as four pairs of bytes, each looked up with its seven-bit halves joined and in place. Where a
# pair is not as it must be (six bytes that go on, then one that does, then one that ends; and no sign, which is the
# lowest bit), there is no number, so that adding it fails. Sums stay below 2**30, where CPython adds fastest.
def _joined(pair: int) -> int:
    return (pair & 0x7F) | (pair >> 8 & 0x7F) << 7


_GOES_ON = [pair & 0x8080 == 0x8080 for pair in range(1 << 16)]
_PAIR_1 = [_joined(pair) >> 1 if on and not pair & 1 else None for pair, on in enumerate(_GOES_ON)]
_PAIR_2 = [_joined(pair) << 13 if on else None for pair, on in enumerate(_GOES_ON)]
_PAIR_3 = [_joined(pair) if on else None for pair, on in enumerate(_GOES_ON)]
_PAIR_4 = [_joined(pair) << 14 if pair & 0x8080 == 0x80 else None for pair in range(1 << 16)]
#: The length that a single byte tells. A negative one has no number here, so that using it fails.
_HALVES: list[int | None] = [None if byte & 1 else byte >> 1 for byte in range(128)]


def as_latin(text: str) -> str:
    """The text as it looks when its UTF-8 is taken for latin-1, as all text in a row is until `fast.mend`."""
    return text.encode().decode("latin-1")


#: The functions that were made, and what they are for: a table's files are many and alike.
_MADE: dict[tuple[Any, ...], RowsFunction] = {}


def rows_function(
    columns: tuple[FlatColumn, ...],
    promised: tuple[str | None, ...],
    since: str | None,
    runs: tuple[Run, ...],
) -> RowsFunction:
    """The function for these columns and the types that were promised for them.

    `runs` are the runs of columns that are skipped where their bytes repeat those of the row before.
    """
    key = (columns, promised, since, runs)
    function = _MADE.get(key)
    if function is None:
        if sum(len(made[0]) for made in list(_MADE)) + len(columns) > KEPT_COLUMNS:
            _MADE.clear()
        function = _MADE[key] = _made(columns, promised, since, runs)
    return function


def _made(
    columns: tuple[FlatColumn, ...], promised: tuple[str | None, ...], since: str | None, runs: tuple[Run, ...]
) -> RowsFunction:
    writer = _Writer(dict(zip(columns, promised, strict=True)), since)
    source = "\n".join(writer.function(columns, runs))
    scope: dict[str, Any] = {
        **{"P1": _PAIR_1, "P2": _PAIR_2, "P3": _PAIR_3, "P4": _PAIR_4, "HALF": _HALVES, "NEVER": _NEVER},
        **{"SINCE": since, "Unfit": Unfit, "change": change, "broken": _broken, "isfinite": math.isfinite},
        "BOOLEAN": (False, True),
        **{"pairs": struct.Struct("<4H").unpack_from, "float32": struct.Struct("<f").unpack_from},
        **{"float64": struct.Struct("<d").unpack_from, "read_long": read_long, "read_span": _read_span},
        **writer.names,
    }
    exec(source, scope)  # noqa: S102 - made of this module's own text; names from the file are quoted by repr
    function: RowsFunction = scope["decode"]
    return function


def _broken() -> BrokenFile:
    return BrokenFile("a row names a branch that its union does not have")


def _read_span(data: bytes, at: int) -> tuple[int, int]:
    """Where a text lies whose length, of any size, stands at this position."""
    size, start = read_long(data, at)
    if size < 0:
        raise IndexError
    return start, start + size


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


class _Writer:
    """Writes the statements, and keeps what they refer to."""

    def __init__(self, promised: dict[FlatColumn, str | None], since: str | None) -> None:
        self.names: dict[str, Any] = {}
        self._promised = promised
        self._since = since
        self._looks_at_time = False

    def function(self, columns: Sequence[FlatColumn], runs: Sequence[Run]) -> Iterator[str]:
        """The whole function."""
        body = list(self._body(columns, dict(runs)))
        yield "def decode(b, s, p, count, row, lines, marks, dumps):"
        yield "    changes = []"
        yield "    add = lines.append"
        yield "    starts = b.startswith"
        for first, _ in runs:
            yield f"    seen{first} = NEVER; size{first} = 0"
        yield "    for _ in range(count):"
        yield from _indented(list(_indented(body)))
        if self._looks_at_time:
            yield "        if moment is not None and moment < SINCE:"
            yield "            if changes: changes = []"
            yield "            continue"
        yield "        if changes:"
        yield "            marks.append((len(lines), changes)); changes = []"
        yield "        add(dumps(row))"
        yield "    return p"

    def _body(self, columns: Sequence[FlatColumn], runs: dict[int, int]) -> Iterator[str]:
        at = 0
        while at < len(columns):
            last = runs.get(at)
            if last is None:
                yield from self._column(columns[at])
                at += 1
                continue
            yield f"if starts(seen{at}, p):"
            yield f"    p += size{at}"
            yield "else:"
            yield "    o = p"
            for column in columns[at:last]:
                yield from _indented(list(self._column(column)))
            yield f"    seen{at} = b[o:p]; size{at} = p - o"
            at = last

    def _column(self, column: FlatColumn) -> Iterator[str]:
        """Reads one column."""
        if column.null is None:
            yield from self._value(column, 0)
            return
        null = [*self._store(column, "None"), *self._moment(column, "None"), "p += 1"]
        value = list(self._value(column, 1))
        first, second = (null, value) if column.null else (value, null)
        yield "t = b[p]"
        yield "if t == 2:"
        yield from _indented(first)
        yield "elif t:"
        yield "    raise broken()"
        yield "else:"
        yield from _indented(second)

    def _value(self, column: FlatColumn, ahead: int) -> Iterator[str]:
        """Reads a value that lies `ahead` of the position."""
        at = f"p + {ahead}" if ahead else "p"
        match column.kind:
            case "string" | "bytes":
                yield f"n = b[{at}]; a = p + {ahead + 1}"
                yield "if n < 128:"
                yield "    p = a + HALF[n]"
                yield "else:"
                yield f"    a, p = read_span(b, {at})"
                yield from self._use(column, "s[a:p]")
            case "long" | "int":
                yield from _LONG.format(at=at, end=ahead + 8).splitlines()
                yield from self._use(column, "x")
            case "null":
                yield from self._use(column, "None")
            case "boolean":
                yield f"x = BOOLEAN[b[{at}]]; p += {ahead + 1}"
                yield from self._use(column, "x")
            case "float" | "double":
                name, size = ("float32", 4) if column.kind == "float" else ("float64", 8)
                yield f"x = {name}(b, {at})[0]; p += {ahead + size}"
                yield from self._use(column, "x")
            case "enum":
                yield f"n, p = read_long(b, {at})"
                yield "if n < 0: raise broken()"
                yield from self._use(column, f"{self._name([as_latin(symbol) for symbol in column.symbols])}[n]")
            case _:  # fixed
                yield f"a = {at}; p = a + {column.size}"
                yield from self._use(column, "s[a:p]")

    def _use(self, column: FlatColumn, value: str) -> Iterator[str]:
        """Makes of a value what was promised, and stores it."""
        promised = self._promised[column]
        if promised is None or keeps_its_type(column, promised):
            if promised is not None and NATURAL[column.kind] == "number":
                yield "if not isfinite(x):"
                yield f"    x = None; changes.append(change({column.name!r}))"
            yield from self._store(column, value)
            yield from self._moment(column, value)
            return
        yield "try:"
        yield f"    x = {self._converter(column.kind, promised)}({value})"
        yield "except Unfit:"
        yield f"    x = None; changes.append(change({column.name!r}))"
        yield from self._store(column, "x")
        if promised == TIME:
            yield from self._moment(column, "x", converted=True)
        else:
            yield from self._moment(column, value)

    def _store(self, column: FlatColumn, value: str) -> Iterator[str]:
        if self._promised[column] is not None:
            yield f"row[{as_latin(column.name)!r}] = {value}"

    def _moment(self, column: FlatColumn, value: str, converted: bool = False) -> Iterator[str]:
        """Keeps the row's instant for the comparison with `since`."""
        if self._since is None or column.name != SINCE_COLUMN:
            return
        self._looks_at_time = True
        if converted or value == "None":
            yield f"moment = {value}"
            return
        yield "try:"
        yield f"    moment = {self._name(normalize)}({value})"
        yield "except Unfit:"
        yield "    moment = None"

    def _converter(self, kind: str, promised: str) -> str:
        if promised == TIME:
            return self._name(normalize_text if NATURAL[kind] == "string" else normalize)
        return self._name(lambda value: cast(value, promised))

    def _name(self, thing: Any) -> str:
        """A name of its own for something that the statements use."""
        name = f"k{len(self.names)}"
        self.names[name] = thing
        return name


def keeps_its_type(column: FlatColumn, promised: str) -> bool:
    """Whether the column's values are what was promised without doing anything."""
    return column.kind == "null" or promised in (ANY, NATURAL[column.kind])


#: A single byte; else four pairs as above; else whatever it is.
_LONG = """\
h1, h2, h3, h4 = pairs(b, {at})
if h1 & 128:
    try:
        x = P1[h1] + P2[h2] + (P3[h3] + P4[h4] << 27); p += {end}
    except TypeError:
        x, p = read_long(b, {at})
else:
    n = h1 & 127; p = {at} + 1
    x = -(n + 1 >> 1) if n & 1 else n >> 1"""
