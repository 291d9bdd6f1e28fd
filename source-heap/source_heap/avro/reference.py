"""The reference decoder: decodes rows of any schema with fastavro, at a third of the speed of `fast`.

It reads the schemas that `fast` does not (nested and logical types, wide unions, many columns), and the tests compare
`fast` with it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson

from source_heap.avro import logical
from source_heap.avro.codegen import ChangedLine
from source_heap.avro.declared import Declared
from source_heap.avro.faults import BrokenFile
from source_heap.avro.times import TIME_COLUMNS, CoercionError, normalize_date
from source_heap.avro.values import INSTANTS, SINCE_COLUMN, TIME, WITHOUT_ZONE, Projection, change, coerce, plain

_NO_SCHEMA = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_BROKEN = (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError, ArithmeticError, struct.error)


class ReferenceDecoder:
    """Decodes rows of files of any schema. Raises BrokenFile if fastavro does not understand the schema."""

    is_fast = False

    def __init__(self, schema: Declared, projection: Projection) -> None:
        # imported late: rarely needed, and the import takes a tenth of a second
        from fastavro import parse_schema, schemaless_reader
        from fastavro.read import LOGICAL_READERS
        from fastavro.schema import SchemaParseException, UnknownType

        # the documented way to replace fastavro's readers of logical types
        LOGICAL_READERS.update({f"{kind}-{name}": read for (kind, name), read in logical.READERS.items()})
        self._projection = projection
        self._read: Any = schemaless_reader
        self._targets = {field["name"]: projection.target(field["name"]) for field in schema.record["fields"]}
        try:
            self._schema = parse_schema(dict(schema.record))
        except (SchemaParseException, UnknownType, *_NO_SCHEMA) as error:
            raise BrokenFile("its schema cannot be understood") from error

    def __call__(self, b: bytes, s: str, p: int, count: int, lines: list[bytes], changed: list[ChangedLine]) -> int:
        """As `FastDecoder`; `s` is not used."""
        file = io.BytesIO(b)
        file.seek(p)
        for _ in range(count):
            try:
                row = self._read(file, self._schema, None, handle_unicode_errors="backslashreplace")
            except _BROKEN as error:
                raise BrokenFile("a row cannot be decoded") from error
            if self._projection.since is not None and _is_older(row, self._projection.since):
                continue
            selected, changes = projected(row, self._targets, self._projection.constants)
            if changes:
                changed.append((len(lines), changes))
            lines.append(orjson.dumps(selected))
        return file.tell()


def projected(
    row: Mapping[str, Any], targets: Mapping[str, str | None], constants: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The selected columns of a decoded row in their target types, and the changes for its record."""
    lost: list[str] = []
    selected: dict[str, Any] = {}
    for name, value in row.items():
        target = targets[name]
        if target is None:
            continue
        try:
            selected[name] = _coerced(name, value, target, lost)
        except CoercionError:
            selected[name] = None
            lost.append(name)
    selected.update(constants)
    return selected, [change(path) for path in lost]


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
