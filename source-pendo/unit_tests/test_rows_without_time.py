"""UNKNOWN-AGE-IS-EMITTED: accounts, visitors and definitions that do not say when they changed come with every sync."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pendo_reader import Row, Subscription
from simulators.faults import Fault

STATE = {"lastupdated": "2026-03-19T00:00:00.000Z", "version": 1}
NO_TIME = r"lastupdated == null"


def ageless(pendo: Subscription, stream: str) -> set[str]:
    """The keys of those without a time of change."""
    key = {"accounts": "accountId", "visitors": "visitorId"}[stream]
    rows = pendo.truth(stream)
    return {row[key] for row in rows if "lastupdated" not in ((row["metadata"] or {}).get("auto") or {})}


def mark_for_deletion(pendo: Subscription, number: int) -> str:
    """What a bulk deletion does with a visitor at once: only the id stays."""
    row: Row = pendo.sim.subscription.visitors[number]
    row["metadata"] = {"pendo": {"donotprocess": True}}
    return str(row["visitorId"])


@pytest.mark.parametrize(("stream", "key"), [("accounts", "account_id"), ("visitors", "visitor_id")])
@pytest.mark.parametrize("record_limit", [2, 50_000])
def test_an_incremental_sync_brings_those_without_a_time_of_change_and_counts_them(
    pendo: Subscription, stream: str, key: str, record_limit: int
) -> None:
    expected = ageless(pendo, stream)
    assert expected
    out = pendo.read(stream, state={stream: STATE}, record_limit=record_limit)
    without = [row[key] for row in out.records[stream] if row.get("lastupdated") is None]
    assert sorted(without) == sorted(expected)
    assert out.logged(f"Stream {stream}: {len(expected)} rows have no lastupdated. They are emitted at every sync")
    assert out.state(stream)["lastupdated"] >= STATE["lastupdated"]


def test_a_full_refresh_counts_them_too(pendo: Subscription) -> None:
    out = pendo.read("visitors", full_refresh=True)
    assert out.logged(f"Stream visitors: {len(ageless(pendo, 'visitors'))} rows have no lastupdated.")


def test_a_visitor_that_a_bulk_deletion_marked_replaces_its_row(pendo: Subscription) -> None:
    """The warehouse must not keep the address of somebody who asked to be erased."""
    first = pendo.read("visitors")
    table = {row["visitor_id"]: row for row in first.records["visitors"]}
    marked = mark_for_deletion(pendo, 0)
    assert table[marked]["metadata_agent"]["email"]
    second = pendo.read("visitors", state={"visitors": first.state("visitors")})
    table |= {row["visitor_id"]: row for row in second.records["visitors"]}
    assert table[marked].get("metadata_agent") is None
    assert table[marked]["metadata_pendo"] == {"donotprocess": True}
    assert second.state("visitors") == first.state("visitors")


def test_a_pendo_that_refuses_the_comparison_with_null_is_asked_by_function(pendo: Subscription) -> None:
    """Both forms are documented, which of them is understood everywhere is not known."""
    refused = Fault("status", path="aggregation", body=NO_TIME, times=-1, status=400, answer="Cannot parse filter")
    pendo.sim.faults.add(refused)
    out = pendo.read("visitors", state={"visitors": STATE})
    assert out.failures == {}
    assert ageless(pendo, "visitors") <= set(out.column("visitors", "visitor_id"))


def test_a_pendo_that_refuses_both_forms_costs_only_those_rows(pendo: Subscription) -> None:
    """The log says so; a full refresh emits them."""
    refused = Fault("status", path="aggregation", body="null|isNil", times=-1, status=400, answer="bad pipeline")
    pendo.sim.faults.add(refused)
    out = pendo.read("visitors", state={"visitors": STATE})
    assert out.statuses["visitors"][-1] == "COMPLETE"
    assert out.logged("Stream visitors: Pendo refuses to list the rows without lastupdated")


def test_an_answer_of_everybody_to_the_question_for_them_repeats_nobody(pendo: Subscription) -> None:
    """A server for which the comparison is true for all rows."""
    everybody = orjson.dumps({"results": pendo.truth("visitors", anonymous="false")}).decode()
    pendo.sim.faults.add(Fault("status", path="aggregation", body=NO_TIME, times=-1, status=200, answer=everybody))
    out = pendo.read("visitors", state={"visitors": STATE})
    keys = out.column("visitors", "visitor_id")
    assert len(keys) == len(set(keys))
    assert ageless(pendo, "visitors") <= set(keys)


def test_a_row_without_a_time_among_the_changes_is_emitted_and_stops_nothing(pendo: Subscription) -> None:
    """A server whose comparisons let null pass, contrary to what Pendo documents."""
    rows: list[Row] = [{"visitorId": "a", "metadata": None}, {"visitorId": "b", "metadata": {"agent": {"x": 1}}}]
    rows += [{"visitorId": "c", "metadata": {"auto": {"lastupdated": 1_773_900_000_000}}}]
    page = orjson.dumps({"results": rows}).decode()
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/changes", status=200, answer=page))
    out = pendo.read("visitors", state={"visitors": STATE})
    assert out.failures == {}
    assert {"a", "b", "c"} <= set(out.column("visitors", "visitor_id"))


@pytest.mark.slow
@pytest.mark.parametrize("updated", [None, 0, "soon", True, [], 10**18, -(10**18)])
@pytest.mark.parametrize("full_refresh", [False, True])
def test_an_object_whose_time_of_change_says_nothing_stops_no_list(
    pendo: Subscription, updated: Any, full_refresh: bool
) -> None:
    objects = [{"id": "a", "lastUpdatedAt": updated}, {"id": "b", "lastUpdatedAt": 1_773_000_000_000}]
    pendo.sim.faults.add(Fault("status", path="segment", times=-1, status=200, answer=orjson.dumps(objects).decode()))
    state = {"last_updated_at": "2026-03-19T00:00:00.000Z", "version": 1}
    out = pendo.read("segments", state={"segments": state}, full_refresh=full_refresh)
    assert out.statuses["segments"][-1] == "COMPLETE"
    assert out.column("segments", "id") == (["a", "b"] if full_refresh else ["a"])
    assert out.records["segments"][0].get("last_updated_at") is None
    assert out.logged("Stream segments: 1 rows have no last_updated_at.")
    assert out.state("segments")["last_updated_at"] == (
        "2026-03-08T20:00:00.000Z" if full_refresh else state["last_updated_at"]
    )
