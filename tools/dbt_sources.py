"""The sources of the dbt package: a file for each vendor, with the streams, their keys and what these mean.

All of it comes from the schema files and from what the connector discovers, as in the data dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader

#: Streams of which every sync brings rows. Other tables may rightly stay as they are
FRESH = {
    "pendo": ("visitors", "events", "page_events", "feature_events"),
    "customerio": ("customers", "messages"),
}
_HOURS = {"warn_after": 24, "error_after": 72}
_HEAD = "# Written by `make docs` from the schemas of the connector.\n"


def path_of(root: Path, vendor: str) -> Path:
    """The file of a vendor's sources."""
    return root / "dbt" / "models" / "sources" / f"{vendor}.yml"


def text(vendor: str, package: str, streams: Sequence[Any]) -> str:
    """The file's content."""
    loader = ResourceSchemaLoader(package)
    source = {
        "name": f"{vendor}_raw",
        "description": f"The tables of source-{vendor}. docs/{vendor}-columns.md has every column.",
        "database": "{{ var('raw_database') or target.database }}",
        "schema": f"{{{{ var('{vendor}_raw_schema') }}}}",
        "config": {"loaded_at_field": "{{ var('extracted_at') }}"},
        "tables": [_table(described, loader.get_schema(described.name), FRESH[vendor]) for described in streams],
    }
    return _HEAD + yaml.safe_dump({"sources": [source]}, sort_keys=False, width=120, allow_unicode=True)


def _table(described: Any, schema: dict[str, Any], fresh: Sequence[str]) -> dict[str, Any]:
    """A stream with its key and its cursor."""
    table: dict[str, Any] = {"name": described.name}
    if "description" in schema:
        table["description"] = _sentence(schema["description"])
    if described.name in fresh:
        table["config"] = {"freshness": {level: {"count": hours, "period": "hour"} for level, hours in _HOURS.items()}}
    key = [path[0] for path in described.source_defined_primary_key or []]
    wanted = dict.fromkeys([*key, *(described.default_cursor_field or [])])
    columns = [_column(name, schema["properties"].get(name, {}), name in key, len(key)) for name in wanted]
    return table | ({"columns": columns} if columns else {})


def _column(name: str, schema: dict[str, Any], in_key: bool, parts: int) -> dict[str, Any]:
    about = schema.get("description", "")
    if in_key and not about.lower().startswith(("primary key", "part of the primary key")):
        role = "Primary key" if parts == 1 else "Part of the primary key"
        about = f"{role}: {about}" if about else role
    return {"name": name, "description": _sentence(about)} if about else {"name": name}


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
