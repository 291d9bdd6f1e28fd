"""The columns that events of Pendo's webhooks have."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator, FormatChecker
from pendo_reader import Row, Subscription
from source_kit.cli import launch
from source_pendo import SourcePendo
from test_kit.catalogs import configured_stream
from test_kit.command import run_here
from test_kit.inlet import TOKEN, FakeInlet, line, running_inlet

#: The shape is that of Pendo's published examples; the values are made up.
EVENT: Row = {
    "event": "guideDisplayed",
    "uniqueId": "4f" * 20,
    "timestamp": 1_764_200_000,
    "visitorId": "visitor-1",
    "accountId": "account-1",
    "app": {"id": -323232, "name": "Acme", "platform": "web"},
    "subscription": {"id": 6304859583021056, "name": "Acme"},
    "userAgent": "Mozilla/5.0",
    "properties": {
        "guideId": "guide-1",
        "guideStepId": "step-1",
        "language": "en",
        "guideProperties": {"id": "guide-1", "name": "Welcome", "createdAt": 1_764_100_000_123},
    },
}


@pytest.fixture
def inlet() -> Iterator[FakeInlet]:
    with running_inlet() as running:
        yield running


def options(inlet: FakeInlet) -> Row:
    return {"type": "inlet", "url": inlet.url, "token": TOKEN, "inlet": "prod"}


def records(inlet: FakeInlet, *bodies: Row, **more: Any) -> list[Row]:
    """The records of these bodies. Each matches the schema."""
    inlet.lane().add(*[line(f"pendo:test:{number}", orjson.dumps(body)) for number, body in enumerate(bodies)])
    config = {"api_key": "not-a-real-key", "webhook_store": options(inlet), **more}
    catalog = {"streams": [configured_stream("webhook_events")]}
    found = run_here(lambda argv: launch(SourcePendo, argv), "read", config=config, catalog=catalog).succeeded()
    rows: list[Row] = found.records["webhook_events"]
    schema = next(one for one in SourcePendo().streams(config) if one.name == "webhook_events").get_json_schema()
    validator = Draft7Validator(dict(schema), format_checker=FormatChecker())
    assert [error.message for row in rows for error in validator.iter_errors(row)] == []
    return rows


def test_an_event_has_columns_for_what_is_asked_most(inlet: FakeInlet) -> None:
    [row] = records(inlet, EVENT)
    assert row == {
        "record_id": "pendo:test:0",
        "received_at": "2026-11-26T22:01:00.000Z",
        "inlet": "prod",
        "event": "guideDisplayed",
        "unique_id": "4f" * 20,
        "timestamp": "2025-11-26T23:33:20.000Z",
        "visitor_id": "visitor-1",
        "account_id": "account-1",
        "app_id": -323232,
        "guide_id": "guide-1",
        "guide_step_id": "step-1",
        "guide_name": "Welcome",
        "app": EVENT["app"],
        "subscription": EVENT["subscription"],
        "user_agent": "Mozilla/5.0",
        "properties": EVENT["properties"],
    }


@pytest.mark.parametrize(
    ("sent", "column"),
    [
        (1_764_200_000, "2025-11-26T23:33:20.000Z"),
        ("1764200000", "2025-11-26T23:33:20.000Z"),
        (1_764_200_000.5, "2025-11-26T23:33:20.500Z"),
        ("2025-11-26T23:33:20Z", "2025-11-26T23:33:20.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (1_764_200, "1970-01-21T10:03:20.000Z"),
    ],
)
@pytest.mark.slow
def test_a_timestamp_is_in_seconds_whatever_its_size(inlet: FakeInlet, sent: Any, column: str) -> None:
    [row] = records(inlet, {**EVENT, "timestamp": sent})
    assert (row["timestamp"], "_timestamp" in row) == (column, False)


@pytest.mark.parametrize("sent", [1_764_200_000_000, "soon", True, {"at": 1}, [1], 1e300])
@pytest.mark.slow
def test_a_timestamp_that_is_none_is_kept_beside_its_column(inlet: FakeInlet, sent: Any) -> None:
    [row] = records(inlet, {**EVENT, "timestamp": sent})
    assert row["_timestamp"] == sent
    assert row.get("timestamp") is None


def test_values_of_another_type_are_converted_or_stay_where_they_were(inlet: FakeInlet) -> None:
    body = {
        **EVENT,
        "visitorId": 9007199254740993,
        "accountId": ["a"],
        "app": {"id": "-9223372036854775808"},
        "properties": {"guideId": 5, "guideStepId": {"a": 1}, "guideProperties": "none"},
        "subscription": 7,
    }
    other = {**EVENT, "app": {"id": 2**64 - 1}, "properties": [1, 2]}
    first, second = records(inlet, body, other)
    assert (first["visitor_id"], first["app_id"], first["guide_id"]) == ("9007199254740993", -(2**63), "5")
    assert (first["_account_id"], first["_subscription"]) == (["a"], 7)
    assert first["properties"] == body["properties"]
    assert {"account_id", "guide_step_id", "guide_name", "subscription"}.isdisjoint(first)
    assert "app_id" not in second
    assert second["app"] == {"id": 2**64 - 1}
    assert second["_properties"] == [1, 2]


def test_unknown_fields_pass_in_snake_case_and_collisions_keep_both(inlet: FakeInlet) -> None:
    [row] = records(
        inlet, {"pageUrl": 1, "page_url": 2, "guideName": "theirs", "properties": {"userID": 1, "userId": 2}}
    )
    assert (row["pageUrl"], row["page_url"]) == (1, 2)
    assert row["_guide_name"] == "theirs"
    assert row["properties"] == {"userID": 1, "userId": 2}


def test_the_example_of_the_specification_is_a_column(inlet: FakeInlet) -> None:
    spec = SourcePendo().spec(logging.getLogger("airbyte.test")).connectionSpecification
    [example] = spec["properties"]["webhook_columns"]["examples"]
    [row] = records(inlet, EVENT, webhook_columns=example)
    assert row["guide_created_at"] == 1_764_100_000_123


@pytest.mark.slow
def test_check_discover_and_the_other_streams_work_with_an_inlet(pendo: Subscription, inlet: FakeInlet) -> None:
    """And an inlet that is down costs no other stream."""
    inlet.lane().add(line("pendo:test:1", orjson.dumps(EVENT)))
    succeeded, message = pendo.check(webhook_store=options(inlet))
    assert succeeded
    assert message.startswith("Webhooks: the last event came ")
    stream = next(one for one in pendo.discover(webhook_store=options(inlet)).streams if one.name == "webhook_events")
    assert stream.source_defined_primary_key == [["record_id"]]
    assert stream.default_cursor_field == ["received_at"]
    wrong = options(inlet) | {"token": "wrong"}
    assert pendo.check(webhook_store=wrong)[0] is False
    output = pendo.read("webhook_events", "pages", webhook_store=wrong)
    assert set(output.failures) == {"webhook_events"}
    assert output.records["pages"]
