"""The data dictionary of a connector: every column with its type, its meaning, the vendor's name and the certainty.

All of it comes from the schema files and the facts of the streams. A description may end with a mark, such as
`(observed)`, which says how sure the meaning is; without a mark it is as sure as the stream. A column without a
description is listed with the vendor's name alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from source_kit.convert import snake_case
from source_kit.json_schema import ANYTHING

Schema = Mapping[str, Any]

#: The mark of a column that the vendor does not send
MADE_HERE = "made by the connector"
_MARK = re.compile(rf" \((observed|second-hand|inferred|unverified|{MADE_HERE})\)$")
_WORDS = {"string": "text", "date-time": "instant"}
#: Endpoints and sources of the streams whose class does not name one
_ORIGINS = {
    "visitor_history": "`GET /api/v1/visitor/{id}/history`",
    "metadata_accounts": "`GET /api/v1/metadata/schema/account`",
    "metadata_visitors": "`GET /api/v1/metadata/schema/visitor`",
    "bulk_deletions": "`GET /api/v1/bulkdelete`",
    "poll_responses": "aggregation sources `pollsSeenEver` and `pollsSeen`",
    "guides_seen": "aggregation sources `guidesSeenEver` and `guidesSeen`",
    "guide_versions": "`GET /api/v1/guide/{id}/history`",
    "report_results": "`GET /api/v1/report/{id}/results.json`",
    "segment_memberships": "aggregation source `visitors`, with the stage `segment`",
    "webhook_events": "bodies of Pendo's webhooks",
}
_METADATA = {
    "group": "a key of the answer",
    "field": "a key of its group",
    "type": "`Type`",
    "display_name": "`DisplayName`",
    "element_type": "`ElementType`",
    "element_format": "`ElementFormat`",
    "dirty": "`Dirty`",
}
#: Pendo's names that are not the column in camel case
_NAMES = {
    "metadata_accounts": _METADATA,
    "metadata_visitors": _METADATA,
    "apps": {"id": "`id` or `appId`"},
    "poll_responses": {
        "poll_type": "`polls[].attributes.type` of the guide",
        "response": "`pollResponse` or `response`",
        "nps_score": "`pollResponse` or `response`, of the score",
        "nps_comment": "the same, of the poll that the guide names in `attributes.followUp`",
    },
    "guide_versions": {
        "guide_id": "`id` of the guide",
        "version_id": "`id` or `lastUpdatedAt`",
        "last_updated_at": "`lastUpdatedAt` of the guide",
        "version_last_updated_at": "`lastUpdatedAt`",
    },
    "report_results": {"report_id": "`id` of the report", "values": "the row"},
    "segment_memberships": {"segment_id": "`id` of the segment", "account_id": "`metadata.auto.accountids`"},
}
#: Facts of a class that name one
_FACTS = {"source": "aggregation source `{}`", "path_name": "`GET /api/v1/{}`"}


class Dictionary:
    """Writes the dictionary of one package's streams."""

    def __init__(self, package: str) -> None:
        self._loader = ResourceSchemaLoader(package)
        folder = Path(sys.modules[package].__file__ or "").parent / "schemas" / "shared"
        self._shared = {path.stem: self._loader.get_schema(f"shared/{path.stem}") for path in folder.glob("*.json")}

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
            sure, note = "documented", " Documented, not verified against a live subscription."
        about = f"{_cell(schema['description'])}. " if "description" in schema else ""
        lead = f"{about}Source: {_origin(stream)}.{note}"
        names = _NAMES.get(stream.name, {}) | _lifted(stream)
        return f"## {stream.name}\n\n{lead}\n\n{self._table(schema, sure, names)}"

    def _table(self, schema: Schema, sure: str, names: Mapping[str, str]) -> str:
        lines = ["| column | type | meaning | Pendo's name | certainty |", "|---|---|---|---|---|"]
        for path, column in self._columns(schema):
            meaning, mark = _meaning(column)
            certainty = mark or (sure if meaning else "name only")
            name = "-" if mark == MADE_HERE else names.get(path) or f"`{_vendor_name(path)}`"
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

    def _name_of_shared(self, schema: Schema) -> str:
        return next((name for name, shared in self._shared.items() if schema == shared), "")


def _word(schema: Schema, kind: str) -> str:
    """What a JSON type is called; a text with a format by its format."""
    name = schema.get("format", kind) if kind == "string" else kind
    return _WORDS.get(name, name)


def _origin(stream: Any) -> str:
    """Where Pendo has the rows of a stream."""
    if stream.name in _ORIGINS:
        return _ORIGINS[stream.name]
    if hasattr(stream, "source_stage"):
        return f"aggregation source `{next(iter(stream.source_stage()['source']))}`"
    for fact, text in _FACTS.items():
        value = getattr(stream, fact, None)
        if isinstance(value, str):
            return text.format(value)
    sys.exit(f"{stream.name}: tools/data_dictionary.py does not know where its rows come from. Name it there.")


def _lifted(stream: Any) -> dict[str, str]:
    """Columns that are lifted out of a webhook's body, with their paths in it."""
    form = getattr(stream, "form", None)
    return {column: f"`{path}`" for column, (path, _) in form.lifted.items()} if form else {}


def _meaning(column: Schema) -> tuple[str, str]:
    """What a column means, and the mark behind it."""
    text = column.get("description", "")
    mark = _MARK.search(text)
    return (text[: mark.start()], mark[1]) if mark else (text, "")


def _vendor_name(path: str) -> str:
    """The vendor's name of a column: camel case, and a dot behind `metadata` and the name of a group.

    Names in metadata groups are the vendor's own.
    """
    if path.startswith("metadata_"):
        return path.replace("_", ".", 1)
    parts = [re.sub(r"_(\w)", lambda letter: letter[1].upper(), part) for part in path.split(".")]
    if [snake_case(part) for part in parts] != path.split("."):
        sys.exit(f"the vendor's name of the column {path} is not its camel case: name it in tools/data_dictionary.py")
    return ".".join(parts)


def _cell(text: str) -> str:
    """A text for a cell of a table: no bar, no tag."""
    return text.replace("|", "\\|").replace("<", "&lt;") or "-"
