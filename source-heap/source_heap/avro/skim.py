"""Measures rows without decoding them, to stop rows that are too deep, too long or have too many values.

fastavro recurses for each level of a value, so a row of 60 KB with 30,000 levels overflows the stack of the process;
and ten bytes can announce an array of a billion nulls. Few schemas allow that, and few blocks are longer than one row
may be, so only their rows are measured, at about a microsecond per value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from source_heap.avro.declared import PRIMITIVES, Declared
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.varint import read_long
from source_heap.limits import ROW_BYTES, ROW_DEPTH, ROW_VALUES

#: A large block is decoded in parts of this many bytes, or of one longer row, so that copies of it stay small.
_WINDOW_BYTES = 1024 * 1024
_LONG, _BYTES, _FIXED, _UNION, _RECORD, _BLOCKS, _PAIR = range(7)
#: [kind, size, branches, fields or items]. A list because a recursive record is referred to before it is complete.
_Node: TypeAlias = list[Any]

_INTEGER: _Node = [_LONG, None]
_STRING: _Node = [_BYTES, None]
_PRIMITIVES: Mapping[str, _Node] = {
    "null": [_FIXED, 0],
    "boolean": [_FIXED, 1],
    "float": [_FIXED, 4],
    "double": [_FIXED, 8],
    "int": _INTEGER,
    "long": _INTEGER,
    "bytes": _STRING,
    "string": _STRING,
}


class Skimmer:
    """Measures the rows of a schema."""

    def __init__(self, schema: Declared) -> None:
        self._schema = schema
        self._records: dict[str, _Node] = {}
        self._row = self._node(schema.record)

    def windows(self, count: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The `count` rows of a block in parts of whole rows; the whole block if no row can be too large.

        Raises BeyondLimit or BrokenFile.
        """
        if not self._needed(len(data)):
            yield count, data
            return
        start = at = rows = 0
        for _ in range(count):
            try:
                end = self._row_end(data, at)
            except IndexError as error:
                raise BrokenFile("a row cannot be decoded") from error
            if end - at > ROW_BYTES:
                raise BeyondLimit(f"a row is longer than {ROW_BYTES // 1024**2} MiB")
            if rows and end - start > _WINDOW_BYTES:
                yield rows, data[start:at]
                start, rows = at, 0
            rows += 1
            at = end
        yield rows, data[start:]

    def _needed(self, block_bytes: int) -> bool:
        """Whether a row in a block of this size may exceed a limit."""
        most = self._schema.values + self._schema.density * block_bytes
        return self._schema.recursive or most > ROW_VALUES or block_bytes > ROW_BYTES

    def _row_end(self, data: bytes, at: int) -> int:
        """The position after the row at `at`. Raises BeyondLimit, BrokenFile, or IndexError if the row is cut."""
        todo: list[tuple[_Node, int, int]] = [(self._row, 0, 1)]  # the next types, their depth, how often they come
        values = 1
        while todo:
            node, depth, times = todo.pop()
            if times > 1:
                todo.append((node, depth, times - 1))
            kind, detail = node
            if kind == _UNION:
                branch, at = read_long(data, at)
                if not 0 <= branch < len(detail):
                    raise BrokenFile("a row selects a branch that its union does not have")
                todo.append((detail[branch], depth, 1))
                continue
            if kind == _LONG:
                _, at = read_long(data, at)
            elif kind == _BYTES:
                size, at = read_long(data, at)
                if size < 0:
                    raise IndexError
                at += size
            elif kind == _FIXED:
                at += detail
            elif kind == _BLOCKS:
                count, at = read_long(data, at)
                if count < 0:
                    count = -count
                    _, at = read_long(data, at)
                if count:
                    todo += ((node, depth, 1), (detail, depth + 1, count))
                    values += count
            else:  # a record, or a map's key and value
                values += len(detail)
                within = depth + 1 if kind == _RECORD else depth
                todo += ((field, within, 1) for field in reversed(detail))
            if at > len(data):
                raise IndexError
            if depth > ROW_DEPTH:
                raise BeyondLimit(f"a row has values nested more than {ROW_DEPTH:,} levels deep")
            if values > ROW_VALUES:
                raise BeyondLimit(f"a row has more than {ROW_VALUES:,} values")
        return at

    def _node(self, kind: Any) -> _Node:
        if isinstance(kind, str):
            return _PRIMITIVES[kind] if kind in PRIMITIVES else self._records[kind]
        if isinstance(kind, list):
            union: list[_Node] = []
            for branch in kind:
                union.append(self._node(branch))
            return [_UNION, union]
        match kind["type"]:
            case "record":
                node = self._records[kind["name"]] = [_RECORD, []]
                for field in kind["fields"]:
                    node[1].append(self._node(field["type"]))
                return node
            case "array":
                return [_BLOCKS, self._node(kind["items"])]
            case "map":
                return [_BLOCKS, [_PAIR, [_STRING, self._node(kind["values"])]]]
            case "fixed":
                return [_FIXED, kind["size"]]
        return self._node(kind["type"])
