"""The options of a load: the connector's own, under their own names, and a few of this package.

Spark hands options on as text, with names in lower case where it copies them into a plain dict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from source_kit.errors import config_error

#: Options of every format, by their names in lower case
_OWN = {"table": "table", "config": "config", "path": "path"}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`connector` is the connector's configuration, as its command line takes it; `own` the rest, as text."""

    table: str
    connector: Mapping[str, Any]
    own: Mapping[str, str]


def load_options(given: Mapping[str, str], connector: Iterable[str], own: Iterable[str]) -> LoadOptions:
    """Splits the options of a load. Raises a config_error that names an unknown option or a missing table.

    `connector` and `own` are the names of the options that the format takes.
    """
    names = {name.lower(): name for name in (*connector, *own)} | _OWN
    found: dict[str, str] = {}
    for name, value in given.items():
        if name.lower() not in names:
            raise config_error(f"Option {name} is not known. The options are: {', '.join(sorted(names.values()))}.")
        found[names[name.lower()]] = value
    table = found.pop("table", "") or found.pop("path", "")
    if not table:
        raise config_error('Option table is missing: name the table with .option("table", "...").')
    config = json.loads(found.pop("config", "{}"))
    config |= {name: found.pop(name) for name in list(found) if name in set(connector)}
    return LoadOptions(table, config, found)
