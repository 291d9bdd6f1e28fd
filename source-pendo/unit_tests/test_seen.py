"""What each visitor answered or saw last: the whole life once, then the days since the state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pendo_reader import Row, Subscription, as_json, instant
from simulators.faults import Fault
from simulators.pendo.events import Event
from source_kit.convert import snake_case
from test_kit.messages import Output

POLLS, GUIDES = "poll_responses", "guides_seen"
KEYS = {POLLS: ("visitor_id", "guide_id", "poll_id"), GUIDES: ("visitor_id", "guide_id", "guide_step_id")}
CURSORS = {POLLS: "time", GUIDES: "last_seen_at"}
DAY_MS = 86_400_000


def table(stream: str, *syncs: Output) -> dict[tuple[Any, ...], str]:
    """A table that upserts."""
    rows = [row for sync in syncs for row in sync.records[stream]]
    return {tuple(map(row.get, KEYS[stream])): as_json(row) for row in rows}


def truth(pendo: Subscription, stream: str) -> dict[tuple[Any, ...], str]:
    """What the table must hold, in our names and forms."""
    rows = [{snake_case(name): value for name, value in row.items()} for row in pendo.truth(stream)]
    for row in rows:
        row |= {name: instant(at) if at else None for name, at in row.items() if name == "time" or name.endswith("_at")}
        if stream == POLLS:
            row["response"] = str(row.pop("poll_response"))
    return {tuple(map(row.get, KEYS[stream])): as_json(row) for row in rows}


def views(rows: dict[tuple[Any, ...], str]) -> dict[tuple[Any, ...], Row]:
    """A table without what a later event changes in a row whose latest view is old: no window has such a row."""
    changing = {"last_state", "last_advanced_auto_at", "last_dismissed_auto_at", "last_timeout_at"}
    return {
        key: {name: value for name, value in json.loads(row).items() if name not in changing}
        for key, row in rows.items()
    }


def happens(
    pendo: Subscription, source: str, like: Row, at: int, visible_at: int | None = None, **columns: Any
) -> None:
    """Something more happens, like an event that has happened before."""
    days = pendo.sim.subscription.events[source]
    known = next(
        event
        for events in days.values()
        for event in events
        if all(event.row.get(name) == like[name] for name in ("visitorId", "guideId") if name in like)
    )
    calendar = pendo.sim.subscription.calendar
    day = calendar.midnight(calendar.day_of(at))
    days.setdefault(day, []).append(Event({**known.row, **columns}, at, visible_at or at))


def nps_answer(pendo: Subscription, *, with_reason: bool) -> tuple[Row, str]:
    """An old score with or without its reason, and the poll of the reason."""
    follow_ups = {poll["id"]: poll["attributes"].get("followUp") for g in pendo.truth("guides") for poll in g["polls"]}
    old = instant(pendo.sim.subscription.now - 15 * DAY_MS)
    row = next(
        row
        for row in pendo.truth(POLLS)
        if row["npsScore"] is not None and instant(row["time"]) < old and (row["npsComment"] is not None) == with_reason
    )
    return row, follow_ups[row["pollId"]]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [POLLS, GUIDES])
def test_small_pages_and_both_names_of_the_answer_give_the_same_rows(pendo: Subscription, stream: str) -> None:
    pendo.sim.mutate("switch", answer_name="response")
    out = pendo.read(stream, record_limit=5)
    assert len(pendo.pipelines("pollsSeenEver") + pendo.pipelines("guidesSeenEver")) > 5
    pendo.sim.mutate("switch", answer_name="pollResponse")
    assert table(stream, out) == truth(pendo, stream)
    assert out.state(stream) == {CURSORS[stream]: instant(pendo.sim.subscription.now), "version": 1}


@pytest.mark.parametrize("stream", [POLLS, GUIDES])
def test_an_interrupted_first_reading_goes_on_at_its_visitor(pendo: Subscription, stream: str) -> None:
    """What happened to earlier visitors meanwhile comes with the next sync."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body=f"{stream}/", skip=3, times=-1, status=500))
    first = pendo.read(stream, record_limit=15)
    began = pendo.sim.subscription.now
    assert first.statuses[stream][-1] == "INCOMPLETE"
    pendo.sim.faults.clear()
    pendo.sim.mutate("advance", days=2)
    early = {"visitorId": first.records[stream][0]["visitor_id"], "guideId": first.records[stream][0]["guide_id"]}
    happens(pendo, "pollEvents" if stream == POLLS else "guideEvents", early, began + DAY_MS, type="guideSeen")
    second = pendo.read(stream, state={stream: first.state(stream)}, record_limit=15)
    assert len(second.records[stream]) < len(truth(pendo, stream))
    assert instant(began) in second.state(stream).values()
    third = pendo.read(stream, state={stream: second.state(stream)})
    assert table(stream, first, second, third) == truth(pendo, stream)


@pytest.mark.slow
@pytest.mark.parametrize(("late", "at_once"), [(False, 10_000), (True, 1)])
@pytest.mark.parametrize("score_is_old", [True, False])
def test_a_score_and_its_reason_stay_together_in_an_incremental_sync(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, score_is_old: bool, late: bool, at_once: int
) -> None:
    """One of the two is older than the window: a reason that comes later, and a new score beside the old reason."""
    monkeypatch.setattr("source_pendo.streams.seen._HALVES_AT_ONCE", at_once)
    first = pendo.read(POLLS)
    old, reason = nps_answer(pendo, with_reason=not score_is_old)
    pendo.sim.mutate("advance", days=1)
    now = pendo.sim.subscription.now
    new = {"pollId": reason, "pollResponse": "too slow"} if score_is_old else {"pollResponse": 9}
    new = {"pollId": old["pollId"], **new}
    happens(pendo, "pollEvents", old, now - (5 * DAY_MS if late else 60_000), now, **new)
    second = pendo.read(POLLS, state={POLLS: first.state(POLLS)}, record_limit=20)
    assert table(POLLS, first) != truth(pendo, POLLS)
    assert table(POLLS, first, second) == truth(pendo, POLLS)
    key = old["visitorId"], old["guideId"], old["pollId"]
    row = json.loads(table(POLLS, second)[key])
    assert row["nps_comment"] == ("too slow" if score_is_old else old["npsComment"])
    assert len(second.records[POLLS]) == len(table(POLLS, second))


@pytest.mark.slow
def test_scores_that_wait_for_reasons_cost_no_more_than_one_reading_of_all_answers(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many parts they are asked for in."""
    monkeypatch.setattr("source_pendo.streams.seen._HALVES_AT_ONCE", 2)
    state = {"time": instant(pendo.sim.subscription.now), "version": 1}
    out = pendo.read(POLLS, state={POLLS: state}, record_limit=10)
    asked = [request for request in pendo.pipelines("pollsSeenEver") if len(request) > 3]
    pages = len(pendo.truth(POLLS)) / 10
    assert 2 < len(asked) < 2 * pages
    now = truth(pendo, POLLS)
    assert {key: now[key] for key in table(POLLS, out)} == table(POLLS, out)


@pytest.mark.parametrize("stream", [POLLS, GUIDES])
def test_a_later_sync_is_one_question_about_the_days_since_the_state(pendo: Subscription, stream: str) -> None:
    """It ends now: a row whose visitor comes back leaves a window that ended earlier."""
    first = pendo.read(stream)
    pendo.sim.mutate("advance", days=3)
    pendo.sim.requests.clear()
    second = pendo.read(stream, state={stream: first.state(stream)})
    asked = pendo.pipelines("pollsSeen" if stream == POLLS else "guidesSeen")
    series = {"period": "dayRange", "first": "date(2026,3,9)", "last": "now()"}
    assert [pipeline[0]["source"]["timeSeries"] for pipeline in asked] == [series]
    assert second.state(stream) == {CURSORS[stream]: instant(pendo.sim.subscription.now), "version": 1}
    assert views(table(stream, first, second)) == views(truth(pendo, stream))


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
@pytest.mark.parametrize("stream", [POLLS, GUIDES])
def test_where_pendo_refuses_windows_later_syncs_read_everything(pendo: Subscription, stream: str, status: int) -> None:
    first = pendo.read(stream)
    pendo.sim.mutate("advance", days=3)
    source = "pollsSeen" if stream == POLLS else "guidesSeen"
    pendo.sim.faults.add(Fault("status", path="aggregation", body=f'"{source}"', times=-1, status=status))
    second = pendo.read(stream, state={stream: first.state(stream)})
    assert second.logged("refuses to list only what happened lately")
    assert second.failures == {}
    assert table(stream, second) == truth(pendo, stream)
    assert second.state(stream) == {CURSORS[stream]: instant(pendo.sim.subscription.now), "version": 1}


def test_what_comes_to_light_hours_after_the_sync_is_not_lost_without_a_lookback(pendo: Subscription) -> None:
    """Shortly after midnight in the subscription's time zone, which is five hours behind UTC."""
    midnight = pendo.sim.subscription.calendar.midnight(pendo.sim.now.date())
    pendo.sim.mutate("advance", hours=(midnight + 600_000 + DAY_MS - pendo.sim.subscription.now) / 3_600_000)
    first = pendo.read(GUIDES)
    before = pendo.sim.subscription.now
    row = pendo.truth(GUIDES)[0]
    pendo.sim.mutate("advance", hours=8)
    seen = {"type": "guideSeen", "guideStepId": row["guideStepId"]}
    happens(pendo, "guideEvents", row, before - 3_600_000, before + 6 * 3_600_000, **seen)
    second = pendo.read(GUIDES, state={GUIDES: first.state(GUIDES)}, lookback_window=0)
    assert views(table(GUIDES, first)) != views(truth(pendo, GUIDES))
    assert views(table(GUIDES, first, second)) == views(truth(pendo, GUIDES))


@pytest.mark.parametrize("stream", [POLLS, GUIDES])
def test_a_state_in_the_future_reads_the_days_up_to_now_and_stays(pendo: Subscription, stream: str) -> None:
    state = {CURSORS[stream]: "2031-01-01T00:00:00.000Z", "version": 1}
    out = pendo.read(stream, state={stream: state})
    assert out.records[stream]
    assert out.state(stream) == state


def test_the_option_app_ids_restricts_the_answers(pendo: Subscription) -> None:
    """By number, as documented."""
    out = pendo.read(POLLS, app_ids=["-323232"])
    assert 0 < len(out.records[POLLS]) == len(pendo.truth(POLLS, apps="-323232")) < len(pendo.truth(POLLS))


def test_without_the_guides_answers_do_not_lose_their_types(pendo: Subscription) -> None:
    """A failure may pass: rows without types would replace those that have them. A refusal does not pass."""
    first = pendo.read(POLLS)
    state = first.state(POLLS)
    pendo.sim.faults.add(Fault("status", path="guide", status=503, times=-1))
    failed = pendo.read(POLLS, GUIDES, state={POLLS: state})
    assert failed.failures[POLLS].failure_type == "transient_error"
    assert failed.records[POLLS] == []
    assert failed.statuses[GUIDES][-1] == "COMPLETE"
    pendo.sim.faults.clear()
    pendo.sim.mutate("forbid", kinds=["guides"])
    refused = pendo.read(POLLS)
    assert refused.logged("Pendo does not list the guides, so answers come without poll_type, nps_score")
    assert refused.statuses[POLLS][-1] == "COMPLETE"
    assert set(refused.column(POLLS, "poll_type")) == {None}
    assert set(table(POLLS, refused)) == set(truth(pendo, POLLS))


def test_answers_to_polls_that_no_guide_has_are_counted_in_the_log(pendo: Subscription) -> None:
    """They replace rows that had a type, so it must not happen in silence."""
    assert not pendo.read(POLLS).logged("lists no guide")
    pendo.sim.faults.add(Fault("status", path="/guide", status=200, answer="[]"))
    out = pendo.read(POLLS)
    assert out.logged(f"{len(out.records[POLLS])} answers are to polls of which Pendo lists no guide")


def test_a_row_without_a_part_of_its_key_is_emitted_and_counted(pendo: Subscription) -> None:
    """And of several rows with one key the newest remains, in whatever order they come."""
    rows = [
        {"visitorId": "a", "guideId": "g", "pollId": "p", "time": 1773000000002, "response": 2, "accountId": "x"},
        {"visitorId": "a", "guideId": "g", "pollId": "p", "time": 1773000000001, "response": 1, "accountId": "y"},
        {"visitorId": "a", "guideId": "g", "time": 1773000000003, "response": "b"},
        {"visitorId": "a", "guideId": "g", "pollId": "", "response": "c", "time": 0},
    ]
    pendo.sim.faults.add(Fault("status", path="aggregation", status=200, answer=as_json({"results": rows})))
    out = pendo.read(POLLS)
    assert sorted(out.column(POLLS, "response")) == ["2", "b", "c"]
    assert out.logged("2 rows lack a part of their key (visitor_id, guide_id, poll_id)")
    assert out.logged("1 rows have no time")
