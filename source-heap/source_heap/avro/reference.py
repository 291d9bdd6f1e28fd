"""The reference decoder: fastavro for everything that Avro can say, at a third of the speed of `fast`.

It reads the schemas that `fast` does not take on (nested and logical types, wide unions), and it is the yardstick by
which the tests measure `fast`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson

from source_heap.avro import logical
from source_heap.avro.codegen import Mark
from source_heap.avro.declared import Declared
from source_heap.avro.faults import BrokenFile
from source_heap.avro.times import TIME_COLUMNS, Unfit, normalize_date
from source_heap.avro.values import INSTANTS, SINCE_COLUMN, TIME, WITHOUT_ZONE, RowRules, cast, change, plain

_NO_SCHEMA = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_BROKEN = (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError, ArithmeticError, struct.error)


class ReferenceDecoder:
    """Decodes rows of files of any schema. Raises BrokenFile where fastavro does not understand the schema."""

    is_fast = False

    def __init__(self, schema: Declared, rules: RowRules) -> None:
        # seldom needed, and a tenth of a second to import
        from fastavro import parse_schema, schemaless_reader
        from fastavro.read import LOGICAL_READERS
        from fastavro.schema import SchemaParseException, UnknownType

        # fastavro's documented way to read logical types otherwise
        LOGICAL_READERS.update({f"{kind}-{name}": read for (kind, name), read in logical.READERS.items()})
        self._rules = rules
        self._read: Any = schemaless_reader
        self._promises = {field["name"]: rules.promised(field["name"]) for field in schema.record["fields"]}
        try:
            self._schema = parse_schema(dict(schema.record))
        except (SchemaParseException, UnknownType, *_NO_SCHEMA) as error:
            msg = "its schema cannot be understood"
            raise BrokenFile(msg) from error

    def __call__(self, b: bytes, s: str, p: int, count: int, lines: list[bytes], marks: list[Mark]) -> int:
        """As `FastDecoder`; `s` is not looked at."""
        file = io.BytesIO(b)
        file.seek(p)
        for _ in range(count):
            try:
                row = self._read(file, self._schema, None, handle_unicode_errors="backslashreplace")
            except _BROKEN as error:
                msg = "a row cannot be decoded"
                raise BrokenFile(msg) from error
            if self._rules.since is not None and _is_older(row, self._rules.since):
                continue
            shaped, changes = _shaped(row, self._promises, self._rules.constants)
            if changes:
                marks.append((len(lines), changes))
            lines.append(orjson.dumps(shaped))
        return file.tell()


def shape(row: Mapping[str, Any], rules: RowRules) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A decoded row with the wanted columns as promised, and the changes that its record must tell."""
    return _shaped(row, {name: rules.promised(name) for name in row}, rules.constants)


def _shaped(
    row: Mapping[str, Any], promises: Mapping[str, str | None], constants: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    lost: list[str] = []
    shaped: dict[str, Any] = {}
    for name, value in row.items():
        promised = promises[name]
        if promised is None:
            continue
        try:
            shaped[name] = _made(name, value, promised, lost)
        except Unfit:
            shaped[name] = None
            lost.append(name)
    shaped.update(constants)
    return shaped, [change(path) for path in lost]


def _made(name: str, value: Any, promised: str, lost: list[str]) -> Any:
    """A column's value as promised. An instant that is one already is taken before it becomes text, which hides a 0."""
    if isinstance(value, date):
        if promised in INSTANTS:
            return normalize_date(value, zero_is_none=name in TIME_COLUMNS)
        promised = WITHOUT_ZONE.get(promised, promised)
    return cast(plain(value, name, lost), promised)


def _is_older(row: Mapping[str, Any], since: str) -> bool:
    try:
        moment = _made(SINCE_COLUMN, row.get(SINCE_COLUMN), TIME, [])
    except Unfit:
        return False
    return moment is not None and bool(moment < since)
