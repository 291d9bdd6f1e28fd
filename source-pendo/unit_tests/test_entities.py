"""Accounts and visitors: first all of them, then what changed, with the subscription's own metadata."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pendo_reader import Row, Subscription, instant
from simulators.faults import Fault

NO_TIME = {"filter": "metadata.auto.lastupdated == null"}
ENTITIES = [("accounts", "accountId", "account_id"), ("visitors", "visitorId", "visitor_id")]


def updated(row: Row) -> int | None:
    """`metadata.auto.lastupdated` of a row as Pendo sends it."""
    value = ((row["metadata"] or {}).get("auto") or {}).get("lastupdated")
    return value if isinstance(value, int) else None


def questions(pendo: Subscription) -> list[list[Row]]:
    """The pipelines that asked for visitors, without the one for those that have no time of change."""
    return [pipeline for pipeline in pendo.pipelines("visitors") if NO_TIME not in pipeline]


@pytest.mark.parametrize(("stream", "theirs", "ours"), ENTITIES)
def test_the_first_read_holds_everybody_also_those_without_a_time_of_change(
    pendo: Subscription, stream: str, theirs: str, ours: str
) -> None:
    """Rows without `metadata.auto`, without `lastupdated` or without any metadata stay, with a null cursor."""
    truth = {row[theirs]: updated(row) for row in pendo.truth(stream)}
    assert None in truth.values()
    out = pendo.read(stream)
    assert {row[ours]: row.get("lastupdated") for row in out.records[stream]} == {
        key: None if at is None else instant(at) for key, at in truth.items()
    }
    assert len(out.records[stream]) == len(truth)


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "theirs", "ours"), ENTITIES)
@pytest.mark.parametrize("record_limit", [1, 2, 7])
def test_small_pages_lose_nobody_and_repeat_nobody(
    pendo: Subscription, stream: str, theirs: str, ours: str, record_limit: int
) -> None:
    """Ids with quotes and backslashes are escaped in the filter. One pass by key, without a query for the count."""
    out = pendo.read(stream, record_limit=record_limit)
    assert sorted(out.column(stream, ours)) == sorted(row[theirs] for row in pendo.truth(stream))
    assert all({"count": None} not in pipeline for pipeline in pendo.pipelines(stream))


@pytest.mark.parametrize(("stream", "theirs", "ours"), ENTITIES)
def test_many_changes_in_one_millisecond_are_paged_by_time_and_id(
    pendo: Subscription, stream: str, theirs: str, ours: str
) -> None:
    """A bulk upload stamps many rows with one millisecond; pages of two rows still get past it."""
    times = [at for row in pendo.truth(stream) if (at := updated(row)) is not None]
    common = max(set(times), key=times.count)
    assert times.count(common) > 4
    state = {"lastupdated": instant(common), "version": 1}
    out = pendo.read(stream, state={stream: state}, record_limit=2)
    expected = [row[theirs] for row in pendo.truth(stream) if (updated(row) or common) >= common - 8 * 3_600_000]
    assert sorted(out.column(stream, ours)) == sorted(expected)
    assert out.state(stream)["lastupdated"] == instant(max(times))


@pytest.mark.parametrize(("stream", "theirs", "ours"), ENTITIES)
def test_a_second_sync_asks_for_what_changed_and_moves_the_state(
    pendo: Subscription, stream: str, theirs: str, ours: str
) -> None:
    """An incremental stream is one."""
    first = pendo.read(stream)
    pendo.sim.mutate("advance", days=1)
    chosen = next(row[theirs] for row in pendo.truth(stream) if updated(row) is None)
    kind = stream.removesuffix("s")
    pendo.sim.mutate(f"touch_{kind}", **{f"{kind}_id": chosen})
    second = pendo.read(stream, state={stream: first.state(stream)})
    assert chosen in second.column(stream, ours)
    changed = [row for row in second.records[stream] if row.get("lastupdated")]
    day_of_the_state = first.state(stream)["lastupdated"][:10]
    assert all(row["lastupdated"][:10] >= day_of_the_state for row in changed)
    assert len(changed) < len(first.records[stream]) / 2
    assert second.state(stream)["lastupdated"] == instant(pendo.sim.subscription.now)


@pytest.mark.parametrize("refused", [None, 400, 403])
def test_visitors_that_changed_are_asked_for_with_since_unless_pendo_refuses_it(
    pendo: Subscription, refused: int | None
) -> None:
    """It spares Pendo to look at everybody; the filter decides. Those without a time are asked for without it."""
    if refused == 400:
        pendo.sim.mutate("switch", no_since=True)
    elif refused:
        pendo.sim.faults.add(Fault("status", path="aggregation", body='"since"', status=refused, times=-1))
    out = pendo.read("visitors", state={"visitors": {"lastupdated": "2026-03-14T04:00:00.000Z"}}, record_limit=5)
    expected = {row["visitorId"] for row in pendo.truth("visitors") if (updated(row) or 1773460800000) >= 1773432000000}
    assert set(out.column("visitors", "visitor_id")) == expected
    sinces = [pipeline[0]["source"]["visitors"].get("since") for pipeline in questions(pendo)]
    assert len(sinces) > 2
    assert sinces == (
        ["date(2026,3,11)", *[None] * (len(sinces) - 1)] if refused else ["date(2026,3,11)"] * len(sinces)
    )
    assert all("since" not in p[0]["source"]["visitors"] for p in pendo.pipelines("visitors") if NO_TIME in p)


def test_a_sync_without_changes_keeps_its_state(pendo: Subscription) -> None:
    """A state in which nothing moved is written again, not lost and not reset."""
    state = {"lastupdated": "2026-03-20T16:00:00.000Z", "version": 1}
    out = pendo.read("visitors", state={"visitors": state})
    assert not any(out.column("visitors", "lastupdated"))
    assert out.state("visitors") == state


@pytest.mark.slow
def test_the_state_never_passes_the_start_of_the_sync(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Pendo's clock is ahead of ours, the state must not pass changes that are still to come."""
    newest = max(at for row in pendo.truth("visitors") if (at := updated(row)) is not None)
    behind = pendo.sim.now.fromtimestamp((newest - 60_000) / 1000, tz=pendo.sim.now.tzinfo)
    monkeypatch.setattr("source_kit.source.utc_now", lambda: behind)
    out = pendo.read("visitors")
    assert instant(newest) in out.column("visitors", "lastupdated")
    assert out.state("visitors")["lastupdated"] == instant(newest - 60_000)


def test_an_interrupted_first_read_goes_on_at_its_key(pendo: Subscription) -> None:
    """Both halves are together everybody, and the state is that of one uninterrupted read."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/everything", skip=3, times=-1, status=500))
    first = pendo.read("visitors", record_limit=10)
    assert first.statuses["visitors"][-1] == "INCOMPLETE"
    state = first.state("visitors")
    assert state.get("lastupdated") is None
    pendo.sim.faults.clear()
    pendo.sim.requests.clear()
    second = pendo.read("visitors", state={"visitors": state}, record_limit=10)
    keys = set(first.column("visitors", "visitor_id")) | set(second.column("visitors", "visitor_id"))
    assert keys == {row["visitorId"] for row in pendo.truth("visitors")}
    assert len(second.records["visitors"]) < len(keys)
    assert second.state("visitors") == pendo.read("visitors").state("visitors")


def test_a_change_during_an_interrupted_read_comes_with_the_next_sync(pendo: Subscription) -> None:
    """The state at the end stays at the time at which the interrupted reading began."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/everything", skip=3, times=-1, status=500))
    first = pendo.read("visitors", record_limit=10)
    began = pendo.sim.subscription.now
    chosen = min(first.column("visitors", "visitor_id")[:10])
    pendo.sim.faults.clear()
    pendo.sim.mutate("advance", days=3)
    pendo.sim.mutate("touch_visitor", visitor_id=chosen)
    second = pendo.read("visitors", state={"visitors": first.state("visitors")}, record_limit=10)
    assert second.state("visitors")["lastupdated"] <= instant(began)
    third = pendo.read("visitors", state={"visitors": second.state("visitors")})
    assert chosen in third.column("visitors", "visitor_id")


@pytest.mark.slow
@pytest.mark.parametrize("long_id", ["😀" * 700, "é" * 700, "a" * 2000])
def test_a_very_long_id_is_never_written_into_a_state(pendo: Subscription, long_id: str) -> None:
    """States stay under two kilobytes as JSON, which escapes what is not ASCII, whatever an id looks like."""
    pendo.sim.subscription.visitors[0]["visitorId"] = long_id
    out = pendo.read("visitors", record_limit=1)
    assert any("resume" in state for state in out.states["visitors"])
    assert all(len(json.dumps(state)) < 2048 for state in out.states["visitors"])
    assert len(out.records["visitors"]) == 44


@pytest.mark.parametrize("wanted", [False, True])
def test_anonymous_visitors_come_only_where_the_option_asks(pendo: Subscription, wanted: bool) -> None:
    """The option decides in the source's parameters, so that they do not even travel."""
    out = pendo.read("visitors", include_anonymous_visitors=wanted)
    truth = pendo.truth("visitors", anonymous="true" if wanted else "false")
    assert sorted(out.column("visitors", "visitor_id")) == sorted(row["visitorId"] for row in truth)
    assert any(key.startswith("_PENDO_T_") for key in out.column("visitors", "visitor_id")) is wanted


def test_accounts_are_asked_for_in_all_applications_or_in_the_chosen_ones(pendo: Subscription) -> None:
    """Without `appId` Pendo answers for the default application; in a list it documents numbers only."""
    pendo.sim.mutate("switch", rules="documented")
    outs = [pendo.read("accounts"), pendo.read("accounts", app_ids=["-323232"])]
    assert [out.failures for out in outs] == [{}, {}]
    asked = [pipeline[0]["source"]["accounts"] for pipeline in pendo.pipelines("accounts")]
    assert asked == [{"appId": 'expandAppIds("*")'}, {"appId": [-323232]}]


def test_a_query_that_is_too_much_is_asked_in_smaller_pages(pendo: Subscription) -> None:
    """Both answers that mean too much halve the page; nobody is lost."""
    too_much = "Query exceeded memory limit"
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=1, status=400, answer=too_much))
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=1, status=408))
    out = pendo.read("visitors", record_limit=4000)
    assert [pipeline[-1]["limit"] for pipeline in pendo.pipelines("visitors")] == [4000, 2000, 1000]
    assert len(out.records["visitors"]) == 44


def test_a_query_that_stays_too_much_fails_instead_of_going_on_for_ever(pendo: Subscription) -> None:
    """Pages are not made smaller than a few hundred rows."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=-1, status=408))
    out = pendo.read("visitors")
    assert out.failures["visitors"].message.startswith("Pendo could not answer a query within its limits")
    assert out.statuses["visitors"] == ["STARTED", "INCOMPLETE"]


@pytest.mark.parametrize("state", [None, {"lastupdated": "2026-01-01T00:00:00.000Z"}])
@pytest.mark.parametrize("status", [408, 400])
def test_a_small_page_that_is_too_much_is_asked_for_again_before_the_stream_fails(
    pendo: Subscription, status: int, state: dict[str, Any] | None
) -> None:
    """A page of a hundred rows is not made smaller, but Pendo's trouble may pass."""
    answer = "Query exceeded memory limit"
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=2, status=status, answer=answer))
    out = pendo.read("visitors", record_limit=100, state={"visitors": state} if state else None)
    assert out.failures == {}
    assert [pipeline[-1]["limit"] for pipeline in questions(pendo)] == [100, 100, 100]


@pytest.mark.slow
@pytest.mark.parametrize("state", [None, {"lastupdated": "2026-01-01T00:00:00.000Z"}])
def test_a_page_that_is_not_answered_in_time_is_asked_for_in_smaller_ones(
    pendo: Subscription, state: dict[str, Any] | None
) -> None:
    """The time-out of the connector may be shorter than Pendo's."""
    pendo.sim.faults.add(Fault("delay", path="aggregation", body='visitors/.*"limit": ?4000', times=-1, seconds=1.5))
    out = pendo.read("visitors", record_limit=4000, request_timeout=1, state={"visitors": state} if state else None)
    assert out.failures == {}
    assert [pipeline[-1]["limit"] for pipeline in questions(pendo)] == [4000, 2000]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["metadata", "visitor/[^/]+/history"])
def test_a_408_where_nothing_can_be_cut_is_tried_again(pendo: Subscription, path: str) -> None:
    """It comes from a gateway, not from the query; the tests of the error table have the list endpoints."""
    whole = pendo.read("visitors", "visitor_history")
    pendo.sim.faults.add(Fault("status", path=path, status=408, times=2))
    out = pendo.read("visitors", "visitor_history")
    assert out.failures == {}
    assert {name: len(rows) for name, rows in out.records.items()} == {
        n: len(rows) for n, rows in whole.records.items()
    }


@pytest.mark.parametrize("state", [None, {"lastupdated": "2026-01-01T00:00:00.000Z"}])
def test_a_page_that_breaks_unseen_in_the_middle_is_asked_for_again(
    pendo: Subscription, state: dict[str, Any] | None
) -> None:
    """A cut at a brace looks like the end of a document; only reading the rows shows it."""
    body = b'"metadata":{"auto":{}}'
    broken = b'{"results":[' + b",".join(b'{"visitorId":"a%d",%b}' % (n, body) for n in range(3)) + b',{"visitorId":{}'
    pendo.sim.faults.add(Fault("status", path="aggregation", status=200, answer=broken.decode(), body="visitors/"))
    out = pendo.read("visitors", state={"visitors": state} if state else None)
    assert out.statuses["visitors"][-1] == "COMPLETE"
    assert {row["visitorId"] for row in pendo.truth("visitors") if not state or updated(row)} <= set(
        out.column("visitors", "visitor_id")
    )


def test_pages_that_do_not_move_end_the_stream(pendo: Subscription) -> None:
    """The same full page again and again is an error: no endless loop, and not the end of the rows."""
    auto = '{"auto":{"lastupdated":1773000000000}}'
    page = f'{{"results":[{{"visitorId":"a","metadata":{auto}}},{{"visitorId":"b","metadata":{auto}}}]}}'
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=-1, status=200, answer=page))
    for state in (None, {"visitors": {"lastupdated": "2026-01-01T00:00:00.000Z"}}):
        out = pendo.read("visitors", state=state, record_limit=2)
        assert "stopped before it ran for ever" in out.failures["visitors"].message


def test_a_row_of_the_answer_without_its_key_ends_the_paging_loudly(pendo: Subscription) -> None:
    """Without the key it is not known where the next page begins."""
    page = '{"results":[{"metadata":{"auto":{"lastupdated":1773000000000}}},{"metadata":{}}]}'
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitors/", times=-1, status=200, answer=page))
    out = pendo.read("visitors", state={"visitors": {"lastupdated": "2026-01-01T00:00:00.000Z"}})
    assert "without visitorId" in out.failures["visitors"].message


@pytest.mark.parametrize("answer", ['{"results":null}', '{"results":[]}'])
def test_nobody_is_a_legal_answer(pendo: Subscription, answer: str) -> None:
    """A subscription without accounts is complete and empty."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body="accounts/", status=200, answer=answer))
    out = pendo.read("accounts")
    assert out.statuses["accounts"] == ["STARTED", "COMPLETE"]
    assert out.records["accounts"] == []
