"""Whether a new version of a connector breaks what users of an earlier one have: configurations, tables, states."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given, settings, strategies

Schema = Mapping[str, Any]
#: What a field without a type may hold
_ALL_TYPES = ["array", "boolean", "integer", "number", "object", "string"]
_COMPLAINT = "%s: %s"


def spec_breaks(old: Schema, new: Schema) -> list[str]:
    """What a configuration of the earlier specification loses: it may be refused now, or have less effect."""
    return list(_option_breaks(old["connectionSpecification"], new["connectionSpecification"], ""))


def catalog_breaks(old: Schema, new: Schema) -> list[str]:
    """What the earlier catalog has and the new one lacks: streams, fields, types, keys, cursors, sync modes."""
    offered = {stream["name"]: stream for stream in new["streams"]}
    found: list[str] = []
    for stream in old["streams"]:
        name = stream["name"]
        if name in offered:
            found += [f"{name}: {text}" for text in _stream_breaks(stream, offered[name])]
        else:
            found.append(f"{name}: the stream is gone")
    return found


def _stream_breaks(old: Schema, new: Schema) -> Iterator[str]:
    for field in ("source_defined_primary_key", "default_cursor_field"):
        if (old.get(field) or []) != (new.get(field) or []):
            yield f"{field} was {old.get(field)} and is {new.get(field)}"
    for mode in set(old["supported_sync_modes"]) - set(new["supported_sync_modes"]):
        yield f"can no longer be read in the mode {mode}"
    yield from _field_breaks(old["json_schema"], new["json_schema"], "")


def _field_breaks(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """A column may come, never go or change its type; a warehouse has it already."""
    new_properties = new.get("properties", {})
    for name, field in old.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        if name not in new_properties:
            yield f"the field {where} is gone"
            continue
        if _type_of(field) != _type_of(new_properties[name]):
            yield f"the field {where} was {_type_of(field)} and is {_type_of(new_properties[name])}"
        yield from _field_breaks(field, new_properties[name], where)


def _type_of(field: Schema) -> str:
    declared = field.get("type", _ALL_TYPES)
    types = sorted(kind for kind in ([declared] if isinstance(declared, str) else declared) if kind != "null")
    return json.dumps([types, field.get("format"), field.get("airbyte_type")])


def _option_breaks(old: Schema, new: Schema, path: str) -> Iterator[str]:
    properties, new_properties = old.get("properties", {}), new.get("properties", {})
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        if "const" not in new_properties.get(name, {}):
            yield _COMPLAINT % (f"{path}.{name}".lstrip("."), "is required and was not")
    for name, option in properties.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in new_properties:
            yield _COMPLAINT % (where, "the option is gone")
        else:
            yield from (_COMPLAINT % (where, text) for text in _value_breaks(option, new_properties[name]))
            yield from _option_breaks(option, new_properties[name], where)
    yield from _choice_breaks(old, new, path)


def _value_breaks(old: Schema, new: Schema) -> Iterator[str]:
    if _type_of(old) != _type_of(new):
        yield f"was {_type_of(old)} and is {_type_of(new)}"
    if old.get("default") != new.get("default"):
        yield f"the default was {old.get('default')!r} and is {new.get('default')!r}"
    if "enum" in new and set(old.get("enum", [None])) - set(new["enum"]):
        yield "takes fewer values"
    for limit, narrower in (("minimum", max), ("maximum", min), ("minLength", max), ("maxLength", min)):
        was, now = old.get(limit), new.get(limit)
        if now is not None and now != was and (was is None or narrower(was, now) == now):
            yield f"{limit} was {was} and is {now}"
    if "pattern" in new and not _takes_all(old.get("pattern", ""), new["pattern"]):
        yield "the pattern is another: a value that was taken is refused"
    if old.get("airbyte_secret", False) != new.get("airbyte_secret", False):
        yield "is secret in one version only: Airbyte stores such values elsewhere"


def _takes_all(old: str, new: str) -> bool:
    """Whether a pattern takes each of some hundred texts that are drawn from an earlier one."""

    @settings(max_examples=300, derandomize=True, database=None, deadline=None)
    @given(strategies.from_regex(old))
    def drawn(text: str) -> None:
        assert re.search(new, text)

    try:
        drawn()
    except AssertionError:
        return False
    return True


def _choice_breaks(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """The choices of a `oneOf` are distinguished by their constants."""
    choices = {_constants(choice): choice for choice in new.get("oneOf", ())}
    for choice in old.get("oneOf", ()):
        constants = _constants(choice)
        if constants in choices:
            yield from _option_breaks(choice, choices[constants], f"{path}[{constants}]")
        else:
            yield _COMPLAINT % (path, f"the choice {constants} is gone")


def _constants(choice: Schema) -> str:
    properties = choice.get("properties", {})
    return ", ".join(f"{name}={option['const']}" for name, option in properties.items() if "const" in option)
