"""Which schemas are flat: every column a primitive, or a union of one primitive with null, as in Heap's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The JSON type that a value of an Avro type has without doing anything
NATURAL = {
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("string", "bytes", "enum", "fixed"), "string"),
    **dict.fromkeys(("float", "double"), "number"),
    "boolean": "boolean",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """A column of primitives. In a union `null` and `value` are the bytes that announce the two; else both are None."""

    name: str
    kind: str
    null: int | None = None
    value: int | None = None
    symbols: tuple[str, ...] = ()
    size: int = 0


def flat_columns(schema: Any) -> tuple[FlatColumn, ...] | None:
    """The columns of a record's schema that is flat; None for every other."""
    columns = [_column(field["name"], field["type"]) for field in schema["fields"]]
    flat = tuple(column for column in columns if column is not None)
    return flat if len(flat) == len(columns) else None


def _column(name: str, declared: Any) -> FlatColumn | None:
    if not isinstance(declared, list):
        return _primitive(name, declared)
    if len(declared) != 2 or "null" not in declared or declared[0] == declared[1]:
        return None
    null = declared.index("null")
    # the index of a branch is an integer like any other: 0 is written 0, and 1 is written 2
    return _primitive(name, declared[1 - null], 2 * null, 2 * (1 - null))


def _primitive(name: str, declared: Any, null: int | None = None, value: int | None = None) -> FlatColumn | None:
    detail = declared if isinstance(declared, dict) else {"type": declared}
    kind, symbols, size = detail.get("type"), detail.get("symbols", []), detail.get("size", 0)
    if not isinstance(kind, str) or kind not in NATURAL or "logicalType" in detail:
        return None
    # these become part of a program: what is not as it should be is for the reference to refuse
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        return None
    if type(size) is not int or size < 0:
        return None
    return FlatColumn(name, kind, null, value, tuple(symbols), size)
