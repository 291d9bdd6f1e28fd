"""Every property of every discovered schema has a type.

A client in Singer's way drops a whole stream, without an error, when it meets a property without one. What may be
anything lists all types.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.runner import Runner
from test_kit.catalogs import Row

JSON_TYPES = {"null", "array", "boolean", "integer", "number", "object", "string"}


def _untyped(schema: Row, path: str) -> Iterator[str]:
    """The paths of the properties, items and members of maps that have no type, or one that JSON does not know."""
    declared = schema.get("type")
    types = [declared] if isinstance(declared, str) else declared or []
    if not types or not set(types) <= JSON_TYPES:
        yield path
    for name, field in schema.get("properties", {}).items():
        yield from _untyped(field, f"{path}.{name}")
    for part, mark in (("items", "[]"), ("additionalProperties", "{}")):
        inner: Any = schema.get(part)
        if isinstance(inner, dict):
            yield from _untyped(inner, path + mark)


def test_every_property_of_every_discovered_schema_has_a_type(runner: Runner) -> None:
    streams = runner.catalog["streams"]
    assert all(stream["json_schema"]["properties"] for stream in streams)

    untyped = [path for stream in streams for path in _untyped(stream["json_schema"], stream["name"])]

    assert untyped == []


def test_a_property_without_a_type_is_found_wherever_it_is() -> None:
    text = {"type": ["null", "string"]}
    within = {"type": "object", "properties": {"a": text, "b": {}}, "additionalProperties": {}}
    schema = {"type": "object", "properties": {"l": {"type": "array", "items": within}, "odd": {"type": ["any"]}}}

    assert list(_untyped(schema, "s")) == ["s.l[].b", "s.l[]{}", "s.odd"]
