"""Pendo's metadata fields as JSON schema, and the conversion of their values to what that schema promises."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from source_pendo.values import Converter, boolean, instant, items, number, text

#: Groups of the figures that Pendo itself keeps, in the whole subscription or for one application
_AUTO: Final = "auto"
_PER_APP: Final = "auto__"

#: `Type` of a field -> what its values become. Any other type, among them the empty one of a field whose type Pendo
#: never determined, means values of any type: a wrong type is worse than none. Integers come as decimal texts at times
#: (certain: another connector's changelog), so their values are left alone and the schema allows both.
_TYPES: Final[Mapping[str, tuple[dict[str, Any], Converter | None]]] = {
    "string": ({"type": ["null", "string"]}, text),
    "integer": ({"type": ["null", "integer", "number", "string"]}, None),
    "float": ({"type": ["null", "number"]}, number),
    "boolean": ({"type": ["null", "boolean"]}, boolean),
    "time": (
        {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        instant,
    ),
    "list": ({"type": ["null", "array"], "items": {}}, items),
}
_ANY: Final[tuple[dict[str, Any], Converter | None]] = ({}, None)

#: Times that Pendo keeps for each application, should the metadata not be readable
_KNOWN_TIMES: Final = ("firstvisit", "lastvisit", "lastupdated")
_KNOWN_TYPES: Final[Mapping[str, Converter]] = {"string": text, "integer": number, "array": items}

Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]


def usable_groups(answer: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """The groups and fields of an answer of the metadata endpoint; whatever is not shaped like one is left out."""
    if not isinstance(answer, dict):
        return {}
    return {
        group: {name: field for name, field in fields.items() if isinstance(field, dict)}
        for group, fields in answer.items()
        if isinstance(fields, dict)
    }


def has_app_fields(groups: Groups) -> bool:
    """Whether Pendo keeps some of its own figures for each application."""
    return any(field.get("isPerApp") for field in groups.get(_AUTO, {}).values())


def app_groups(groups: Groups, app_ids: Iterable[int]) -> dict[str, dict[str, dict[str, Any]]]:
    """The groups `auto__<application>`, which records have beside `auto` and the metadata answer does not name.

    An application's id loses its minus in the name (certain: another vendor's tables; observed by third parties).
    """
    fields = {name: dict(field) for name, field in groups.get(_AUTO, {}).items() if field.get("isPerApp")}
    return {f"{_PER_APP}{abs(app_id)}": fields for app_id in app_ids} if fields else {}


def group_schema(fields: Mapping[str, Mapping[str, Any]], known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of one metadata group. `known` are properties that are certain whatever Pendo says.

    Field names are left as they are: two that differ only in case are two columns.
    """
    properties = {name: _field_schema(field) for name, field in fields.items()} | dict(known or {})
    return {"type": ["null", "object"], "additionalProperties": True, "properties": properties}


def _field_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    schema, _ = _TYPES.get(str(field.get("Type")), _ANY)
    notes = [
        note for flag, note in (("isDeleted", "deleted in Pendo"), ("isHidden", "hidden in Pendo")) if field.get(flag)
    ]
    shown = field.get("DisplayName")
    description = "; ".join(([shown] if isinstance(shown, str) and shown else []) + notes)
    return {**({"description": description} if description else {}), **schema}


def with_groups(schema: Mapping[str, Any], groups: Groups) -> dict[str, Any]:
    """A schema of entities with a property `metadata_<group>` for each group."""
    properties = dict(schema["properties"])
    for group, fields in groups.items():
        column = f"metadata_{group}"
        known = properties.get(column, {}).get("properties")
        properties[column] = group_schema(fields, known)
    return {**schema, "properties": properties}


class MetadataShaper:
    """Converts the values of metadata groups to the types of the discovered schema.

    A value that cannot be one of its field's type becomes null; each such field is named in the log once.
    """

    def __init__(self, schema: Mapping[str, Any], groups: Groups, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[tuple[str, str]] = set()
        self._converters: dict[str, dict[str, Converter]] = {}
        for group, fields in groups.items():
            self._converters[group] = {
                name: convert
                for name, field in fields.items()
                if (convert := _TYPES.get(str(field.get("Type")), _ANY)[1]) is not None
            }
        known = schema["properties"].get("metadata_auto", {}).get("properties", {})
        auto = self._converters.setdefault(_AUTO, {})
        auto |= {name: _known_converter(field) for name, field in known.items()}
        self._per_app: dict[str, Converter] = dict.fromkeys(_KNOWN_TIMES, instant) | auto

    def __call__(self, group: str, values: Any) -> Any:
        """The values of one group of one record."""
        if not isinstance(values, dict):
            return None
        converters = self._converters.get(group, self._per_app if group.startswith(_PER_APP) else {})
        converted = dict(values)
        for name in converters.keys() & values.keys():
            value = values[name]
            if value is None:
                continue
            converted[name] = converters[name](value)
            if converted[name] is None and value != "" and (group, name) not in self._told:
                self._told.add((group, name))
                self._logger.warning(f"Field {name} of metadata group {group} holds values that are not of its type")
        return converted


def _known_converter(schema: Mapping[str, Any]) -> Converter:
    """Of a field that our own schema types, whatever type Pendo says that it has."""
    if schema.get("format") == "date-time":
        return instant
    return next(_KNOWN_TYPES[name] for name in schema["type"] if name in _KNOWN_TYPES)
