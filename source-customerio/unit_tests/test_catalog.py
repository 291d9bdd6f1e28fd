"""What the connector declares before it reads: specification, streams, keys, schemas, metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airbyte_cdk.models.connector_metadata import MetadataFile
from jsonschema import Draft7Validator
from source_customerio.streams import STREAMS
from source_customerio.streams.children import Children

if TYPE_CHECKING:
    from conftest import Workspace

CONNECTOR = Path(__file__).resolve().parents[1]
METRIC = ["resolution", "period_start"]
#: name -> primary key, cursor
CONTRACT: dict[str, tuple[list[str], str | None]] = {
    "campaigns": (["id"], "updated"),
    "broadcasts": (["id"], "updated"),
    "newsletters": (["id"], "updated"),
    "campaign_actions": (["campaign_id", "id"], "updated"),
    "broadcast_actions": (["broadcast_id", "id"], "updated"),
    "newsletter_variants": (["newsletter_id", "id"], None),
    "newsletter_test_groups": (["newsletter_id", "id"], None),
    "transactional_messages": (["id"], "updated_at"),
    "transactional_variants": (["transactional_id", "id"], "updated"),
    "messages": (["id"], "created"),
    "activities": (["id"], "timestamp"),
    "customers": (["cio_id"], None),
    "customer_topics": (["cio_id", "topic_id"], None),
    "objects": (["object_type_id", "cio_object_id"], None),
    "object_relationships": (["object_type_id", "cio_object_id", "cio_id"], None),
    "segments": (["id"], "updated_at"),
    "segment_memberships": (["segment_id", "cio_id"], None),
    "segment_usage": (["segment_id"], None),
    "segment_customer_counts": (["segment_id"], None),
    "snippets": (["name"], "updated_at"),
    "collections": (["id"], None),
    "workspaces": (["id"], None),
    "topics": (["id"], None),
    "types": (["id"], None),
    "reporting_webhooks": (["id"], None),
    "sender_identities": (["id"], None),
    "subscription_channels": (["id"], None),
    "exports": (["id"], "updated_at"),
    "ip_addresses": (["ip_address"], None),
    "esp_suppressions": (["suppression_type", "domain", "email"], None),
    "optouts": (["cio_id"], None),
    "broadcast_triggers": (["broadcast_id", "id"], None),
    "campaign_metrics": (["campaign_id", *METRIC], None),
    "broadcast_metrics": (["broadcast_id", *METRIC], None),
    "newsletter_metrics": (["newsletter_id", *METRIC], None),
    "transactional_metrics": (["transactional_id", *METRIC], None),
    "campaign_journey_metrics": (["campaign_id", *METRIC], None),
    "campaign_link_metrics": (["campaign_id", "link_id", *METRIC], None),
    "newsletter_link_metrics": (["newsletter_id", "link_id", *METRIC], None),
    "campaign_action_metrics": (["campaign_id", "action_id", "language_action_id", *METRIC], None),
    "newsletter_variant_metrics": (["newsletter_id", "content_id", *METRIC], None),
    "broadcast_link_metrics": (["broadcast_id", "link_id", *METRIC], None),
    "transactional_link_metrics": (["transactional_id", "link_id", *METRIC], None),
    "sender_identity_usage": (["sender_identity_id"], None),
}
#: Streams with personal data, and one whose addresses may hold a token
PERSONAL = {
    "messages",
    "activities",
    "customers",
    "optouts",
    "segment_memberships",
    "esp_suppressions",
    "exports",
    "reporting_webhooks",
}


def discovered(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The streams of the catalog by name."""
    return {stream["name"]: stream for stream in workspace.run("discover", workspace.config()).streams}


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and every schema within."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from nodes(inner)
    if isinstance(schema.get("items"), dict):
        yield from nodes(schema["items"])


def test_streams_keys_and_cursors_are_those_of_the_contract(workspace: Workspace) -> None:
    found = {
        name: (
            [column for (column,) in stream["source_defined_primary_key"]],
            *(stream.get("default_cursor_field") or [None]),
        )
        for name, stream in discovered(workspace).items()
    }
    assert found == CONTRACT


@pytest.mark.slow
def test_a_stream_is_incremental_where_it_has_a_cursor(workspace: Workspace) -> None:
    for name, stream in discovered(workspace).items():
        incremental = CONTRACT[name][1] is not None
        assert ("incremental" in stream["supported_sync_modes"]) == incremental
        assert "full_refresh" in stream["supported_sync_modes"]


def test_discovery_asks_nothing_and_drops_no_stream_that_the_key_may_not_read(workspace: Workspace) -> None:
    """A stream outside the scope of the key stays in the catalog and fails when it is read."""
    workspace.simulator.options.forbidden = ["/v1/"]
    assert discovered(workspace).keys() == CONTRACT.keys()
    assert len(workspace.simulator.requests) == 0


def test_schemas_are_open_nullable_and_plain(workspace: Workspace) -> None:
    """No enums, no closed objects, no required columns, no references."""
    for name, stream in discovered(workspace).items():
        schema = stream["json_schema"]
        Draft7Validator.check_schema(schema)
        assert not any(word in json.dumps(schema) for word in ('"$ref"', '"allOf"', '"not"', '"enum"', '"required"'))
        assert set(CONTRACT[name][0]) <= schema["properties"].keys()
        for node in nodes(schema):
            kinds = node.get("type")
            if node is not schema and kinds is not None:
                assert "null" in kinds, (name, node)
            if kinds is not None and "object" in kinds:
                assert node["additionalProperties"] is True, (name, node)


def test_free_form_maps_declare_no_keys(workspace: Workspace) -> None:
    """Declared keys would make typed file destinations drop the others."""
    found = discovered(workspace)
    maps = [("messages", "metrics"), ("activities", "data"), ("customers", "attributes"), ("customers", "timestamps")]
    maps += [(name, "metrics") for name in CONTRACT if name.endswith("_metrics")]
    for name, column in maps:
        assert "properties" not in found[name]["json_schema"]["properties"][column]


def test_every_stream_has_a_schema_file_and_every_file_a_stream() -> None:
    files = {path.stem for path in (CONNECTOR / "source_customerio" / "schemas").glob("*.json")}
    assert files == CONTRACT.keys() | {"webhook_events"}  # which exists only with a webhook-inlet


def test_every_stream_says_what_it_costs_what_is_read_again_and_which_right_it_needs() -> None:
    for stream in STREAMS:
        assert stream.docs.requests, stream
        assert stream.docs.read_again, stream
        assert stream.docs.deletes, stream
        assert stream.permission, stream
        assert stream.__doc__, stream


def test_personal_data_and_a_request_for_every_parent_are_not_suggested() -> None:
    """Who wants them chooses them: the one may need a legal ground, the other costs requests for each object.

    Who enters a webhook-inlet has chosen its events.
    """
    suggested = set(metadata()["suggestedStreams"]["streams"])
    names = {name_of(stream): stream for stream in STREAMS}
    assert names.keys() >= PERSONAL
    below_parents = {name for name, stream in names.items() if issubclass(stream, Children)}
    unverified = {name for name, stream in names.items() if stream.documented_only}
    assert suggested == names.keys() - PERSONAL - below_parents - unverified | {"webhook_events"}


def test_the_metadata_is_whole_and_of_the_version_of_the_package() -> None:
    MetadataFile.from_file(CONNECTOR / "metadata.yaml")
    found = metadata()
    required = "name definitionId connectorType connectorSubtype dockerRepository dockerImageTag license"
    required += " documentationUrl githubIssueLabel releaseStage"
    assert set(required.split()) <= found.keys()
    assert f'version = "{found["dockerImageTag"]}"' in (CONNECTOR / "pyproject.toml").read_text()
    assert f"## {found['dockerImageTag']}" in (CONNECTOR / "CHANGELOG.md").read_text()


def test_the_specification_has_the_options_of_the_contract_and_marks_the_key_as_secret(workspace: Workspace) -> None:
    spec = workspace.run("spec", None).spec["connectionSpecification"]
    properties = spec["properties"]
    assert set(properties) == {
        "app_api_key",
        "region",
        "api_url",
        "start_date",
        "end_date",
        "messages_lookback_days",
        "esp_suppression_domains",
        "num_workers",
        "requests_per_second",
        "webhook_store",
        "webhook_columns",
        "single_column_keys",
    }
    assert spec["required"] == ["app_api_key"]
    assert properties["app_api_key"]["airbyte_secret"] is True
    defaults = {name: option["default"] for name, option in properties.items() if "default" in option}
    lists = {"esp_suppression_domains": [], "webhook_columns": []}
    numbers = {"messages_lookback_days": 30, "num_workers": 3, "requests_per_second": 10}
    assert defaults == {"region": "US", "single_column_keys": False, **numbers, **lists}


@pytest.mark.parametrize("name", ["configured_catalog.json", "abnormal_state.json", "sample_state.json"])
def test_the_samples_name_streams_that_exist(name: str) -> None:
    sample = json.loads((CONNECTOR / "integration_tests" / name).read_text())
    if isinstance(sample, dict):
        assert [entry["stream"]["name"] for entry in sample["streams"]] == [name_of(stream) for stream in STREAMS]
    else:
        found = {entry["stream"]["stream_descriptor"]["name"] for entry in sample}
        assert found == {stream for stream, (_, cursor) in CONTRACT.items() if cursor}


def metadata() -> dict[str, Any]:
    """The `data` of metadata.yaml."""
    data: dict[str, Any] = yaml.safe_load((CONNECTOR / "metadata.yaml").read_text())["data"]
    return data


def name_of(stream: type) -> str:
    """`CampaignActions` -> `campaign_actions`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in stream.__name__).lstrip("_")
