"""What holds for every stream: the contract's names, keys and cursors, records that match their schema, unique keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator
from source_customerio import SourceCustomerio
from source_customerio.streams import STREAMS

if TYPE_CHECKING:
    from conftest import Workspace

#: Name, primary key, cursor
CONTRACT: dict[str, tuple[tuple[str, ...], str | None]] = {
    **dict.fromkeys(("campaigns", "broadcasts", "newsletters"), (("id",), "updated")),
    "campaign_actions": (("campaign_id", "id"), "updated"),
    "broadcast_actions": (("broadcast_id", "id"), "updated"),
    "newsletter_variants": (("newsletter_id", "id"), None),
    "newsletter_test_groups": (("newsletter_id", "id"), None),
    "transactional_messages": (("id",), "updated_at"),
    "messages": (("id",), "created"),
    "activities": (("id",), "timestamp"),
    "customers": (("cio_id",), None),
    "segments": (("id",), "updated_at"),
    "segment_memberships": (("segment_id", "cio_id"), None),
    "segment_usage": (("segment_id",), None),
    "segment_customer_counts": (("segment_id",), None),
    "snippets": (("name",), "updated_at"),
    **dict.fromkeys(
        (
            "collections",
            "workspaces",
            "topics",
            "types",
            "reporting_webhooks",
            "sender_identities",
            "subscription_channels",
        ),
        (("id",), None),
    ),
    "exports": (("id",), "updated_at"),
    "ip_addresses": (("ip_address",), None),
    "esp_suppressions": (("suppression_type", "domain", "email"), None),
    "optouts": (("cio_id",), None),
    "broadcast_triggers": (("broadcast_id", "id"), None),
    "campaign_metrics": (("campaign_id", "resolution", "period_start"), None),
    "broadcast_metrics": (("broadcast_id", "resolution", "period_start"), None),
    "newsletter_metrics": (("newsletter_id", "resolution", "period_start"), None),
    "transactional_metrics": (("transactional_id", "resolution", "period_start"), None),
    "campaign_journey_metrics": (("campaign_id", "resolution", "period_start"), None),
    "campaign_link_metrics": (("campaign_id", "link_id", "resolution", "period_start"), None),
    "newsletter_link_metrics": (("newsletter_id", "link_id", "resolution", "period_start"), None),
}
NAMES = sorted(CONTRACT)
METRICS = [name for name in NAMES if name.endswith("_metrics")]


def described(workspace: Workspace) -> dict[str, Any]:
    """What discover says of every stream."""
    catalog = next(m["catalog"] for m in workspace.run("discover", workspace.config()) if m["type"] == "CATALOG")
    return {stream["name"]: stream for stream in catalog["streams"]}


def test_the_catalog_has_exactly_the_contracts_streams_with_its_keys_and_cursors(workspace: Workspace) -> None:
    found = described(workspace)
    assert sorted(found) == NAMES
    for name, (key, cursor) in CONTRACT.items():
        stream = found[name]
        assert stream["source_defined_primary_key"] == [[part] for part in key], name
        assert stream.get("default_cursor_field", []) == ([cursor] if cursor else []), name
        assert stream["supported_sync_modes"] == ["full_refresh", "incremental"] if cursor else ["full_refresh"], name


def test_schemas_are_plain_and_open_and_every_field_may_be_null(workspace: Workspace) -> None:
    """Hazards 36 and 37: fields and values arrive without notice."""
    for name, stream in described(workspace).items():
        schema = stream["json_schema"]
        Draft7Validator.check_schema(schema)
        for part in parts(schema):
            assert not {"$ref", "allOf", "not", "enum"} & part.keys(), name
            assert part.get("additionalProperties", True) is not False, name
        for field, kind in schema["properties"].items():
            assert "type" not in kind or "null" in kind["type"], f"{name}.{field}"
        for column in CONTRACT[name][0]:
            assert column in schema["properties"], f"{name}.{column}"


def parts(schema: Any) -> list[dict[str, Any]]:
    """A schema and all schemas in it."""
    if not isinstance(schema, dict):
        return []
    inner = [*schema.get("properties", {}).values(), schema.get("items")]
    return [schema, *(part for item in inner for part in parts(item))]


def test_records_match_their_schema_and_keys_are_there_and_unique(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """Hazard 39: a key on every stream, unique over all pages."""
    schemas = {name: stream["json_schema"] for name, stream in described(workspace).items()}
    synced = workspace.sync(*NAMES)
    assert synced.failures == {}
    for name in NAMES:
        rows = synced.rows[name]
        assert rows, name
        validator = Draft7Validator(schemas[name])
        for row in rows:
            assert not list(validator.iter_errors(row)), (name, row)
        keys = [tuple(row[part] for part in CONTRACT[name][0]) for row in rows]
        assert all(part is not None for key in keys for part in key), name
        assert len(set(keys)) == len(keys), name


def test_two_full_refreshes_are_alike(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    first, second = (workspace.sync(*NAMES, full_refresh=True) for _ in range(2))
    for name in NAMES:
        assert ordered(first.rows[name]) == ordered(second.rows[name]), name


@pytest.mark.parametrize("name", [name for name in NAMES if name not in METRICS])
def test_what_arrives_is_what_the_vendor_has(workspace: Workspace, clock: Callable[[], datetime], name: str) -> None:
    """Field by field, whatever the vendor calls it. Metrics have tests of their own."""
    key = CONTRACT[name][0]
    wanted = {tuple(str(row[part]) for part in key): row for row in workspace.truth(name)}
    found = {tuple(str(row[part]) for part in key): row for row in workspace.sync(name).rows[name]}
    assert found.keys() == wanted.keys()
    for row, truth in ((found[which], wanted[which]) for which in wanted):
        differing = {field for field in truth if field not in row or not alike(row[field], truth[field])}
        assert not differing, (row, truth)


def alike(value: Any, truth: Any) -> bool:
    """Equal, or the JSON text of it: headers are text on reads, and a list where webhook actions have them."""
    return str(value) == str(truth) or (
        isinstance(value, str) and isinstance(truth, list) and json.loads(value) == truth
    )


def test_every_stream_has_its_schema_file_and_states_its_facts() -> None:
    for stream in STREAMS:
        assert stream.permission or stream.__name__ == "IpAddresses", stream
        assert stream.deletes, stream
        assert stream.cost, stream


def test_streams_of_people_and_of_many_requests_are_not_suggested(workspace: Workspace) -> None:
    """Hazards 28 and 40."""
    opt_in = {stream.name for stream in SourceCustomerio().streams(workspace.config()) if stream.opt_in}  # type: ignore[attr-defined]
    assert {"messages", "activities", "customers", "segment_memberships", "esp_suppressions", "optouts"} <= opt_in
    assert {"newsletter_variants", "segment_usage", *METRICS} <= opt_in


def ordered(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own."""
    return sorted(map(repr, rows))
