"""The metadata of accounts and visitors: the subscription's own schema, and values of its types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pendo_reader import QUICK, STREAM_NAMES, Row, Subscription
from simulators.faults import Fault

TIME = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}


def group(pendo: Subscription, stream: str, name: str) -> dict[str, Any]:
    """The discovered properties of a metadata group."""
    fields: dict[str, Any] = pendo.schema(stream)["properties"][f"metadata_{name}"]["properties"]
    return fields


def visitor(pendo: Subscription, number: int) -> Row:
    """A visitor's row in the simulator."""
    return pendo.sim.subscription.visitors[number]


def one(pendo: Subscription, visitor_id: str) -> Row:
    """A visitor's record."""
    return next(row for row in pendo.read("visitors").records["visitors"] if row["visitor_id"] == visitor_id)


def test_every_type_of_field_has_a_schema(pendo: Subscription) -> None:
    """Lists, empty types and unknown types do not end the discovery."""
    custom = group(pendo, "visitors", "custom")
    assert custom["tier"]["type"] == ["null", "integer", "number", "string"]
    assert custom["score"]["type"] == ["null", "number"]
    assert custom["labels"]["type"] == ["null", "array"]
    everything = {"null", "array", "boolean", "integer", "number", "object", "string"}
    assert set(custom["undetermined"]["type"]) == set(custom["shape"]["type"]) == everything
    agent = group(pendo, "visitors", "agent")
    assert agent["trial"]["type"] == ["null", "boolean"]
    assert {name: agent["signup"][name] for name in TIME} == TIME


@pytest.mark.slow
def test_deleted_and_hidden_fields_stay_in_the_schema_and_say_so(pendo: Subscription) -> None:
    """A column that vanishes from a schema takes its data with it."""
    custom = group(pendo, "visitors", "custom")
    assert custom["retired"]["description"] == "Retired; deleted in Pendo"
    assert custom["undetermined"]["description"] == "Undetermined; hidden in Pendo"


@pytest.mark.slow
def test_fields_that_differ_only_in_case_stay_two(pendo: Subscription) -> None:
    """Names of metadata fields are the subscription's own, in the schema and in the records."""
    assert {"userID", "userId"} <= group(pendo, "visitors", "custom").keys()
    custom = one(pendo, "ann@example.com")["metadata_custom"]
    assert (custom["userID"], custom["userId"]) == ("upper-0", "lower-0")
    account = pendo.read("accounts").records["accounts"][0]["metadata_custom"]
    assert {"ARR", "arr"} <= account.keys()


def test_all_groups_arrive_with_all_fields(pendo: Subscription) -> None:
    """The account's name, custom fields and those of other systems are not dropped."""
    truth = {row["accountId"]: row["metadata"] or {} for row in pendo.truth("accounts")}
    for row in pendo.read("accounts").records["accounts"]:
        metadata = truth[row["account_id"]]
        assert {name for name in row if name.startswith("metadata_")} == {f"metadata_{name}" for name in metadata}
        for name, fields in metadata.items():
            assert row[f"metadata_{name}"].keys() == fields.keys()
    assert any(row.get("agent", {}).get("name") for row in truth.values())


def test_each_application_s_own_figures_are_columns_with_times(pendo: Subscription) -> None:
    """`auto__<application>` is in the records and, named by the applications, in the schema."""
    schema = pendo.schema("visitors")["properties"]
    per_app = {name for name in schema if name.startswith("metadata_auto__")}
    assert per_app == {"metadata_auto__323232", "metadata_auto__6304859583021056", "metadata_auto__5720146138021888"}
    assert {name: schema["metadata_auto__323232"]["properties"]["lastvisit"][name] for name in TIME} == TIME
    rows = pendo.read("visitors").records["visitors"]
    values = [row["metadata_auto__323232"]["lastvisit"] for row in rows if "metadata_auto__323232" in row]
    assert values
    assert all(value.endswith("Z") for value in values)


@pytest.mark.slow
def test_without_the_applications_the_schema_lacks_only_their_columns(pendo: Subscription) -> None:
    """The source that lists the applications is known second-hand. If it is refused, all else still works."""
    pendo.sim.mutate("forbid", kinds=["apps"])
    schema = pendo.schema("visitors")["properties"]
    assert "metadata_custom" in schema
    assert not any(name.startswith("metadata_auto__") for name in schema)


@pytest.mark.parametrize(
    "sent", [1772341200123, "1772341200123", "2026-03-01T05:00:00.123Z", "2026-03-01T00:00:00.123-05:00"]
)
def test_times_come_as_milliseconds_or_as_text_and_leave_as_one_form(pendo: Subscription, sent: Any) -> None:
    """Both forms occur in one field."""
    visitor(pendo, 0)["metadata"]["agent"]["signup"] = sent
    assert one(pendo, "ann@example.com")["metadata_agent"]["signup"] == "2026-03-01T05:00:00.123Z"


@pytest.mark.parametrize("sent", [17, "17", None])
def test_integers_that_come_as_texts_are_left_as_they_are(pendo: Subscription, sent: Any) -> None:
    """Pendo sends decimal texts for integers at times; the schema allows both."""
    visitor(pendo, 0)["metadata"]["custom"]["tier"] = sent
    assert one(pendo, "ann@example.com")["metadata_custom"].get("tier") == sent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("score", "2.5", 2.5),
        ("score", "much", None),
        ("score", " -17 ", -17),
        ("score", "+.5", 0.5),
        ("score", "9007199254740993", 9007199254740993),
        ("score", "123456789012345678901", 1.2345678901234568e20),
        ("score", "9" * 400, None),
        ("score", "1_000", None),
        ("score", "1.5E7", 15_000_000.0),
        ("score", "\N{ARABIC-INDIC DIGIT FIVE}", None),
        ("score", "infinity", None),
        ("score", "nan", None),
        ("labels", "one", ["one"]),
        ("labels", [], []),
        ("userId", 5, "5"),
        ("userId", {"a": 1}, '{"a":1}'),
        ("shape", {"deep": [1]}, {"deep": [1]}),
        ("undetermined", 7, 7),
        ("brandNew", [1], [1]),
    ],
)
def test_a_value_of_another_type_becomes_what_the_schema_promises(
    pendo: Subscription, name: str, sent: Any, expected: Any
) -> None:
    """Real types, not objects as texts; a field that is newer than the discovery passes through."""
    visitor(pendo, 0)["metadata"]["custom"][name] = sent
    assert one(pendo, "ann@example.com")["metadata_custom"].get(name) == expected


def test_a_value_that_cannot_be_converted_is_named_in_the_log_once(pendo: Subscription) -> None:
    """The name of the field, never the value."""
    for number in (0, 2, 3):
        visitor(pendo, number)["metadata"]["custom"]["score"] = "no-number-at-all"
    out = pendo.read("visitors")
    assert out.logged("score") == [
        "WARN: Field score of metadata group custom holds values that are not of its type: they are null in "
        "metadata_custom and kept as they were sent in raw_metadata"
    ]


def test_figures_of_pendo_itself_keep_their_types_also_when_they_come_as_texts(pendo: Subscription) -> None:
    """`idhash` is an integer in the schema, so a decimal text becomes one."""
    visitor(pendo, 0)["metadata"]["auto"] |= {"idhash": "4294967295", "accountids": "acme"}
    auto = one(pendo, "ann@example.com")["metadata_auto"]
    assert (auto["idhash"], auto["accountids"]) == (4294967295, ["acme"])


@pytest.mark.parametrize("metadata", [None, [], "text", {"custom": None, "agent": []}])
def test_metadata_that_is_none_does_not_crash_the_stream(pendo: Subscription, metadata: Any) -> None:
    """Pendo may answer null, a list or a text in place of the object."""
    visitor(pendo, 0)["metadata"] = metadata
    assert one(pendo, "ann@example.com").get("lastupdated") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", path="metadata/schema", times=-1, status=500),
        Fault("status", path="metadata/schema", times=-1, status=404),
        Fault("html", path="metadata/schema", times=-1),
        Fault("status", path="metadata/schema", times=-1, status=200, answer="[]"),
        Fault("status", path="metadata/schema", times=-1, status=200, answer='{"custom": {"a": "odd"}, "odd": 5}'),
    ],
    ids=["500", "404", "HTML", "a list", "odd members"],
)
def test_a_failing_metadata_endpoint_does_not_end_the_discovery(
    pendo: Subscription, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All streams are discovered; accounts and visitors without the subscription's own columns."""
    monkeypatch.setattr("source_pendo.source._DISCOVERING", QUICK)
    monkeypatch.setattr("source_pendo.source._PROBING", QUICK)
    pendo.sim.faults.add(fault)
    catalog = pendo.discover()
    assert len(catalog.streams) == len(STREAM_NAMES)
    visitors = next(stream for stream in catalog.streams if stream.name == "visitors")
    assert "metadata_auto" in json.dumps(visitors.json_schema)


def test_forbidden_metadata_leaves_visitors_readable_without_types(pendo: Subscription) -> None:
    """A kind of object that the key may not read costs only what depends on it."""
    pendo.sim.mutate("forbid", kinds=["metadata"])
    out = pendo.read("visitors", "metadata_visitors")
    assert len(out.records["visitors"]) == 44
    assert out.logged("Pendo does not list the metadata fields")
    assert out.statuses["metadata_visitors"] == ["STARTED", "INCOMPLETE"]


def test_metadata_that_is_out_of_order_for_the_moment_fails_the_read_instead_of_writing_wrong_types(
    pendo: Subscription,
) -> None:
    """Times would arrive as numbers in columns of timestamps, and the state would move past them."""
    pendo.sim.faults.add(Fault("status", path="metadata/schema/visitor", times=-1, status=503))
    out = pendo.read("visitors", "accounts")
    assert out.failures["visitors"].failure_type == "transient_error"
    assert out.states["visitors"] == []
    assert out.statuses["accounts"][-1] == "COMPLETE"
