"""Pendo's metadata fields as JSON schema, and the conversion of their values to its types."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from source_kit.json_schema import ANYTHING

from source_pendo.values import (
    Converter,
    boolean,
    instant,
    items,
    metadata_instant,
    number,
    text,
    texts,
    whole_number,
)

#: Groups of the values that Pendo itself keeps, for the whole subscription or for one application
_AUTO: Final = "auto"
_PER_APP: Final = "auto__"
#: What groups hold that many subscriptions have
_GROUP_MEANINGS: Final = {
    "agent": "Metadata that your application sends with Pendo's install script (observed)",
    "pendo": "What is set in Pendo, such as donotprocess",
}

Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]
#: Python types whose values stay as they are, and the converter of all others: None for what it cannot convert
_Rule = tuple[tuple[type, ...], Converter]
_INSTANT_RULE: Final[_Rule] = ((), instant)


@dataclass(frozen=True, slots=True)
class _TargetType:
    schema: Mapping[str, Any]
    rule: _Rule


_NUMBER: Final = _TargetType({"type": ["null", "number"]}, ((float, int), number))
_TIME: Final = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
#: `Type` of a field -> the target type of its values. Any other `Type`, also the empty one of a field whose type Pendo
#: never determined, means values of any type: a wrong type is worse than none. Integers sometimes come as decimal texts
#: (certain: another connector's changelog), so their values stay as they are and the schema allows both.
_TARGET_TYPES: Final[Mapping[str, _TargetType]] = {
    "string": _TargetType({"type": ["null", "string"]}, ((str,), text)),
    "integer": _TargetType({"type": ["null", "integer", "number", "string"]}, ((int, str, float), text)),
    "float": _NUMBER,
    "number": _NUMBER,
    "boolean": _TargetType({"type": ["null", "boolean"]}, ((bool,), boolean)),
    "time": _TargetType(_TIME, ((), metadata_instant)),
    "list": _TargetType({"type": ["null", "array"], "items": ANYTHING}, ((list,), items)),
}

#: Times that Pendo keeps for each application; used when the metadata cannot be read
_KNOWN_TIMES: Final = ("firstvisit", "lastvisit", "lastupdated")


def usable_groups(answer: Any) -> Groups:
    """The groups and fields of an answer of the metadata endpoint; values of another shape are dropped."""
    if not isinstance(answer, dict):
        return {}
    return {
        group: {name: field for name, field in fields.items() if isinstance(field, dict)}
        for group, fields in answer.items()
        if isinstance(fields, dict)
    }


def app_groups(groups: Groups, app_ids: Callable[[], Iterable[int]]) -> Groups:
    """The groups `auto__<application>`, which records have and the metadata answer does not name.

    `app_ids` asks for the applications; it is called only if Pendo keeps some of its own values for each of them. An
    id loses its minus in the name (certain: another vendor's tables; observed by third parties).
    """
    fields = {name: field for name, field in groups.get(_AUTO, {}).items() if field.get("isPerApp")}
    return {f"{_PER_APP}{abs(app_id)}": fields for app_id in app_ids()} if fields else {}


def _target_type(field: Mapping[str, Any]) -> _TargetType | None:
    return _TARGET_TYPES.get(str(field.get("Type")))


def _field_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    target = _target_type(field)
    shown = field.get("DisplayName")
    notes = [shown] if isinstance(shown, str) and shown else []
    notes += [
        f"{note} in Pendo" for flag, note in (("isDeleted", "deleted"), ("isHidden", "hidden")) if field.get(flag)
    ]
    return {**({"description": "; ".join(notes)} if notes else {}), **(target.schema if target else ANYTHING)}


def _group_meaning(group: str) -> str:
    """What a group holds, with the mark of the data dictionary where Pendo's pages do not say it."""
    if group.startswith(_PER_APP):
        app_id = group.removeprefix(_PER_APP)
        return f"What Pendo itself keeps for one application, whose id is {app_id} or -{app_id} (observed)"
    return _GROUP_MEANINGS.get(group, f"Metadata group {group}, by Pendo's names of its fields")


def with_groups(schema: Mapping[str, Any], groups: Groups) -> dict[str, Any]:
    """A schema of entities with a property `metadata_<group>` for each group.

    Field names stay as they are: two that differ only in case are two columns. What `schema` says about a field of a
    group wins over what Pendo says.
    """
    columns = dict(schema["properties"])
    for group, fields in groups.items():
        column = f"metadata_{group}"
        known = columns.get(column, {})
        properties = {**{name: _field_schema(field) for name, field in fields.items()}, **known.get("properties", {})}
        columns[column] = {
            "description": known.get("description", _group_meaning(group)),
            "type": ["null", "object"],
            "additionalProperties": True,
            "properties": properties,
        }
    return {**schema, "properties": columns}


class MetadataMapper:
    """Converts the values of metadata groups to the types of the discovered schema.

    A value that cannot be converted becomes null in its column and is kept as it was sent in `raw_metadata`, under its
    group and field. So nothing is lost, and one wrong value does not change a column's type from one discovery to the
    next. The log names each such field once.
    """

    def __init__(self, schema: Mapping[str, Any], groups: Groups, logger: logging.Logger) -> None:
        self._logger = logger
        self._logged: set[tuple[str, str]] = set()
        self._rules: dict[str, dict[str, _Rule]] = {
            group: {name: target.rule for name, field in fields.items() if (target := _target_type(field))}
            for group, fields in groups.items()
        }
        known = schema["properties"].get("metadata_auto", {}).get("properties", {})
        auto = self._rules.setdefault(_AUTO, {})
        auto |= {name: _known_rule(field) for name, field in known.items()}
        self._per_app: dict[str, _Rule] = dict.fromkeys(_KNOWN_TIMES, _INSTANT_RULE) | auto

    def map(self, metadata: Any, record: dict[str, Any]) -> None:
        """Add the metadata of one row to its record: a column for each group, and `raw_metadata` if needed."""
        if not isinstance(metadata, dict):
            if metadata:
                record["raw_metadata"] = {"metadata": metadata}
            return
        raw: dict[str, Any] = {}
        for group, values in metadata.items():
            converted, failed = self._group(group, values) if isinstance(values, dict) else (None, values)
            record[f"metadata_{group}"] = converted
            if failed:
                raw[group] = failed
        if raw:
            record["raw_metadata"] = raw

    def _group(self, group: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The converted values of one group of one record, and as they were sent those that cannot be converted."""
        rules = self._rules.get(group)
        if rules is None:
            rules = self._per_app if group.startswith(_PER_APP) else {}
        converted = dict(values)
        failed: dict[str, Any] = {}
        for name, value in values.items():
            rule = rules.get(name)
            if rule is None or value is None or value.__class__ in rule[0]:
                continue
            converted[name] = fitting = rule[1](value)
            if fitting is None and value != "":
                failed[name] = value
                if (group, name) not in self._logged:
                    self._logged.add((group, name))
                    self._logger.warning(
                        f"Field {name} of metadata group {group} holds values that are not of its type: they are null "
                        f"in metadata_{group} and kept as they were sent in raw_metadata"
                    )
        return converted, failed


def _known_rule(schema: Mapping[str, Any]) -> _Rule:
    """The rule of a field that our own schema types; Pendo's type does not matter."""
    if schema.get("format") == "date-time":
        return _INSTANT_RULE
    known: Mapping[str, _Rule] = {"string": ((str,), text), "integer": ((int,), whole_number), "array": ((), texts)}
    return next(known[name] for name in schema["type"] if name in known)
