"""Pendo's metadata fields as JSON schema, and the conversion of their values to what that schema promises."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from source_pendo.values import (
    ANYTHING,
    Converter,
    boolean,
    instant,
    items,
    metadata_instant,
    number,
    number_or_text,
    text,
    texts,
    whole_number,
)

#: Groups of the figures that Pendo itself keeps, in the whole subscription or for one application
_AUTO: Final = "auto"
_PER_APP: Final = "auto__"


@dataclass(frozen=True, slots=True)
class _Kind:
    """Values of the Python types in `fits` are of the schema as they are; `convert` makes others so, or None."""

    schema: Mapping[str, Any]
    fits: tuple[type, ...]
    convert: Converter


_NUMBER: Final = _Kind({"type": ["null", "number"]}, (float, int), number)
_TIME: Final = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
#: `Type` of a field -> what its values become. Any other type, among them the empty one of a field whose type Pendo
#: never determined, means values of any type: a wrong type is worse than none. Integers come as decimal texts at times
#: (certain: another connector's changelog), so their values are left alone and the schema allows both.
_KINDS: Final[Mapping[str, _Kind]] = {
    "string": _Kind({"type": ["null", "string"]}, (str,), text),
    "integer": _Kind({"type": ["null", "integer", "number", "string"]}, (int, str, float), number_or_text),
    "float": _NUMBER,
    "number": _NUMBER,
    "boolean": _Kind({"type": ["null", "boolean"]}, (bool,), boolean),
    "time": _Kind(_TIME, (), metadata_instant),
    "list": _Kind({"type": ["null", "array"], "items": ANYTHING}, (list,), items),
}

#: Times that Pendo keeps for each application, should the metadata not be readable
_KNOWN_TIMES: Final = ("firstvisit", "lastvisit", "lastupdated")

Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]
_Rule = tuple[tuple[type, ...], Converter]
_INSTANT_RULE: Final[_Rule] = ((), instant)


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


def _kind_of(field: Mapping[str, Any]) -> _Kind | None:
    return _KINDS.get(str(field.get("Type")))


def _field_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind_of(field)
    notes = [
        note for flag, note in (("isDeleted", "deleted in Pendo"), ("isHidden", "hidden in Pendo")) if field.get(flag)
    ]
    shown = field.get("DisplayName")
    description = "; ".join(([shown] if isinstance(shown, str) and shown else []) + notes)
    return {**({"description": description} if description else {}), **(kind.schema if kind else ANYTHING)}


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

    A value that cannot be one of its field's type becomes null in its column and stays, as it was sent, in
    `raw_metadata`, under its group and field; each such field is named in the log once. A column that holds nothing but
    such values costs a record nothing where all values fit.
    """

    def __init__(self, schema: Mapping[str, Any], groups: Groups, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[tuple[str, str]] = set()
        self._rules: dict[str, dict[str, _Rule]] = {}
        for group, fields in groups.items():
            kinds = {name: _kind_of(field) for name, field in fields.items()}
            self._rules[group] = {name: (kind.fits, kind.convert) for name, kind in kinds.items() if kind}
        known = schema["properties"].get("metadata_auto", {}).get("properties", {})
        auto = self._rules.setdefault(_AUTO, {})
        auto |= {name: _known_rule(field) for name, field in known.items()}
        self._per_app: dict[str, _Rule] = dict.fromkeys(_KNOWN_TIMES, _INSTANT_RULE) | auto

    def shape(self, metadata: Any, record: dict[str, Any]) -> None:
        """Add the metadata of one row to its record: a column for each group, and `raw_metadata` where it is needed."""
        if not isinstance(metadata, dict):
            if metadata:
                record["raw_metadata"] = {"metadata": metadata}
            return
        raw: dict[str, Any] = {}
        for group, values in metadata.items():
            if isinstance(values, dict):
                record[f"metadata_{group}"], unfit = self._group(group, values)
                if unfit:
                    raw[group] = unfit
            else:
                record[f"metadata_{group}"] = None
                if values:
                    raw[group] = values
        if raw:
            record["raw_metadata"] = raw

    def _group(self, group: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The values of one group of one record, and those of them that do not fit as they were sent."""
        rules = self._rules.get(group)
        if rules is None:
            rules = self._per_app if group.startswith(_PER_APP) else {}
        converted = dict(values)
        unfit: dict[str, Any] | None = None
        for name, value in values.items():
            rule = rules.get(name)
            if rule is None or value is None or value.__class__ in rule[0]:
                continue
            converted[name] = fitting = rule[1](value)
            if fitting is None and value != "":
                unfit = {name: value} if unfit is None else {**unfit, name: value}
                self._tell(group, name)
        return converted, unfit

    def _tell(self, group: str, name: str) -> None:
        if (group, name) not in self._told:
            self._told.add((group, name))
            self._logger.warning(
                f"Field {name} of metadata group {group} holds values that are not of its type: they are null in "
                f"metadata_{group} and kept as they were sent in raw_metadata"
            )


def _known_rule(schema: Mapping[str, Any]) -> _Rule:
    """Of a field that our own schema types, whatever type Pendo says that it has."""
    if schema.get("format") == "date-time":
        return _INSTANT_RULE
    known: Mapping[str, _Rule] = {"string": ((str,), text), "integer": ((int,), whole_number), "array": ((), texts)}
    return next(known[name] for name in schema["type"] if name in known)
