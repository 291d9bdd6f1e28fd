"""The reference decoder: decodes rows of any schema with fastavro, in about thirty times the time of `native`.

It says what a row's line is: the tests hold `native` to it. It reads what `native` does not: tables with arrays, maps
or records in a column, single unusual rows, and everything where `native` is not installed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO

import orjson

from source_heap.avro import logical
from source_heap.avro.chunks import CHUNK_BYTES, LONG_LINE, OTHER_SIZE, Chunk
from source_heap.avro.declared import Declared
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.skim import windows
from source_heap.avro.times import TIME_COLUMNS, CoercionError, normalize_date
from source_heap.avro.values import INSTANTS, SINCE_COLUMN, TIME, WITHOUT_ZONE, Projection, change, coerce, plain
from source_heap.limits import LINE_BYTES

_NO_SCHEMA = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_BROKEN = (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError, ArithmeticError, struct.error)


class ReferenceDecoder:
    """Decodes rows of files of any schema. Raises BrokenFile if fastavro does not understand the schema."""

    def __init__(self, schema: Declared, projection: Projection) -> None:
        # imported late: rarely needed, and the import takes a tenth of a second
        from fastavro import parse_schema, schemaless_reader
        from fastavro.read import LOGICAL_READERS
        from fastavro.schema import SchemaParseException, UnknownType

        # the documented way to add readers of logical types
        LOGICAL_READERS.update({f"{kind}-{logical.OWN}{name}": read for (kind, name), read in logical.READERS.items()})
        self._row = schema.row
        self._projection = projection
        self._read: Any = schemaless_reader
        self._targets = {field["name"]: projection.target(field["name"]) for field in schema.record["fields"]}
        try:
            self._schema = parse_schema(dict(schema.record))
        except (SchemaParseException, UnknownType, *_NO_SCHEMA) as error:
            raise BrokenFile("its schema cannot be understood") from error

    def chunks(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[Chunk]:
        """The rows of (count, rows) blocks, in order. Raises BrokenFile."""
        lines: list[bytes] = []
        size = 0
        for count, data in self._parts(blocks):
            file = io.BytesIO(data)
            for _ in range(count):
                if file.tell() == len(data) and self._row.least:
                    raise BrokenFile(OTHER_SIZE)
                line = self.line(file)
                if line is None:
                    continue
                lines.append(line)
                size += len(line)
                if size >= CHUNK_BYTES:
                    yield Chunk(b"".join(lines), len(lines))
                    lines, size = [], 0
            if file.tell() != len(data):
                raise BrokenFile(OTHER_SIZE)
            del data, file  # frees the block before the next one is decompressed
        if lines:
            yield Chunk(b"".join(lines), len(lines))

    def _parts(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        for count, data in blocks:
            parts = windows(self._row, count, data)
            del data
            yield from parts

    def line(self, file: BinaryIO) -> bytes | None:
        """The next row as a line; None if it is filtered out. Raises BrokenFile."""
        try:
            row = self._read(file, self._schema, None, handle_unicode_errors="backslashreplace")
        except _BROKEN as error:
            raise BrokenFile("a row cannot be decoded") from error
        projection = self._projection
        if projection.since is not None and _is_older(row, projection.since):
            return None
        misfits: list[str] = []
        selected, changes = projected(row, self._targets, projection.constants, misfits)
        text = orjson.dumps(selected)
        if len(text) > LINE_BYTES:
            raise BeyondLimit(LONG_LINE)
        projection.misfits.update(misfits)
        meta = b',"meta":%b' % orjson.dumps({"changes": changes}) if changes and projection.head else b""
        return b"".join((projection.head, text, meta, projection.tail))


def projected(
    row: Mapping[str, Any], targets: Mapping[str, str | None], constants: Mapping[str, Any], misfits: list[str]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The selected columns of a decoded row in their target types, and the changes for its record.

    Adds the columns whose values do not fit their target types to `misfits`. A value without a JSON notation (NaN) is
    lost whatever the type, so it is not one of them.
    """
    lost: list[str] = []
    selected: dict[str, Any] = {}
    for name, value in row.items():
        target = targets[name]
        if target is None:
            continue
        if value is None:  # half of the values of Heap's tables
            selected[name] = None
            continue
        try:
            selected[name] = _coerced(name, value, target, lost)
        except CoercionError:
            selected[name] = None
            lost.append(name)
            if _is_writable(name, value):
                misfits.append(name)
    selected.update(constants)
    return selected, [change(path) for path in lost]


def _is_writable(name: str, value: Any) -> bool:
    try:
        plain(value, name, [])
    except CoercionError:
        return False
    return True


def _coerced(name: str, value: Any, target: str, lost: list[str]) -> Any:
    """A column's value in its target type. Dates are converted before they become text, where a 0 is not visible."""
    if isinstance(value, date):
        if target in INSTANTS:
            return normalize_date(value, zero_is_none=name in TIME_COLUMNS)
        target = WITHOUT_ZONE.get(target, target)
    return coerce(plain(value, name, lost), target)


def _is_older(row: Mapping[str, Any], since: str) -> bool:
    try:
        moment = _coerced(SINCE_COLUMN, row.get(SINCE_COLUMN), TIME, [])
    except CoercionError:
        return False
    return moment is not None and bool(moment < since)
