"""Which schemas are flat: every column a primitive, or a union of one primitive with null, as in Heap's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_heap.avro.logical import SYMBOLS
from source_heap.limits import GENERATED_COLUMNS

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


def flat_columns(record: Mapping[str, Any]) -> tuple[FlatColumn, ...] | None:
    """The columns of a record, as `declared` has it, that is flat and not too wide; None for every other."""
    if len(record["fields"]) > GENERATED_COLUMNS:
        return None
    columns = [_column(field["name"], field["type"]) for field in record["fields"]]
    flat = tuple(column for column in columns if column is not None)
    return flat if len(flat) == len(columns) else None


def _column(name: str, kind: Any) -> FlatColumn | None:
    if not isinstance(kind, list):
        return _primitive(name, kind)
    if len(kind) != 2 or "null" not in kind or kind[0] == kind[1]:
        return None
    null = kind.index("null")
    # the index of a branch is an integer like any other: 0 is written 0, and 1 is written 2
    return _primitive(name, kind[1 - null], 2 * null, 2 * (1 - null))


def _primitive(name: str, kind: Any, null: int | None = None, value: int | None = None) -> FlatColumn | None:
    if isinstance(kind, str):
        return FlatColumn(name, kind, null, value) if kind in NATURAL else None
    if not isinstance(kind, dict):
        return None
    if kind.get("logicalType") == SYMBOLS:
        return FlatColumn(name, "enum", null, value, symbols=tuple(kind["names"]))
    if kind["type"] == "fixed" and "logicalType" not in kind:
        return FlatColumn(name, "fixed", null, value, size=kind["size"])
    return None
