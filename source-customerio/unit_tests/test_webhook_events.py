"""The columns that events of Customer.io's reporting webhooks have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft7Validator, FormatChecker
from source_customerio import SourceCustomerio
from test_kit.inlet import TOKEN, FakeInlet, line, running_inlet

if TYPE_CHECKING:
    from conftest import Workspace

#: The shape is that of the vendor's specification; the values are made up.
EVENT: dict[str, Any] = {
    "event_id": "01E2EMRMM6TZ12TF9WGZN0WJQT",
    "object_type": "email",
    "metric": "clicked",
    "timestamp": 1_764_200_000,
    "data": {
        "customer_id": "0200102",
        "identifiers": {"id": "0200102", "email": "test@example.com", "cio_id": "d9c106000001"},
        "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY=",
        "campaign_id": 23,
        "action_id": 96,
        "journey_id": "01GW20GXAAXBKZD8J96M8FNV3R",
        "parent_action_id": None,
        "trigger_event_id": None,
        "recipient": "test@example.com",
        "subject": "Thanks for joining!",
        "href": "https://example.com",
        "link_id": 1,
    },
}


@pytest.fixture
def inlet() -> Iterator[FakeInlet]:
    with running_inlet() as running:
        yield running


def options(inlet: FakeInlet) -> dict[str, Any]:
    return {"type": "inlet", "url": inlet.url, "token": TOKEN, "inlet": "prod"}


def records(workspace: Workspace, inlet: FakeInlet, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of these bodies. Each matches the schema."""
    inlet.lane().add(*[line(f"customerio:{number}", orjson.dumps(body)) for number, body in enumerate(bodies)])
    synced = workspace.sync("webhook_events", webhook_store=options(inlet)).succeeded()
    rows: list[dict[str, Any]] = synced.records["webhook_events"]
    streams = SourceCustomerio().streams(workspace.config(webhook_store=options(inlet)))
    schema = next(one for one in streams if one.name == "webhook_events").get_json_schema()
    validator = Draft7Validator(dict(schema), format_checker=FormatChecker())
    assert [error.message for row in rows for error in validator.iter_errors(row)] == []
    return rows


def test_an_event_has_columns_for_its_ids(workspace: Workspace, inlet: FakeInlet) -> None:
    [row] = records(workspace, inlet, EVENT)
    assert row == {
        **EVENT,
        "record_id": "customerio:0",
        "received_at": "2026-11-26T22:01:00.000Z",
        "inlet": "prod",
        "delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY=",
        "campaign_id": 23,
        "action_id": 96,
        "journey_id": "01GW20GXAAXBKZD8J96M8FNV3R",
        "link_id": 1,
        "cio_id": "d9c106000001",
        "customer_id": "0200102",
    }


def test_every_id_of_the_vendors_specification_is_a_column_of_its_type(workspace: Workspace, inlet: FakeInlet) -> None:
    numbers = ("broadcast_id", "trigger_id", "newsletter_id", "content_id", "transactional_message_id")
    data: dict[str, Any] = {name: place for place, name in enumerate(numbers)}
    data |= {"trigger_event_id": "01G", "inbound_event_id": "in-1"}
    [row] = records(workspace, inlet, {**EVENT, "data": data})
    assert {name: row[name] for name in data} == data


def test_values_of_another_type_are_converted_or_stay_in_data(workspace: Workspace, inlet: FakeInlet) -> None:
    data = {"campaign_id": "23", "action_id": 96.0, "newsletter_id": "n-1", "content_id": 1.5, "delivery_id": 7}
    data |= {"link_id": True, "trigger_id": "007", "identifiers": None, "journey_id": ["x"]}
    [row] = records(workspace, inlet, {**EVENT, "timestamp": "1764200000", "metric": 5, "data": data})
    assert (row["campaign_id"], row["action_id"], row["delivery_id"]) == (23, 96, "7")
    assert {"newsletter_id", "content_id", "link_id", "trigger_id", "cio_id", "journey_id"}.isdisjoint(row)
    assert (row["timestamp"], row["metric"], row["data"]) == (1_764_200_000, "5", data)


def test_fields_that_do_not_fit_their_columns_are_kept_beside_them(workspace: Workspace, inlet: FakeInlet) -> None:
    [row] = records(workspace, inlet, {"event_id": {"a": 1}, "timestamp": "now", "data": "text", "delivery_id": "top"})
    assert row == {
        "record_id": "customerio:0",
        "received_at": "2026-11-26T22:01:00.000Z",
        "inlet": "prod",
        "_event_id": {"a": 1},
        "_timestamp": "now",
        "_data": "text",
        "_delivery_id": "top",
    }


def test_names_stay_as_they_are(workspace: Workspace, inlet: FakeInlet) -> None:
    [row] = records(workspace, inlet, {**EVENT, "brandNew": {"Any Key": [1, None]}})
    assert row["brandNew"] == {"Any Key": [1, None]}


@pytest.mark.slow
def test_check_and_the_other_streams_work_with_an_inlet(workspace: Workspace, inlet: FakeInlet) -> None:
    """And an inlet that is down costs no other stream."""
    inlet.lane().add(line("customerio:1", orjson.dumps(EVENT)))
    status, message = workspace.check(workspace.config(webhook_store=options(inlet)))
    assert status == "SUCCEEDED"
    assert (message or "").startswith("Webhooks: the last event came ")
    wrong = options(inlet) | {"token": "wrong"}
    assert workspace.check(workspace.config(webhook_store=wrong))[0] == "FAILED"
    output = workspace.sync("webhook_events", "campaigns", webhook_store=wrong)
    assert set(output.failures) == {"webhook_events"}
    assert output.records["campaigns"]
