"""Reduces a writer's schema to the parts that decide the bytes and values of a row, in one form.

Defaults, documentation, aliases and order do not matter for reading rows, and writers put invalid content there (a bare
NaN, half a surrogate pair, a default of another type), so they are dropped. The form:

* A primitive is its name, or `{"type", "logicalType", ...}` if the annotation is known and valid; Avro requires readers
  to ignore any other. An enum is an `int` with the logical type `logical.SYMBOLS` and its `names`. The names of logical
  types begin with `logical.OWN`.
* A union is a list, an array has `items`, a map `values`, a fixed a `size`.
* A record gets a unique name (`r0`, `r1`, ...) at its definition, and references are that name. Avro's namespaces are
  resolved: `x.Kind` and `y.Kind` are two types.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from source_heap.avro import logical
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.skim import PRIMITIVES, Measurer, Node
from source_heap.limits import SCHEMA_DEPTH, SCHEMA_TYPES, SCHEMA_VALUES

#: The JSON type of an Avro type without coercion
NATURAL = {
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("string", "bytes", "enum", "fixed"), "string"),
    **dict.fromkeys(("float", "double"), "number"),
    "boolean": "boolean",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A table's schema: a record in the form above, all records by name, and the record's measure."""

    record: Mapping[str, Any]
    records: Mapping[str, Mapping[str, Any]]
    row: Node


def parsed(text: bytes) -> Any:
    """The JSON of a header's schema. Raises BrokenFile.

    Java's and Python's libraries write NaN, infinities and lone surrogates, which strict JSON does not allow.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        return json.loads(text.decode("utf-8", "surrogateescape"))
    except ValueError:
        raise BrokenFile("its header has no readable schema") from None
    except RecursionError:
        raise _too_deep() from None


def declared(schema: Any) -> Declared:
    """A parsed schema in the form above. Raises BrokenFile if it is not a schema of rows, BeyondLimit if too large."""
    fields = schema.get("fields") if isinstance(schema, dict) and schema.get("type") == "record" else None
    if not isinstance(fields, list) or not all(
        isinstance(field, dict) and isinstance(field.get("name"), str) and "type" in field for field in fields
    ):
        raise BrokenFile("its schema is not a record with named fields")
    reader = _Reader()
    try:
        record = reader.of(schema, "", 0)
        row = Measurer().of(record)
    except RecursionError:
        raise _too_deep() from None
    except (AttributeError, KeyError, TypeError) as error:
        raise BrokenFile("its schema cannot be understood") from error
    if row.values > SCHEMA_VALUES:
        raise BeyondLimit(f"its schema has more than {SCHEMA_VALUES:,} values in a row")
    return Declared(record, reader.records, row)


def _too_deep() -> BeyondLimit:
    return BeyondLimit(f"its schema has types nested more than {SCHEMA_DEPTH} levels deep")


class _Reader:
    """Converts a schema as written. `records` are its records by their new names."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._named: dict[str, Any] = {}
        self._made = self._types = 0

    def of(self, schema: Any, space: str, depth: int) -> Any:
        """A type within the namespace `space`. Raises KeyError, TypeError or AttributeError if it is not a type."""
        self._types += 1
        if self._types > SCHEMA_TYPES:
            raise BeyondLimit(f"its schema has more than {SCHEMA_TYPES:,} types")
        if depth > SCHEMA_DEPTH:
            raise _too_deep()
        if isinstance(schema, str):
            return schema if schema in PRIMITIVES else self._reference(schema, space)
        if isinstance(schema, list):
            union = []
            for branch in schema:  # a comprehension would take a stack frame, and schemas may be deep
                union.append(self.of(branch, space, depth + 1))
            return union
        kind = schema["type"]
        match kind:
            case "record" | "error":
                return self._record(schema, space, depth)
            case "array" | "map":
                within = "items" if kind == "array" else "values"
                return {"type": kind, within: self.of(schema[within], space, depth + 1)}
            case "enum":
                return self._define(schema, space, logical.enum([_visible(name) for name in schema["symbols"]]))
            case "fixed":
                return self._define(schema, space, logical.fixed(schema, self._new_name()))
            case str() if kind in PRIMITIVES:
                return logical.annotated(kind, schema)
        return self.of(kind, space, depth + 1)

    def _new_name(self) -> str:
        self._made += 1
        return f"r{self._made}"

    def _reference(self, name: str, space: str) -> Any:
        near = f"{space}.{name}" if space and "." not in name else name
        found = self._named[near if near in self._named else name]
        return {**found, "name": self._new_name()} if isinstance(found, dict) and "size" in found else found

    def _define(self, schema: Mapping[str, Any], space: str, made: Any) -> Any:
        self._named[_full_name(schema, space)] = made
        return made

    def _record(self, schema: Mapping[str, Any], space: str, depth: int) -> dict[str, Any]:
        space, name = _full_name(schema, space).rpartition(".")[0], self._define(schema, space, self._new_name())
        fields: list[dict[str, Any]] = []
        for field in schema["fields"]:
            fields.append({"name": _visible(field["name"]), "type": self.of(field["type"], space, depth + 1)})
        self.records[name] = {"type": "record", "name": name, "fields": fields}
        return self.records[name]


def _full_name(schema: Mapping[str, Any], space: str) -> str:
    name, own = str(schema.get("name", "")), schema.get("namespace")
    space = own if isinstance(own, str) else space
    return f"{space}.{name}" if space and "." not in name else name


def _visible(name: str) -> str:
    """A name that can be encoded: half a surrogate pair is written as `\\ud83d`."""
    return sys.intern(name.encode("utf-8", "backslashreplace").decode())
