"""Metadata values that are not of their field's type: converted where their meaning is clear, never lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator, FormatChecker
from pendo_reader import Row, Subscription
from simulators.faults import Fault

#: Forms in which Pendo's documentation lets a time be written; all of them are 2026-03-01 05:00 UTC, or its midnight
TIMES: list[tuple[Any, str]] = [
    (1_772_341_200, "2026-03-01T05:00:00.000Z"),
    (1_772_341_200.5, "2026-03-01T05:00:00.500Z"),
    ("1772341200", "2026-03-01T05:00:00.000Z"),
    (1_772_341_200_123, "2026-03-01T05:00:00.123Z"),
    ("Sun Mar 01 2026", "2026-03-01T00:00:00.000Z"),
    ("Sun Mar 01 2026 00:00:00 GMT-0500 (Eastern Standard Time)", "2026-03-01T05:00:00.000Z"),
    ("Sun Mar 01 2026 05:00:00 UTC", "2026-03-01T05:00:00.000Z"),
    ("Sun Mar 01 2026 00:00:00 EST", "2026-03-01T05:00:00.000Z"),
    ("03/01/2026 05:00am", "2026-03-01T05:00:00.000Z"),
    ("03/01/2026 12:30pm", "2026-03-01T12:30:00.000Z"),
    ("03/01/2026 12:30am", "2026-03-01T00:30:00.000Z"),
    ("2026-03-01T05:00:00.5Z", "2026-03-01T05:00:00.500Z"),
    ("2026-03-01T00:00:00-0500", "2026-03-01T05:00:00.000Z"),
    ("2026-03-01 00:00:00-05:00", "2026-03-01T05:00:00.000Z"),
    ("2026-03-01 05:00:00", "2026-03-01T05:00:00.000Z"),
    ("2026-03-01 05:00:00 +0000 UTC", "2026-03-01T05:00:00.000Z"),
    ("2026-03-01T00:00:00 EST", "2026-03-01T05:00:00.000Z"),
    ("2026-03-01", "2026-03-01T00:00:00.000Z"),
]
#: What cannot be one of a field's type for certain
UNFIT: list[tuple[str, Any]] = [
    ("time", "n/a"),
    ("time", "13/45/2026 05:00pm"),
    ("time", "03/01/2026 13:00pm"),
    ("time", "2026-03-01 05:00:00 IST"),
    ("time", "20260301"),
    ("time", True),
    ("time", {"at": 1}),
    ("boolean", "yes"),
    ("boolean", 2),
    ("float", "$99.00"),
    ("float", "1.234,5"),
    ("number", [1]),
]
ODD: list[Any] = ["", "text", 5, -1.5, True, ["a", 1, None], {"a": {"b": 1}}, 10**18, "5"]


def read_account(pendo: Subscription, types: Mapping[str, str], metadata: Any) -> Row:
    """The record of an account with this metadata, in a subscription whose fields of the group `agent` have `types`."""
    fields = {name: {"Type": kind, "DisplayName": ""} for name, kind in types.items()}
    schema = orjson.dumps({"auto": {"lastupdated": {"Type": "time"}}, "agent": fields}).decode()
    page = orjson.dumps({"results": [{"accountId": "acme", "metadata": metadata}]}).decode()
    pendo.sim.faults.add(Fault("status", path="metadata/schema/account", times=-1, status=200, answer=schema))
    pendo.sim.faults.add(Fault("status", path="aggregation", body="accounts/every", times=-1, status=200, answer=page))
    (record,) = pendo.read("accounts").records["accounts"]
    validator = Draft7Validator(pendo.schema("accounts"), format_checker=FormatChecker())
    assert [error.message for error in validator.iter_errors(record)] == []
    return record


@pytest.mark.slow
def test_every_form_in_which_pendo_lets_a_time_be_written_is_understood(pendo: Subscription) -> None:
    types = {f"t{number}": "time" for number in range(len(TIMES))}
    sent = {f"t{number}": value for number, (value, _) in enumerate(TIMES)}
    record = read_account(pendo, types, {"agent": sent})
    assert record["metadata_agent"] == {f"t{number}": expected for number, (_, expected) in enumerate(TIMES)}
    assert record.get("raw_metadata") is None


def test_what_does_not_fit_is_null_in_its_column_and_kept_as_it_was_sent(pendo: Subscription) -> None:
    types = {f"f{number}": kind for number, (kind, _) in enumerate(UNFIT)} | {"fits": "float"}
    sent = {f"f{number}": value for number, (_, value) in enumerate(UNFIT)}
    record = read_account(pendo, types, {"agent": {**sent, "fits": "2.5"}})
    assert record["metadata_agent"] == {**dict.fromkeys(sent), "fits": 2.5}
    assert record["raw_metadata"] == {"agent": sent}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["string", "integer", "number", "float", "boolean", "time", "list", "", "polygon"])
def test_no_value_of_any_kind_of_field_breaks_the_schema_or_is_lost(pendo: Subscription, kind: str) -> None:
    """The record is validated; what is null in it is in `raw_metadata`."""
    sent = {f"f{number}": value for number, value in enumerate(ODD)}
    record = read_account(pendo, dict.fromkeys(sent, kind), {"agent": sent})
    nulls = {name for name, value in record["metadata_agent"].items() if value is None and sent[name] != ""}
    assert nulls == set((record.get("raw_metadata") or {}).get("agent", ()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metadata", "raw"),
    [
        ({"agent": "text"}, {"agent": "text"}),
        ({"agent": [1], "auto": None}, {"agent": [1]}),
        ({"auto": {"idhash": "x", "accountids": 5}}, {"auto": {"idhash": "x"}}),
        ("metadata as text", {"metadata": "metadata as text"}),
        (None, None),
        ({}, None),
    ],
)
def test_metadata_of_another_shape_is_kept_too(pendo: Subscription, metadata: Any, raw: Any) -> None:
    assert read_account(pendo, {"name": "string"}, metadata).get("raw_metadata") == raw


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[{"id": "-5"}], [{"appId": "-5"}], [{"appId": -5, "name": "x"}], [{"id": -5}]])
def test_applications_are_known_by_either_name_as_number_or_text(pendo: Subscription, rows: list[Row]) -> None:
    """The documentation maps `id` from the rows of the source, and joins them by `appId`."""
    answer = orjson.dumps({"results": [*rows, {"name": "of none"}]}).decode()
    pendo.sim.faults.add(Fault("status", path="aggregation", body="/apps", times=-1, status=200, answer=answer))
    schema = pendo.schema("accounts")["properties"]
    assert [name for name in schema if name.startswith("metadata_auto__")] == ["metadata_auto__5"]


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_to_name_the_applications_costs_only_their_columns(pendo: Subscription, status: int) -> None:
    pendo.sim.faults.add(Fault("status", path="aggregation", body="/apps", times=-1, status=status))
    schema = pendo.schema("accounts")["properties"]
    assert "metadata_custom" in schema
    assert not any(name.startswith("metadata_auto__") for name in schema)
