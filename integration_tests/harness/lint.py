"""What Airbyte asks of a specification beyond being a JSON schema, as findings in words.

The rules are those of Airbyte's connector acceptance test and of its documentation of specifications.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from airbyte_cdk.test.standard_tests._spec_lint import is_secret_property_name
from jsonschema import Draft7Validator, FormatChecker

Schema = Mapping[str, Any]

_FORBIDDEN = ("allOf", "anyOf", "not", "$ref", "patternProperties", "if", "dependencies")
_DATE_PATTERN = re.compile(r"\[0-9\]\{4\}|\\d\{4\}")
_DISPLAY_TYPES = ("dropdown", "radio")


def findings(specification: Schema) -> list[str]:
    """Everything that is wrong with a connector's specification; empty where nothing is."""
    root = specification["connectionSpecification"]
    found = [] if specification.get("documentationUrl", "").startswith("https://") else ["documentationUrl is missing"]
    found += [f"(root): {error.message}" for error in _meta_errors(root)]
    if root.get("additionalProperties") is False:
        found.append("(root): additionalProperties must not be false, or an older configuration stops working")
    for path, schema in _objects(root, ""):
        found += _object_findings(path, schema)
    for path, name, schema, siblings in _options(root, ""):
        found += [f"{path}: {finding}" for finding in _option_findings(name, schema, siblings)]
    return found


def _meta_errors(root: Schema) -> Iterator[Any]:
    yield from Draft7Validator(Draft7Validator.META_SCHEMA).iter_errors(root)


def _objects(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema of an object: the root, nested options, and the choices of a `oneOf`."""
    yield path or "(root)", schema
    for name, option in schema.get("properties", {}).items():
        if "object" in _types(option):
            yield from _objects(option, f"{path}.{name}".lstrip("."))
    for number, choice in enumerate(schema.get("oneOf", ())):
        yield from _objects(choice, f"{path}[{number}]")


def _options(root: Schema, path: str) -> Iterator[tuple[str, str, Schema, Schema]]:
    """Every option: path, name, schema, and the options beside it."""
    for where, schema in _objects(root, path):
        properties = schema.get("properties", {})
        for name, option in properties.items():
            yield f"{where}.{name}".removeprefix("(root)."), name, option, properties


def _types(schema: Schema) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)


def _object_findings(path: str, schema: Schema) -> list[str]:
    properties = schema.get("properties", {})
    found = [f"{path}: {keyword} is not supported by Airbyte's form" for keyword in _FORBIDDEN if keyword in schema]
    orders = Counter(option.get("order") for option in properties.values())
    found += [f"{path}: the order {order} is given {count} times" for order, count in orders.items() if count > 1]
    found += [
        f"{path}: {name} is required and not declared" for name in set(schema.get("required", ())) - set(properties)
    ]
    return found + (_choice_findings(path, schema["oneOf"]) if "oneOf" in schema else [])


def _choice_findings(path: str, choices: list[Schema]) -> list[str]:
    """A `oneOf` is a drop-down: every choice needs a title and one property that all share, with a value of its own."""
    found = []
    titles = [choice.get("title") for choice in choices]
    if None in titles or len(set(titles)) < len(titles):
        found.append(f"{path}: every choice needs a title of its own")
    if any(choice.get("type") != "object" for choice in choices):
        found.append(f"{path}: every choice must be an object")
    shared = set.intersection(*(set(choice.get("properties", {})) for choice in choices))
    constants = [name for name in shared if all("const" in choice["properties"][name] for choice in choices)]
    if len(constants) != 1:
        return [*found, f"{path}: the choices share {len(constants)} constants, not one"]
    values = [choice["properties"][constants[0]]["const"] for choice in choices]
    if len(set(values)) < len(values):
        found.append(f"{path}: two choices have the same {constants[0]}")
    found += [
        f"{path}: {constants[0]} must be required in {choice['title']}"
        for choice in choices
        if constants[0] not in choice.get("required", ())
    ]
    return found


def _option_findings(name: str, schema: Schema, siblings: Schema) -> Iterator[str]:
    if "const" not in schema:
        for wanted in ("title", "description", "order"):
            if wanted not in schema and not (wanted == "order" and len(siblings) == 1):
                yield f"{wanted} is missing"
    if len([kind for kind in _types(schema) if kind != "null"]) != 1:
        yield f"the form needs one type, not {_types(schema)}"
    if "array" in _types(schema) and _types(schema.get("items", {})) not in (["string"], ["integer"], ["number"]):
        yield "an array may hold scalars only"
    if is_secret_property_name(name, siblings) and "oneOf" not in schema and not schema.get("airbyte_secret"):
        yield "looks like a secret and is not marked airbyte_secret"
    if schema.get("airbyte_secret") and ("default" in schema or "examples" in schema):
        yield "a secret has neither a default nor examples"
    if _DATE_PATTERN.search(schema.get("pattern", "")) and schema.get("format") not in ("date", "date-time"):
        yield "a pattern of a date needs the format date or date-time"
    if schema.get("format") in ("date", "date-time") and "pattern" not in schema:
        yield "a date needs a pattern, which Airbyte's form shows"
    if "pattern" in schema and "pattern_descriptor" not in schema and "string" in _types(schema):
        yield "a pattern needs a pattern_descriptor"
    if schema.get("display_type", "radio") not in _DISPLAY_TYPES:
        yield f"display_type must be one of {_DISPLAY_TYPES}"
    yield from _value_findings(schema)


def _value_findings(schema: Schema) -> Iterator[str]:
    """Defaults and examples must be what the option itself accepts."""
    validator = Draft7Validator(schema, format_checker=FormatChecker())
    if "default" in schema and not validator.is_valid(schema["default"]):
        yield f"the default {schema['default']!r} is not valid"
    for example in schema.get("examples", ()):
        if not validator.is_valid(example):
            yield f"the example {example!r} is not valid"
