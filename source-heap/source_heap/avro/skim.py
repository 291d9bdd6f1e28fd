"""Measures rows without decoding them, to stop rows that are too deep, too long or have too many values.

fastavro recurses for each level of a value, so a row of 60 KB with 30,000 levels overflows the stack of the process;
and ten bytes can announce an array of a billion nulls. Few schemas allow that, and few blocks are longer than one row
may be, so only their rows are measured, at about a microsecond per value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.varint import read_long
from source_heap.limits import ROW_BYTES, ROW_DEPTH, ROW_VALUES

#: A large block is decoded in parts of this many bytes, or of one longer row, so that copies of it stay small.
_WINDOW_BYTES = 1024 * 1024
#: The fault of a row that is too long in the file
LONG_ROW = f"a row is longer than {ROW_BYTES // 1024**2} MiB"
_LONG, _BYTES, _FIXED, _UNION, _RECORD, _BLOCKS, _PAIR = range(7)


@dataclass(slots=True)
class Node:
    """A type by its bytes: a fixed `size`, or `parts` (branches of a union, fields, items of an array or map).

    A value has `least` bytes or more. In a block of `n` bytes it has at most `values + n * density` values; an array or
    a map counts as one. A recursive type has an infinite density.
    """

    kind: int
    size: int = 0
    parts: list[Node] = field(default_factory=list)
    values: int = 1
    least: int = 1
    density: float = 0


PRIMITIVES: Mapping[str, Node] = {
    **{
        name: Node(_FIXED, size, least=size)
        for name, size in (("null", 0), ("boolean", 1), ("float", 4), ("double", 8))
    },
    **dict.fromkeys(("int", "long"), Node(_LONG)),
    **dict.fromkeys(("bytes", "string"), Node(_BYTES)),
}


class Measurer:
    """Measures types in the form of `declared`."""

    def __init__(self) -> None:
        self._records: dict[str, Node] = {}

    def of(self, kind: Any) -> Node:
        """The measure of a type."""
        if isinstance(kind, str):
            return PRIMITIVES[kind] if kind in PRIMITIVES else self._records[kind]
        if isinstance(kind, list):
            parts: list[Node] = []
            for branch in kind:  # a comprehension would take a stack frame, and schemas may be deep
                parts.append(self.of(branch))
            least = min((part.least for part in parts), default=0)
            return Node(_UNION, 0, parts, _most(parts, "values"), 1 + least, _most(parts, "density"))
        match kind["type"]:
            case "record":
                return self._record(kind)
            case "array":
                return _blocks(self.of(kind["items"]))
            case "map":
                value = self.of(kind["values"])
                pair = [PRIMITIVES["string"], value]
                return _blocks(Node(_PAIR, 0, pair, value.values, value.least + 1, value.density))
            case "fixed":
                return Node(_FIXED, kind["size"], least=kind["size"])
        return self.of(kind["type"])

    def _record(self, record: Mapping[str, Any]) -> Node:
        node = self._records[record["name"]] = Node(_RECORD, least=0, density=math.inf)  # of a reference within it
        for column in record["fields"]:
            node.parts.append(self.of(column["type"]))
        values, least = sum(part.values for part in node.parts), sum(part.least for part in node.parts)
        node.values, node.least, node.density = 1 + values, least, _most(node.parts, "density")
        return node


def _most(nodes: Sequence[Node], what: str) -> Any:
    return max((getattr(node, what) for node in nodes), default=0)


def _blocks(item: Node) -> Node:
    return Node(_BLOCKS, 0, [item], density=(item.values / item.least if item.least else math.inf) + item.density)


def windows(row: Node, count: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The `count` rows of a block in parts of whole rows; the whole block if no row can be too large.

    Raises BeyondLimit or BrokenFile.
    """
    # a recursive row may have no bytes
    if row.values + row.density * max(len(data), 1) <= ROW_VALUES and len(data) <= ROW_BYTES:
        yield count, data
        return
    start = at = rows = 0
    for _ in range(count):
        end = require_fitting_row(row, data, at)
        if rows and end - start > _WINDOW_BYTES:
            yield rows, data[start:at]
            start, rows = at, 0
        rows += 1
        at = end
    yield rows, data[start:]


def require_fitting_row(row: Node, data: bytes, at: int) -> int:
    """The position after the row at `at`. Raises BeyondLimit, or BrokenFile if the row is cut."""
    try:
        end = _row_end(row, data, at)
    except IndexError as error:
        raise BrokenFile("a row cannot be decoded") from error
    if end - at > ROW_BYTES:
        raise BeyondLimit(LONG_ROW)
    return end


def _row_end(row: Node, data: bytes, at: int) -> int:
    """The position after the row at `at`. Raises BeyondLimit, BrokenFile, or IndexError if the row is cut."""
    todo: list[tuple[Node, int, int]] = [(row, 0, 1)]  # the next types, their depth, how often they come
    values = 1
    while todo:
        node, depth, times = todo.pop()
        if times > 1:
            todo.append((node, depth, times - 1))
        kind = node.kind
        if kind == _UNION:
            branch, at = read_long(data, at)
            if not 0 <= branch < len(node.parts):
                raise BrokenFile("a row selects a branch that its union does not have")
            todo.append((node.parts[branch], depth, 1))
            continue
        if kind == _LONG:
            _, at = read_long(data, at)
        elif kind == _BYTES:
            size, at = read_long(data, at)
            if size < 0:
                raise IndexError
            at += size
        elif kind == _FIXED:
            at += node.size
        elif kind == _BLOCKS:
            count, at = read_long(data, at)
            if count < 0:
                count = -count
                _, at = read_long(data, at)
            if count:
                todo += ((node, depth, 1), (node.parts[0], depth + 1, count))
                values += count
        else:  # a record, or a map's key and value
            values += len(node.parts)
            within = depth + 1 if kind == _RECORD else depth
            todo += ((field, within, 1) for field in reversed(node.parts))
        if at > len(data):
            raise IndexError
        if depth > ROW_DEPTH:
            raise BeyondLimit(f"a row has values nested more than {ROW_DEPTH:,} levels deep")
        if values > ROW_VALUES:
            raise BeyondLimit(f"a row has more than {ROW_VALUES:,} values")
    return at
