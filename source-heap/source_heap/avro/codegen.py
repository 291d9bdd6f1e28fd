"""Generates the Python function that decodes the rows of one flat schema; `fast` explains why, and calls it.

In the generated code `b` is the block, `s` the same as latin-1 text, `p` the position, `row` the dict whose values are
replaced for each row, `n` a length or a raw integer, `t` the byte that selects the branch of a union, `x` a value. For
a text column `id` and a boolean column `active` that may be null:

    def decode(b, s, p, count, row, lines, changed, dumps):
        changes = []
        add = lines.append
        starts = b.startswith
        for _ in range(count):
            n = b[p]; a = p + 1
            if n < 128:
                p = a + HALF[n]
            else:
                a, p = read_span(b, p)
            row['id'] = s[a:p]
            t = b[p]
            if t == 2:
                x = BOOLEAN[b[p + 1]]; p += 2
                row['active'] = x
            elif t:
                raise broken()
            else:
                row['active'] = None
                p += 1
            if changes:
                changed.append((len(lines), changes)); changes = []
            add(dumps(row))
        return p
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from textwrap import indent
from typing import Any, TypeAlias

from source_kit.generated import compiled

from source_heap.avro.declared import NATURAL, FlatColumn
from source_heap.avro.faults import BrokenFile
from source_heap.avro.times import CoercionError, normalize, normalize_text
from source_heap.avro.values import ANY, SINCE_COLUMN, TIME, change, coerce
from source_heap.avro.varint import read_long
from source_heap.limits import KEPT_COLUMNS

#: The index of a line, and what its record's `meta.changes` lists
ChangedLine: TypeAlias = tuple[int, list[dict[str, str]]]
#: (block, block as latin-1, position, rows, row, lines, changed, dumps) -> position after the rows
RowsFunction: TypeAlias = Callable[
    [bytes, str, int, int, dict[str, Any], list[bytes], list[ChangedLine], Callable[[dict[str, Any]], bytes]], int
]

#: Columns that repeat together: (first column, last column + 1)
ColumnRange: TypeAlias = tuple[int, int]
#: No value is encoded like this: an integer ends within ten bytes.
_NEVER = b"\xff" * 16


# An eight-byte integer is read as four pairs of bytes. Each pair is looked up in a table, which joins its two seven-bit
# halves and shifts them into place. An entry is None, so that adding it fails, if the pair does not belong there: all
# bytes but the last continue the integer, and its lowest bit is the sign, which must be positive. Sums stay below
# 2**30, where CPython adds fastest.
def _joined(pair: int) -> int:
    return (pair & 0x7F) | (pair >> 8 & 0x7F) << 7


_GOES_ON = [pair & 0x8080 == 0x8080 for pair in range(1 << 16)]
_PAIR_1 = [_joined(pair) >> 1 if on and not pair & 1 else None for pair, on in enumerate(_GOES_ON)]
_PAIR_2 = [_joined(pair) << 13 if on else None for pair, on in enumerate(_GOES_ON)]
_PAIR_3 = [_joined(pair) if on else None for pair, on in enumerate(_GOES_ON)]
_PAIR_4 = [_joined(pair) << 14 if pair & 0x8080 == 0x80 else None for pair in range(1 << 16)]
#: The length that a single byte encodes. A negative length is None, so that using it fails.
_HALVES: list[int | None] = [None if byte & 1 else byte >> 1 for byte in range(128)]


def as_latin(text: str) -> str:
    """The text with its UTF-8 bytes read as latin-1, as all text in a row is until `fast.fix_encoding`."""
    return text.encode().decode("latin-1")


#: The generated functions by their arguments: most files of a table have the same schema.
_FUNCTIONS: dict[tuple[Any, ...], RowsFunction] = {}


def rows_function(
    columns: tuple[FlatColumn, ...], targets: tuple[str | None, ...], since: str | None, ranges: tuple[ColumnRange, ...]
) -> RowsFunction:
    """The function for these columns and their target types.

    A column range of `ranges` is skipped while its bytes equal those of the previous row.
    """
    key = (columns, targets, since, ranges)
    function = _FUNCTIONS.get(key)
    if function is None:
        if sum(len(known[0]) for known in list(_FUNCTIONS)) + len(columns) > KEPT_COLUMNS:
            _FUNCTIONS.clear()
        writer = _Writer(dict(zip(columns, targets, strict=True)), since)
        source = writer.function(columns, ranges)
        function = _FUNCTIONS[key] = compiled(source, "decode", {**_NAMES, "SINCE": since, **writer.names})
    return function


def _broken() -> BrokenFile:
    return BrokenFile("a row selects a branch that its union does not have")


def _read_span(data: bytes, at: int) -> tuple[int, int]:
    """Start and end of a text whose length, of any size, is encoded at this position."""
    size, start = read_long(data, at)
    if size < 0:
        raise IndexError
    return start, start + size


#: What every generated function may use
_NAMES: dict[str, Any] = {
    **{"P1": _PAIR_1, "P2": _PAIR_2, "P3": _PAIR_3, "P4": _PAIR_4, "HALF": _HALVES, "NEVER": _NEVER},
    **{"BOOLEAN": (False, True), "CoercionError": CoercionError, "change": change, "broken": _broken},
    **{"pairs": struct.Struct("<4H").unpack_from, "float32": struct.Struct("<f").unpack_from},
    **{"float64": struct.Struct("<d").unpack_from, "isfinite": math.isfinite},
    **{"read_long": read_long, "read_span": _read_span},
}


def _indented(text: str) -> str:
    return indent(text, "    ")


class _Writer:
    """Writes the source; `names` are the objects that it refers to."""

    def __init__(self, targets: dict[FlatColumn, str | None], since: str | None) -> None:
        self.names: dict[str, Any] = {}
        self._targets = targets
        self._since = since
        self._filters_by_time = False

    def function(self, columns: Sequence[FlatColumn], ranges: Sequence[ColumnRange]) -> str:
        """The source of the function."""
        seen = "".join(f"    seen{first} = NEVER; size{first} = 0\n" for first, _ in ranges)
        body = _indented(_indented(self._body(columns, dict(ranges))))
        return _FUNCTION.format(seen=seen, body=body, skip=_SKIP if self._filters_by_time else "")

    def _body(self, columns: Sequence[FlatColumn], ranges: dict[int, int]) -> str:
        body, at = "", 0
        while at < len(columns):
            last = ranges.get(at, at + 1)
            read = "".join(map(self._column, columns[at:last]))
            if at in ranges:
                read = f"    o = p\n{_indented(read)}    seen{at} = b[o:p]; size{at} = p - o\n"
                read = f"if starts(seen{at}, p):\n    p += size{at}\nelse:\n{read}"
            body += read
            at = last
        return body

    def _column(self, column: FlatColumn) -> str:
        if column.null is None:
            return self._value(column, 0)
        null = self._store(column, "None") + self._moment(column, "None") + "p += 1\n"
        value = self._value(column, 1)
        first, second = (null, value) if column.null else (value, null)
        return f"t = b[p]\nif t == 2:\n{_indented(first)}elif t:\n    raise broken()\nelse:\n{_indented(second)}"

    def _value(self, column: FlatColumn, ahead: int) -> str:
        """Lines that read a value `ahead` bytes after the position."""
        at = f"p + {ahead}" if ahead else "p"
        match column.kind:
            case "string" | "bytes":
                read, value = _TEXT.format(at=at, start=ahead + 1), "s[a:p]"
            case "long" | "int":
                read, value = _LONG.format(at=at, end=ahead + 8), "x"
            case "null":
                read, value = "", "None"
            case "boolean":
                read, value = f"x = BOOLEAN[b[{at}]]; p += {ahead + 1}\n", "x"
            case "float":
                read, value = f"x = float32(b, {at})[0]; p += {ahead + 4}\n", "x"
            case "double":
                read, value = f"x = float64(b, {at})[0]; p += {ahead + 8}\n", "x"
            case "enum":
                read = f"n, p = read_long(b, {at})\nif n < 0: raise broken()\n"
                value = f"{self._name([as_latin(symbol) for symbol in column.symbols])}[n]"
            case _:  # fixed
                read, value = f"a = {at}; p = a + {column.size}\n", "s[a:p]"
        return read + self._use(column, value)

    def _use(self, column: FlatColumn, value: str) -> str:
        """Lines that coerce a value to its target type and store it."""
        target = self._targets[column]
        lost = f"    x = None; changes.append(change({column.name!r}))\n"
        if target is None or keeps_its_type(column, target):
            check = f"if not isfinite(x):\n{lost}" if target and NATURAL[column.kind] == "number" else ""
            return check + self._store(column, value) + self._moment(column, value)
        convert = f"try:\n    x = {self._converter(column.kind, target)}({value})\nexcept CoercionError:\n{lost}"
        is_time = target == TIME
        return convert + self._store(column, "x") + self._moment(column, "x" if is_time else value, converted=is_time)

    def _store(self, column: FlatColumn, value: str) -> str:
        return "" if self._targets[column] is None else f"row[{as_latin(column.name)!r}] = {value}\n"

    def _moment(self, column: FlatColumn, value: str, converted: bool = False) -> str:
        """Lines that keep the row's instant for the comparison with `since`."""
        if self._since is None or column.name != SINCE_COLUMN:
            return ""
        self._filters_by_time = True
        if converted or value == "None":
            return f"moment = {value}\n"
        return f"try:\n    moment = {self._name(normalize)}({value})\nexcept CoercionError:\n    moment = None\n"

    def _converter(self, kind: str, target: str) -> str:
        if target == TIME:
            return self._name(normalize_text if NATURAL[kind] == "string" else normalize)
        return self._name(lambda value: coerce(value, target))

    def _name(self, value: Any) -> str:
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name


def keeps_its_type(column: FlatColumn, target: str) -> bool:
    """Whether values of the column have the target type without coercion."""
    return column.kind == "null" or target in (ANY, NATURAL[column.kind])


_FUNCTION = """\
def decode(b, s, p, count, row, lines, changed, dumps):
    changes = []
    add = lines.append
    starts = b.startswith
{seen}    for _ in range(count):
{body}{skip}        if changes:
            changed.append((len(lines), changes)); changes = []
        add(dumps(row))
    return p"""
_SKIP = """\
        if moment is not None and moment < SINCE:
            if changes: changes = []
            continue
"""
_TEXT = """\
n = b[{at}]; a = p + {start}
if n < 128:
    p = a + HALF[n]
else:
    a, p = read_span(b, {at})
"""
#: Reads an integer: one byte, or four pairs as above, or any other length.
_LONG = """\
h1, h2, h3, h4 = pairs(b, {at})
if h1 & 128:
    try:
        x = P1[h1] + P2[h2] + (P3[h3] + P4[h4] << 27); p += {end}
    except TypeError:
        x, p = read_long(b, {at})
else:
    n = h1 & 127; p = {at} + 1
    x = -(n + 1 >> 1) if n & 1 else n >> 1
"""
