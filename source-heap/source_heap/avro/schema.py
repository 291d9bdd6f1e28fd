"""Avro schemas to JSON schemas, and the union of what several files say about a table.

The types are those that `reference` and `fast` make of the values. Every column may be null and every object may hold
more, as the contract of all streams says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from source_heap.avro.container import BrokenFile
from source_heap.avro.times import TIME_COLUMNS
from source_heap.avro.values import ANY, TIME

JsonSchema = dict[str, Any]

INSTANT: JsonSchema = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
_LOCAL_INSTANT: JsonSchema = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_without_timezone",
}
TEXT: JsonSchema = {"type": ["null", "string"]}
#: What lies within a record, an array or a map is not cast, so where it may be of several types all are declared: a
#: wrong type is worse than none, and a property without a type makes some clients drop the stream.
_ANYTHING: JsonSchema = {
    "type": ["null", "array", "boolean", "integer", "number", "object", "string"],
    "additionalProperties": True,
}
INTEGER: JsonSchema = {"type": ["null", "integer"]}
_NUMBER: JsonSchema = {"type": ["null", "number"]}

_PRIMITIVES: Mapping[str, JsonSchema] = {
    "null": {"type": ["null"]},
    "boolean": {"type": ["null", "boolean"]},
    **dict.fromkeys(("int", "long"), INTEGER),
    **dict.fromkeys(("float", "double"), _NUMBER),
    **dict.fromkeys(("string", "bytes", "enum", "fixed"), TEXT),
}
#: (underlying type, logical type): only the pairs that fastavro converts; it ignores the others, as Avro demands.
_LOGICAL: Mapping[tuple[str, str], JsonSchema] = {
    **dict.fromkeys((("long", "timestamp-millis"), ("long", "timestamp-micros")), INSTANT),
    **dict.fromkeys((("long", "local-timestamp-millis"), ("long", "local-timestamp-micros")), _LOCAL_INSTANT),
    ("int", "date"): {"type": ["null", "string"], "format": "date"},
    **dict.fromkeys((("int", "time-millis"), ("long", "time-micros")), TEXT),
    **dict.fromkeys((("bytes", "decimal"), ("fixed", "decimal"), ("string", "uuid")), TEXT),
}


def columns_of(schema: Any, normalize_times: bool) -> dict[str, JsonSchema]:
    """The JSON schema of each column of a file. Raises BrokenFile where a column's type is none."""
    named: dict[str, Any] = {}
    columns = {}
    try:
        for field in schema["fields"]:
            name = field["name"]
            instant = normalize_times and name in TIME_COLUMNS
            columns[name] = INSTANT if instant else _convert(field["type"], named, (), TEXT)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        msg = "its schema cannot be understood"
        raise BrokenFile(msg) from error
    return columns


def _convert(avro: Any, named: dict[str, Any], within: tuple[str, ...], mixed: JsonSchema = _ANYTHING) -> JsonSchema:
    """The JSON schema of an Avro type, `mixed` where it allows several.

    `named` are the types defined so far, `within` the records being converted.
    """
    if isinstance(avro, list):
        branches = [_convert(branch, named, within, mixed) for branch in avro if branch != "null"]
        return union(branches, mixed) if branches else _PRIMITIVES["null"]
    if isinstance(avro, str):
        if avro in _PRIMITIVES:
            return _PRIMITIVES[avro]
        name = avro.rpartition(".")[2]
        if name in within or name not in named:
            return {"type": ["null", "object"], "additionalProperties": True}
        return _convert(named[name], named, within, mixed)
    kind = avro["type"]
    if isinstance(kind, list | dict):
        return _convert(kind, named, within, mixed)
    name = str(avro.get("name", "")).rpartition(".")[2]
    if name:
        named[name] = avro
    logical = _LOGICAL.get((kind, str(avro.get("logicalType"))))
    if logical is not None:
        return logical
    if kind == "record":
        fields = {str(field["name"]): _convert(field["type"], named, (*within, name)) for field in avro["fields"]}
        return {"type": ["null", "object"], "properties": fields, "additionalProperties": True}
    if kind == "map":
        return {"type": ["null", "object"], "additionalProperties": _convert(avro["values"], named, within)}
    if kind == "array":
        return {"type": ["null", "array"], "items": _convert(avro["items"], named, within)}
    return _convert(kind, named, within, mixed)


def union(schemas: Iterable[JsonSchema], mixed: JsonSchema = TEXT) -> JsonSchema:
    """One schema for values of several: the same, text, a number for integers and numbers, else `mixed`."""
    different: list[JsonSchema] = []
    for schema in schemas:
        if schema not in different and schema != _PRIMITIVES["null"]:
            different.append(schema)
    if not different:
        return TEXT  # nothing but nulls was ever seen
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
        name: union((schema["properties"][name] for schema in schemas if name in schema["properties"]), _ANYTHING)
        for name in names
    }
    return {"type": ["null", "object"], "properties": properties, "additionalProperties": True}


def promised_type(schema: Any) -> str:
    """What a catalog's property promises, for `values.cast`. A property that allows several types promises nothing."""
    declared = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = [kind for kind in (declared if isinstance(declared, list) else [declared]) if kind not in ("null", None)]
    if len(kinds) != 1:
        return ANY
    with_zone = schema.get("airbyte_type") != _LOCAL_INSTANT["airbyte_type"]
    if kinds == ["string"] and schema.get("format") == "date-time" and with_zone:
        return TIME
    return str(kinds[0])
