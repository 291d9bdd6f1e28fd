"""The options of a load: the connector's own, under their own names, and a few of this package.

Spark hands options on as text, and it knows no difference between upper and lower case in their names (documented).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error
from source_kit.options import Option

#: Options of every format. `load(name)` arrives as `path`.
_COMMON = ("table", "path", "config")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`connector` is the connector's configuration, as its command line takes it; `own` the rest, as text."""

    table: str
    connector: Mapping[str, Any]
    own: Mapping[str, str]


def load_options(
    given: Mapping[str, str],
    connector: Mapping[str, tuple[str, Option]],
    own: Iterable[str],
    refused: Mapping[str, str] | None = None,
) -> LoadOptions:
    """Splits the options of a load. Raises a config_error that names an option and what to do.

    `connector` is what the connector's `Options.declared()` returns, `own` are the names of this package's options for
    the format. `refused` has, by name, a sentence for each option of the connector that the format cannot have.
    """
    refused = refused or {}
    declared = {name: option for name, (_, option) in connector.items() if name not in refused}
    objects = {name for name, option in declared.items() if option.spec["type"] == "object"}
    allowed = sorted({*declared, *own, *_COMMON} - objects - {"path"})
    names = {name.lower(): name for name in (*declared, *refused, *own, *_COMMON)}
    found: dict[str, str] = {}
    for name, value in given.items():
        known = names.get(name.lower())
        if known is None:
            raise _unknown(f"Option {name}", allowed)
        if known in refused:
            raise config_error(refused[known])
        if known in objects:
            raise config_error(f"Option {known} is an object: write it into the option config.")
        found[known] = value
    table = _table(found.pop("table", "").strip(), found.pop("path", "").strip())
    options = {name: _typed(declared[name], found.pop(name)) for name in declared if name in found}
    for name, value in _config(found.pop("config", "")).items():
        if name in refused:
            raise config_error(refused[name])
        if name not in declared:
            raise _unknown(f"Option {name} within config", sorted(declared))
        if name in options:
            raise config_error(f"Option {name} is given twice, within config and by itself: remove one of them.")
        options[name] = value
    return LoadOptions(table, options, found)


def names_of(option: str) -> tuple[str, ...]:
    """The names in an option that lists them with commas or as a JSON array; none where it is blank."""
    found = _listed(option)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ValueError("not a list of names")
    return tuple(dict.fromkeys(found))


def _table(named: str, path: str) -> str:
    if named and path and named != path:
        raise config_error(f"Option table is {named} and load() names {path}: name the table once.")
    if not (named or path):
        raise config_error('Option table is missing: name the table with .option("table", "...") or load("...").')
    return named or path


def _config(text: str) -> Mapping[str, Any]:
    """The option `config`. Its text may hold secrets, so it is in no error."""
    try:
        config = json.loads(text) if text.strip() else {}
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise config_error("Option config is not a JSON object: write the connector's options as one, or leave it out.")
    return config


def _typed(option: Option, text: str) -> Any:
    """A text in the type that the connector declares. A wrong one stays text, which the connector refuses by name."""
    match option.spec["type"]:
        case "integer":
            return int(text) if text.strip().removeprefix("-").isdecimal() else text
        case "boolean":
            return {"true": True, "false": False}.get(text.strip().lower(), text)
        case "array":
            return _listed(text)
    return text


def _listed(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unknown(what: str, names: Iterable[str]) -> AirbyteTracedException:
    return config_error(f"{what} is not known. The options are: {', '.join(names)}.")
