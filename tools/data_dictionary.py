"""The data dictionary of a connector: every column with its type, its meaning, the vendor's name and the certainty.

All of it comes from the schema files, the facts of the streams, and what `dictionary_facts` has of the vendor. A
description may end with a mark, such as `(observed)`, which says how sure the meaning is; without a mark it is as sure
as the stream. A column without a description is listed with the vendor's name alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from source_kit.json_schema import ANYTHING

Schema = Mapping[str, Any]

#: The mark of a column that the vendor does not send
MADE_HERE = "made by the connector"
_MARK = re.compile(rf" \((observed|second-hand|inferred|unverified|{MADE_HERE})\)$")
_WORDS = {"string": "text", "date-time": "instant"}


@dataclass(frozen=True)
class Vendor:
    """What the dictionary has to know of one vendor. A further vendor changes nothing else here."""

    name: str
    #: What an account is called, and how sure that is which stands in the vendor's pages only
    account: str
    in_pages_only: str
    #: Where the vendor has the rows of a stream: by its name, else by the facts of its class, None if they do not say
    origins: Mapping[str, str]
    origin: Callable[[Any], str | None]
    #: The vendor's name of a column: by stream and path, else from its path, None if that follows no rule
    names: Mapping[str, Mapping[str, str]]
    column_name: Callable[[str], str | None]

    @property
    def unverified(self) -> str:
        """What is said of a stream that was never read from a live account."""
        return f"{self.in_pages_only}, not verified against a live {self.account}"


class Dictionary:
    """Writes the dictionary of one package's streams."""

    def __init__(self, package: str, vendor: Vendor) -> None:
        self._loader = ResourceSchemaLoader(package)
        self._vendor = vendor
        folder = Path(sys.modules[package].__file__ or "").parent / "schemas" / "shared"
        shared = {path.stem: self._loader.get_schema(f"shared/{path.stem}") for path in folder.glob("*.json")}
        # a map with free keys has no columns of its own
        self._shared = {name: schema for name, schema in shared.items() if "properties" in schema}

    def text(self, streams: Sequence[Any]) -> str:
        """A section for each stream, then one for each object that several streams have."""
        sections = [self._section(stream) for stream in streams]
        for name, schema in sorted(self._shared.items()):
            sections.append(f"## object {name}\n\n{schema['description']}.\n\n{self._table(schema, 'certain', {})}")
        return "\n\n".join(sections)

    def _section(self, stream: Any) -> str:
        schema = self._loader.get_schema(stream.name)
        sure, note = "certain", ""
        if getattr(stream, "documented_only", False):
            unverified = self._vendor.unverified
            sure, note = self._vendor.in_pages_only, f" {unverified[0].upper()}{unverified[1:]}."
        about = f"{_cell(schema['description'])}. " if "description" in schema else ""
        lead = f"{about}Source: {self._origin(stream)}.{note}"
        names = {**self._vendor.names.get(stream.name, {}), **_lifted(stream)}
        return f"## {stream.name}\n\n{lead}\n\n{self._table(schema, sure, names)}"

    def _table(self, schema: Schema, sure: str, names: Mapping[str, str]) -> str:
        lines = [f"| column | type | meaning | {self._vendor.name}'s name | certainty |", "|---|---|---|---|---|"]
        for path, column in self._columns(schema):
            meaning, mark = _meaning(column)
            certainty = mark or (sure if meaning else "name only")
            name = "-" if mark == MADE_HERE else names.get(path) or f"`{self._vendor_name(path)}`"
            cells = (f"`{path}`", self._type(column), _cell(meaning), name, certainty)
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def _columns(self, schema: Schema, parent: str = "") -> Iterator[tuple[str, Schema]]:
        """The columns of a schema and of the objects in it, by their path, without those that have a section."""
        for name, column in schema.get("properties", {}).items():
            path = f"{parent}{name}"
            yield path, column
            if not self._name_of_shared(column):
                yield from self._columns(column, f"{path}.")
                items = column.get("items", {})
                yield from self._columns(items if not self._name_of_shared(items) else {}, f"{path}[].")

    def _type(self, schema: Schema) -> str:
        shared = self._name_of_shared(schema)
        if shared:
            return f"[{shared}](#object-{shared})"
        if set(schema.get("type", ())) == set(ANYTHING["type"]):
            return "any"
        text = " or ".join(_word(schema, kind) for kind in schema["type"] if kind != "null")
        items = schema.get("items")
        return text if not items else text.replace("array", f"array of {self._type(items)}")

    def _origin(self, stream: Any) -> str:
        """Where the vendor has the rows of a stream."""
        origin = self._vendor.origins.get(stream.name) or self._vendor.origin(stream)
        if origin is None:
            sys.exit(f"{stream.name}: tools/dictionary_facts.py does not know where its rows come from. Name it there.")
        return origin

    def _vendor_name(self, path: str) -> str:
        """The vendor's name of a column that is not among the names of its stream."""
        name = self._vendor.column_name(path)
        if name is None:
            sys.exit(
                f"the vendor's name of the column {path} does not follow its rule: name it in tools/dictionary_facts.py"
            )
        return name

    def _name_of_shared(self, schema: Schema) -> str:
        return next((name for name, shared in self._shared.items() if schema == shared), "")


def _word(schema: Schema, kind: str) -> str:
    """What a JSON type is called; a text with a format by its format."""
    name = schema.get("format", kind) if kind == "string" else kind
    return _WORDS.get(name, name)


def _lifted(stream: Any) -> dict[str, str]:
    """Columns that are lifted out of a webhook's body, with their paths in it."""
    form = getattr(stream, "form", None)
    return {column: f"`{path}`" for column, (path, _) in form.lifted.items()} if form else {}


def _meaning(column: Schema) -> tuple[str, str]:
    """What a column means, and the mark behind it."""
    text = column.get("description", "")
    mark = _MARK.search(text)
    return (text[: mark.start()], mark[1]) if mark else (text, "")


def _cell(text: str) -> str:
    """A text for a cell of a table: no bar, and no tag outside of code, where `&lt;` would be shown as it stands."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts) or "-"
