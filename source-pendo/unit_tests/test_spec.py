"""The specification and the catalog are the contract with users: names, types, defaults, keys, cursors, modes."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.models import SyncMode
from jsonschema import Draft7Validator
from pendo_reader import PENDO_STREAMS, Subscription
from source_pendo import SourcePendo
from source_pendo.config import Config

OPTIONS = {
    "api_key": ("string", None),
    "region": ("string", "US"),
    "start_date": ("string", None),
    "end_date": ("string", None),
    "period": ("string", "day"),
    "lookback_window": ("integer", 10),
    "app_ids": ("array", []),
    "include_anonymous_visitors": ("boolean", False),
    "record_limit": ("integer", 50_000),
    "request_timeout": ("integer", 300),
    "num_workers": ("integer", 4),
    "api_url": ("string", None),
    "detect_deletions": ("boolean", False),
    "report_ids": ("array", []),
    "segment_ids": ("array", []),
    "webhook_store": ("object", None),
    "webhook_columns": ("array", []),
    "single_column_keys": ("boolean", False),
}
STREAMS: dict[str, tuple[list[str], str]] = {
    "accounts": (["account_id"], "lastupdated"),
    "visitors": (["visitor_id"], "lastupdated"),
    "visitor_history": (["record_id"], "modified_ts"),
    **dict.fromkeys(("pages", "features", "guides", "track_types", "reports", "segments"), (["id"], "last_updated_at")),
    **dict.fromkeys(("metadata_accounts", "metadata_visitors"), (["group", "field"], "")),
    **dict.fromkeys(("events", "page_events", "feature_events", "track_events"), (["record_id"], "day")),
    **dict.fromkeys(("guide_events", "poll_events", "email_events"), (["record_id"], "browser_time")),
    **dict.fromkeys(("apps", "product_areas", "guide_categories", "bulk_deletions"), (["id"], "")),
    "do_not_process_visitors": (["visitor_id"], ""),
    "do_not_process_accounts": (["account_id"], ""),
    "poll_responses": (["visitor_id", "guide_id", "poll_id"], "time"),
    "guides_seen": (["visitor_id", "guide_id", "guide_step_id"], "last_seen_at"),
    **dict.fromkeys(("feedback_items", "feedback_votes"), (["id"], "")),
    "guide_versions": (["guide_id", "version_id"], "last_updated_at"),
}


def specification() -> dict[str, Any]:
    """The options as Airbyte's form sees them."""
    return dict(SourcePendo().spec(logging.getLogger("airbyte.test")).connectionSpecification)


def test_the_options_have_the_promised_names_types_and_defaults() -> None:
    """A renamed option is a breaking change."""
    properties = specification()["properties"]
    assert {name: (field["type"], field.get("default")) for name, field in properties.items()} == OPTIONS
    assert specification()["required"] == ["api_key"]


def test_every_option_reads_well_in_the_form() -> None:
    """An order, a title and a description each; only the key is secret."""
    properties = specification()["properties"]
    assert [field["order"] for field in properties.values()] == list(range(len(properties)))
    assert all(field["title"] and field["description"].endswith(".") for field in properties.values())
    assert [name for name, field in properties.items() if field.get("airbyte_secret")] == ["api_key"]
    assert "Settings > Integrations > Integration Keys" in properties["api_key"]["description"]


def test_the_specification_is_json_schema_and_its_defaults_and_examples_are_valid() -> None:
    """What the form suggests, the connector takes."""
    schema = specification()
    Draft7Validator.check_schema(schema)
    for name, field in schema["properties"].items():
        for value in [*field.get("examples", ()), *([field["default"]] if "default" in field else ())]:
            Draft7Validator(schema).validate({"api_key": "k", name: value})
            Config.parse({"api_key": "k", name: value})


def test_the_catalog_holds_the_promised_streams_keys_cursors_and_modes(pendo: Subscription) -> None:
    """Keys and cursors are those of the documentation and belong to nobody else's instance."""
    pendo.discover()
    catalog = {stream.name: stream for stream in pendo.discover().streams}
    assert list(catalog) == list(STREAMS)
    for name, (key, cursor) in STREAMS.items():
        stream = catalog[name]
        assert stream.source_defined_primary_key == [[column] for column in key]
        assert stream.default_cursor_field == ([cursor] if cursor else None)
        modes = [SyncMode.full_refresh, *([SyncMode.incremental] if cursor else [])]
        assert stream.supported_sync_modes == modes
        assert bool(stream.source_defined_cursor) is bool(cursor)


@pytest.mark.slow
def test_the_period_names_the_cursor_of_the_grouped_streams_alone(pendo: Subscription) -> None:
    """One configuration's cursor does not leak into another's."""
    hourly = {stream.name: stream for stream in pendo.discover(period="hour").streams}
    daily = {stream.name: stream for stream in pendo.discover().streams}
    for name in ("events", "page_events", "feature_events", "track_events"):
        assert hourly[name].default_cursor_field == ["hour"]
        assert daily[name].default_cursor_field == ["day"]
        assert hourly[name].source_defined_primary_key == [["record_id"]]
    assert hourly["guide_events"].default_cursor_field == ["browser_time"]


@pytest.mark.slow
def test_every_schema_is_open_nullable_and_self_contained(pendo: Subscription) -> None:
    """Additional properties everywhere, every field may be null, shared files are in the package."""
    for stream in pendo.discover().streams:
        schema = dict(stream.json_schema)
        Draft7Validator.check_schema(schema)
        assert "$ref" not in json.dumps(schema)
        assert list(_faults(schema, stream.name)) == []
        key, cursor = STREAMS[stream.name]
        assert {*key, *([cursor] if cursor else [])} <= schema["properties"].keys()


def _faults(schema: dict[str, Any], path: str) -> Any:
    """Paths of what is closed, of what may not be null, and of times without their Airbyte type."""
    types = schema.get("type")
    if isinstance(types, list) and "null" not in types:
        yield f"{path} may not be null"
    if types is not None and "object" in types and schema.get("additionalProperties") is not True:
        yield f"{path} is closed"
    if schema.get("format") == "date-time" and schema.get("airbyte_type") != "timestamp_with_timezone":
        yield f"{path} has no time zone"
    for name, field in schema.get("properties", {}).items():
        yield from _faults(field, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from _faults(schema["items"], f"{path}[]")


def test_streams_that_are_documented_only_are_not_suggested() -> None:
    """Each is its user's own choice."""
    metadata = yaml.safe_load((Path(__file__).resolve().parents[1] / "metadata.yaml").read_text("utf-8"))
    suggested = set(metadata["data"]["suggestedStreams"]["streams"])
    documented_only = {stream.name for stream in PENDO_STREAMS if stream.documented_only}
    assert {"apps", "feedback_items"} <= documented_only
    assert {"visitors", "poll_events"} <= suggested
    assert not suggested & documented_only


def test_nobody_is_sent_to_a_page_that_shows_keys() -> None:
    """Pendo shows a key once, when it is made: who has lost it makes a new one."""
    folder = Path(__file__).resolve().parents[2]
    package = folder / "source-pendo" / "source_pendo"
    files = [*package.rglob("*.py"), package / "spec.yaml", folder / "docs" / "pendo.md"]
    texts = {file.name: " ".join(re.sub(r'"\s*\n\s*f?"', "", file.read_text("utf-8")).split()) for file in files}
    assert {"spec.yaml", "client.py", "config.py", "pendo.md"} <= texts.keys()
    wrong = r"(copy|paste|find)s? [^.:;|]{0,40}(\bkey\b|\bit\b)[^.:;|]{0,60}(again|Integration Keys)"
    assert re.search(wrong, "copy the integration key again from Pendo's Settings")
    assert [name for name, text in texts.items() if re.search(wrong, text, re.IGNORECASE)] == []
    assert "make a new key" in texts["spec.yaml"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("start_date", "2026-03-01T00:00:00"),
        ("start_date", " 2026-03-01 "),
        ("start_date", "2026-03-01 00:00"),
        ("api_url", " https://adopt.pendo.io "),
    ],
)
def test_what_the_code_accepts_the_specification_accepts(option: str, text: str) -> None:
    """Forms and pipelines write dates and paste addresses in more than one way."""
    Config.parse({"api_key": "k", option: text})
    schema = SourcePendo().spec(logging.getLogger()).connectionSpecification["properties"][option]
    assert re.search(schema["pattern"], text)


@pytest.mark.slow
@pytest.mark.parametrize(("period", "absent"), [("day", {"hour"}), ("hour", {"day", "week", "month", "quarter"})])
def test_a_grouped_stream_has_no_column_that_is_always_empty(
    pendo: Subscription, period: str, absent: set[str]
) -> None:
    """Only the times of its period, and the parameters of pages only where pages are."""
    times = {"day", "hour", "week", "month", "quarter"}
    schemas = {stream.name: stream.json_schema for stream in pendo.discover(period=period).streams}
    for stream in ("events", "page_events", "feature_events", "track_events"):
        columns = set(schemas[stream]["properties"])
        assert columns & times == times - absent
        assert ("parameters" in columns) == (stream == "page_events")
