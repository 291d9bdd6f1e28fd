"""Converts Avro schemas to JSON schemas, and merges the schemas of several files of a table.

The types are those of the values that the decoders write. Every column may be null, and every object may have more
properties.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from source_kit.json_schema import ANYTHING

from source_heap.avro.declared import Declared
from source_heap.avro.logical import SYMBOLS, name_of
from source_heap.avro.times import TIME_COLUMNS
from source_heap.avro.values import ANY, TIME
from source_heap.limits import DECLARED_DEPTH, SCHEMA_VALUES

JsonSchema = dict[str, Any]

INSTANT: JsonSchema = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
_LOCAL_INSTANT = INSTANT | {"airbyte_type": "timestamp_without_timezone"}
TEXT: JsonSchema = {"type": ["null", "string"]}
INTEGER: JsonSchema = {"type": ["null", "integer"]}
_NUMBER: JsonSchema = {"type": ["null", "number"]}

_PRIMITIVES: Mapping[str, JsonSchema] = {
    "null": {"type": ["null"]},
    "boolean": {"type": ["null", "boolean"]},
    **dict.fromkeys(("int", "long"), INTEGER),
    **dict.fromkeys(("float", "double"), _NUMBER),
    **dict.fromkeys(("string", "bytes"), TEXT),
}
#: (underlying type, logical type): those of `logical.READERS`
_LOGICAL: Mapping[tuple[str, str], JsonSchema] = {
    **{("long", f"timestamp-{unit}"): INSTANT for unit in ("millis", "micros", "nanos")},
    **{("long", f"local-timestamp-{unit}"): _LOCAL_INSTANT for unit in ("millis", "micros", "nanos")},
    ("int", "date"): {"type": ["null", "string"], "format": "date"},
    **dict.fromkeys((("int", "time-millis"), ("long", "time-micros")), TEXT),
    **dict.fromkeys((("bytes", "decimal"), ("fixed", "decimal"), ("fixed", "uuid"), ("int", SYMBOLS)), TEXT),
}
_OBJECT: JsonSchema = {"type": ["null", "object"], "additionalProperties": True}
_ARRAY: JsonSchema = {"type": ["null", "array"]}


def columns_of(schema: Declared, normalize_times: bool) -> dict[str, JsonSchema]:
    """The JSON schema of each column of a file."""
    converter = _Converter(schema)
    return {
        field["name"]: INSTANT
        if normalize_times and field["name"] in TIME_COLUMNS
        else converter.of(field["type"], 1, TEXT)
        for field in schema.record["fields"]
    }


class _Converter:
    """Converts the types of a file.

    A record becomes an object without properties if it lies within itself, is deeper than the limit, or would make the
    schema too large (records that refer to each other).
    """

    def __init__(self, schema: Declared) -> None:
        self._records = schema.records
        self._within: set[str] = set()
        self._left = SCHEMA_VALUES

    def of(self, avro: Any, depth: int, mixed: JsonSchema = ANYTHING) -> JsonSchema:
        """The JSON schema of a type; `mixed` if it allows several types.

        Values within records, arrays and maps are not coerced, so there all types are declared.
        """
        self._left -= 1
        if isinstance(avro, list):
            branches = [self.of(branch, depth, mixed) for branch in avro if branch != "null"]
            return union(branches, mixed) if branches else _PRIMITIVES["null"]
        if isinstance(avro, str):
            return _PRIMITIVES[avro] if avro in _PRIMITIVES else self._record(self._records[avro], depth)
        kind = avro["type"]
        if annotation := name_of(avro):
            return _LOGICAL[kind, annotation]
        if kind == "record":
            return self._record(avro, depth)
        if kind == "fixed":
            return TEXT
        if depth > DECLARED_DEPTH:
            return _OBJECT if kind == "map" else _ARRAY
        if kind == "map":
            return {"type": ["null", "object"], "additionalProperties": self.of(avro["values"], depth + 1)}
        return {"type": ["null", "array"], "items": self.of(avro["items"], depth + 1)}

    def _record(self, record: Mapping[str, Any], depth: int) -> JsonSchema:
        name = record["name"]
        if name in self._within or depth > DECLARED_DEPTH or self._left < 0:
            return _OBJECT
        self._within.add(name)
        fields = {field["name"]: self.of(field["type"], depth + 1) for field in record["fields"]}
        self._within.remove(name)
        return {"type": ["null", "object"], "properties": fields, "additionalProperties": True}


def union(schemas: Iterable[JsonSchema], mixed: JsonSchema = TEXT) -> JsonSchema:
    """One schema for values of several schemas.

    That is the common one, a number for integers and numbers, text for different kinds of text, and `mixed` otherwise.
    """
    different: list[JsonSchema] = []
    for schema in schemas:
        if schema not in different and schema != _PRIMITIVES["null"]:
            different.append(schema)
    if not different:
        return TEXT  # only nulls were seen
    if len(different) == 1:
        return different[0]
    if all(schema in (INTEGER, _NUMBER) for schema in different):
        return _NUMBER
    if all("properties" in schema for schema in different):
        return _merged_objects(different)
    return TEXT if all(schema.get("type") == TEXT["type"] for schema in different) else mixed


def _merged_objects(schemas: list[JsonSchema]) -> JsonSchema:
    names = dict.fromkeys(name for schema in schemas for name in schema["properties"])
    properties = {
        name: union((schema["properties"][name] for schema in schemas if name in schema["properties"]), ANYTHING)
        for name in names
    }
    return {"type": ["null", "object"], "properties": properties, "additionalProperties": True}


def catalog_target(schema: Any) -> str:
    """The target type of a catalog's property, ANY if it allows several types."""
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = [kind for kind in (declared if isinstance(declared, list) else [declared]) if kind not in ("null", None)]
    if len(kinds) != 1:
        return ANY
    with_zone = schema.get("airbyte_type") != _LOCAL_INSTANT["airbyte_type"]
    if kinds == ["string"] and schema.get("format") == "date-time" and with_zone:
        return TIME
    return str(kinds[0])
