"""Finds flat schemas, as Heap's tables have: each column is a primitive, or a union of one primitive with null."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from source_heap.avro.logical import SYMBOLS
from source_heap.limits import GENERATED_COLUMNS

#: The JSON type of an Avro type without coercion
NATURAL = {
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("string", "bytes", "enum", "fixed"), "string"),
    **dict.fromkeys(("float", "double"), "number"),
    "boolean": "boolean",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """A column of primitives. `null` is the byte that selects null in a union; None if the column cannot be null."""

    name: str
    kind: str
    null: int | None = None
    symbols: tuple[str, ...] = ()
    size: int = 0


def flat_columns(record: Mapping[str, Any]) -> tuple[FlatColumn, ...] | None:
    """The columns of a record of `declared` if it is flat and not too wide, otherwise None."""
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
    # the index of a branch is a zigzag integer: 0 is encoded as 0, 1 as 2
    return _primitive(name, kind[1 - null], 2 * null)


def _primitive(name: str, kind: Any, null: int | None = None) -> FlatColumn | None:
    if isinstance(kind, str):
        return FlatColumn(name, kind, null) if kind in NATURAL else None
    if not isinstance(kind, dict):
        return None
    if kind.get("logicalType") == SYMBOLS:
        return FlatColumn(name, "enum", null, symbols=tuple(kind["names"]))
    if kind["type"] == "fixed" and "logicalType" not in kind:
        return FlatColumn(name, "fixed", null, size=kind["size"])
    return None
