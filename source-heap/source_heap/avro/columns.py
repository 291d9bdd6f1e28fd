"""Describes the columns of a flat schema to the native decoder: how each value is encoded, and what is written of it.

A column is flat if it is a primitive, an enum, a fixed, one of the logical types, or a union of those. `native/rows.h`
explains the kinds and forms. They follow `reference`: what the native decoder would write differently is `unusual`,
which sends the row to the reference decoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from source_heap.avro import logical
from source_heap.avro.declared import NATURAL
from source_heap.avro.times import TIME_COLUMNS
from source_heap.avro.values import (
    ANY,
    INSTANTS,
    SESSION_ANY,
    SESSION_TEXT,
    SINCE_COLUMN,
    TIME,
    Projection,
)
from source_heap.limits import BLOCK_BYTES, DECIMAL_SCALE

#: kind, form, scale, whether 0 is null, size of a fixed, symbols of an enum as JSON
Branch: TypeAlias = tuple[str, str, int, bool, int, tuple[bytes, ...]]
#: `,"name":`, the same with null, whether it is a union, whether it decides which rows are emitted, branches
Column: TypeAlias = tuple[bytes, bytes, bool, bool, tuple[Branch, ...]]

_KINDS = {"null": "null", "boolean": "boolean", "int": "long", "long": "long", "float": "float", "double": "double"}
_KINDS |= {"string": "bytes", "bytes": "bytes", "fixed": "fixed"}
_MICRO, _MILLI, _DAY = 1_000, 1_000_000, 86_400_000_000_000
#: Nanoseconds of one, by logical type
_UNITS = {
    "timestamp-millis": _MILLI,
    "timestamp-micros": _MICRO,
    "timestamp-nanos": 1,
    "local-timestamp-millis": _MILLI,
    "local-timestamp-micros": _MICRO,
    "local-timestamp-nanos": 1,
    "date": _DAY,
    "time-millis": _MILLI,
    "time-micros": _MICRO,
}
_TEXTS = frozenset({ANY, "string", SESSION_ANY, SESSION_TEXT})


def flat_columns(record: Mapping[str, Any], projection: Projection) -> tuple[Column, ...] | None:
    """The columns of a record in the form of `declared`; None if one is nested, or if two have one name."""
    fields: Sequence[Mapping[str, Any]] = record["fields"]
    if len({field["name"] for field in fields}) < len(fields):
        return None  # Avro forbids it; the value of the last column stands in the place of the first
    columns: list[Column] = []
    comma = b""
    for field in fields:
        name, avro = field["name"], field["type"]
        target = projection.target(name)
        decides = projection.since is not None and name == SINCE_COLUMN
        branches = [_branch(branch, name, target, decides) for branch in (avro if isinstance(avro, list) else [avro])]
        if None in branches:
            return None
        begin = comma + orjson.dumps(name) + b":"
        columns.append((begin, begin + b"null", isinstance(avro, list), decides, tuple(filter(None, branches))))
        if target is not None:
            comma = b","
    return tuple(columns)


def _branch(avro: Any, name: str, target: str | None, decides: bool) -> Branch | None:
    if isinstance(avro, str):
        if avro not in _KINDS:
            return None  # a reference to a record
        return (_KINDS[avro], _plain_form(avro, target), 0, False, 0, ())
    if isinstance(avro, list):
        return None  # a union within a union, which Avro forbids
    kind, annotation = avro["type"], logical.name_of(avro)
    if annotation is None:
        return ("fixed", _plain_form("fixed", target), 0, False, _size(avro), ()) if kind == "fixed" else None
    if annotation == logical.SYMBOLS:
        return ("enum", _plain_form("enum", target), 0, False, 0, tuple(map(orjson.dumps, avro["names"])))
    form = _logical_form(annotation, target)
    if decides and (annotation not in _UNITS or annotation.startswith("time-")):
        form = "unusual"
    zero_is_null = form == "timestamp" and target in INSTANTS and name in TIME_COLUMNS
    # a schema may name a scale of any size; the reference decoder writes decimals of far smaller ones
    scale = min(avro["scale"], DECIMAL_SCALE) if annotation == "decimal" else _UNITS.get(annotation, 0)
    return (_KINDS[kind], form, scale, zero_is_null, _size(avro), ())


def _size(avro: Mapping[str, Any]) -> int:
    """Bytes of a fixed. A schema may name any size; no block holds a value of more than a block's limit."""
    size: int = avro.get("size", 0)
    return min(size, BLOCK_BYTES + 1)


def _plain_form(avro: str, target: str | None) -> str:
    """What is written of a value without a logical type."""
    if target is None:
        return "skipped"
    natural = NATURAL[avro]
    if natural == "string" and target in (SESSION_ANY, SESSION_TEXT):
        return "text or instant"
    if avro == "null" or target in (ANY, SESSION_ANY, natural) or (natural, target) == ("integer", "number"):
        return "plain"
    if target == TIME:
        return "instant"
    if target == "integer" and avro in ("string", "bytes"):
        return "integer in text"
    if target in ("string", SESSION_TEXT) and natural != "string":
        return "quoted"
    return "unusual"


def _logical_form(annotation: str, target: str | None) -> str:
    if target is None:
        return "skipped"
    if target in INSTANTS and annotation in _UNITS and not annotation.startswith("time-"):
        return "timestamp"
    if target not in _TEXTS:
        return "unusual"
    if annotation.startswith("time-"):
        return "time of day"
    if annotation.startswith("local-"):
        return "local timestamp"
    return {"date": "day", "decimal": "decimal", "uuid": "uuid"}.get(annotation, "timestamp")
