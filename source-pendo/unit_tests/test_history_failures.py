"""Visitors whose history Pendo fails to answer: all others are read, and the next sync asks for these again."""

from __future__ import annotations

from typing import Any

import pytest
from pendo_reader import Row, Subscription, as_json, history_of, instant, visitor_in
from simulators.faults import Fault

STREAM = "visitor_history"
DAY_MS = 86_400_000
ALL_DAYS = "2026-02-24T00:00:00Z"
ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def _few_visitors(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    pendo.sim.subscription.visitors = pendo.sim.subscription.visitors[:16]
    monkeypatch.setattr("source_pendo.history_reader._VISITORS_A_SLICE", 3)
    monkeypatch.setattr("source_pendo.streams.visitor_history.VisitorHistory.state_interval", 0.0)


def fail(pendo: Subscription, visitor_id: str, status: int = 500, times: int = -1) -> None:
    """From now on the history of a visitor is answered with an error."""
    pendo.sim.faults.add(Fault("status", path=history_of(visitor_id), status=status, times=times))


def activity(row: Row) -> str:
    """The values by which our record and Pendo's row are compared."""
    columns = {
        "visitor_id": "visitorId",
        "page_id": "pageId",
        "feature_id": "featureId",
        "track_type_id": "trackTypeId",
        "untagged_url": "untaggedUrl",
    }
    at = row["ts"] if isinstance(row["ts"], str) else instant(row["ts"])
    return as_json([at, *(row.get(our, row.get(their)) or None for our, their in columns.items())])


def truth(pendo: Subscription, without: tuple[str, ...] = ()) -> set[str]:
    return {activity(row) for row in pendo.truth(STREAM) if row["visitorId"] not in without}


def table(*syncs: Any) -> set[str]:
    """A table that upserts."""
    rows = {row["record_id"]: row for sync in syncs for row in sync.records[STREAM]}
    return set(map(activity, rows.values()))


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize("status", [400, 402, 500, 503])
def test_everybody_else_is_read_and_the_stream_says_how_many_are_missing(
    pendo: Subscription, status: int, num_workers: int
) -> None:
    fail(pendo, ANN, status)
    fail(pendo, "team/lead@example.com", status)
    out = pendo.read(STREAM, start_date=ALL_DAYS, num_workers=num_workers)
    missing = (ANN, "team/lead@example.com")
    assert out.statuses[STREAM][-1] == "INCOMPLETE"
    assert table(out) == truth(pendo, without=missing)
    failure = out.failures[STREAM]
    assert failure.message.startswith("Pendo failed to give the history of 2 visitors; all others were read.")
    assert not any(part in " ".join(failure) for part in ("ann", "team", "example.com"))
    assert "example.com" not in as_json(out.state(STREAM))
    assert out.state(STREAM)["modified_ts"] == instant(pendo.sim.subscription.now)


@pytest.mark.slow
def test_who_was_missing_comes_with_the_next_sync_and_nobody_is_read_twice_for_that(pendo: Subscription) -> None:
    fail(pendo, ANN)
    first = pendo.read(STREAM, start_date=ALL_DAYS)
    pendo.sim.mutate("advance", days=3)
    pendo.sim.requests.clear()
    still = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: first.state(STREAM)}, lookback_window=0)
    assert still.failures
    assert still.state(STREAM)["behind"] == first.state(STREAM)["behind"]
    pendo.sim.faults.clear()
    pendo.sim.mutate("advance", days=3)
    last = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: still.state(STREAM)}, lookback_window=0)
    assert last.failures == {}
    assert last.state(STREAM) == {"modified_ts": instant(pendo.sim.subscription.now), "version": 1}
    of_ann = {activity(row) for row in pendo.truth(STREAM) if row["visitorId"] == ANN}
    assert of_ann <= table(first, still, last)
    assert of_ann
    starts = [
        int(r.query["starttime"][0]) for r in pendo.sim.requests if "history" in r.path and "/ann%40" not in r.path
    ]
    assert min(starts) >= pendo.sim.subscription.now - 8 * DAY_MS


@pytest.mark.slow
def test_a_sync_that_dies_behind_a_visitor_that_failed_does_not_forget_that_one(pendo: Subscription) -> None:
    """The state to resume at holds who is missing."""
    fail(pendo, ANN, 500)
    fail(pendo, "team/lead@example.com", 403)
    first = pendo.read(STREAM, start_date=ALL_DAYS, num_workers=1)
    state = first.state(STREAM)
    assert state["resume"]["visitor_id"] > ANN
    assert len(state["behind"]) == 1
    pendo.sim.faults.clear()
    second = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: state})
    third = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: second.state(STREAM)})
    assert second.failures == third.failures == {}
    assert table(first, second, third) == truth(pendo)
    assert "behind" not in third.state(STREAM)


@pytest.mark.slow
def test_more_than_a_state_can_hold_keep_it_where_it_was(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next sync reads everything again: a re-read is free."""
    monkeypatch.setattr("source_pendo.unread_visitors._KEPT", 1)
    start = {"modified_ts": "2026-02-24T00:00:00.000Z", "version": 1}
    fail(pendo, ANN)
    fail(pendo, "team/lead@example.com")
    first = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: start})
    assert first.state(STREAM) == start
    anew = pendo.read(STREAM, start_date=ALL_DAYS)
    assert anew.state(STREAM) == {"version": 1}
    pendo.sim.faults.clear()
    for sync, state in ((first, start), (anew, {"version": 1})):
        again = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: state})
        assert again.failures == {}
        assert table(sync, again) == truth(pendo)


@pytest.mark.slow
def test_a_crowd_that_fails_side_by_side_keeps_nobody_behind_it_from_being_read(pendo: Subscription) -> None:
    """Ids with odd letters sort together. The last visitor that was answered is asked for again, and is answered."""
    visitors = pendo.sim.subscription.visitors
    some = next(row for row in visitors if row["visitorId"] == ANN)
    visitors += [{**some, "visitorId": f"bad{number:02d}"} for number in range(25)]
    pendo.sim.faults.add(Fault("status", path="/visitor/bad.*history", status=400, times=-1))
    out = pendo.read(STREAM, start_date=ALL_DAYS, num_workers=2)
    assert "of 25 visitors" in out.failures[STREAM].message
    asked = {request.path for request in pendo.sim.requests if "history" in request.path}
    assert "team/lead@example.com" in map(visitor_in, asked)


@pytest.mark.parametrize(("fault_status", "most"), [(500, 100), (403, 8)])
def test_a_pendo_that_fails_for_everybody_ends_the_stream_with_its_own_sentence(
    pendo: Subscription, fault_status: int, most: int
) -> None:
    """Not after every one of a hundred thousand visitors."""
    visitors = pendo.sim.subscription.visitors
    visitors += [{"visitorId": f"more{n:03d}", "metadata": visitors[0]["metadata"]} for n in range(200)]
    pendo.sim.faults.add(Fault("status", path="history", status=fault_status, times=-1))
    out = pendo.read(STREAM)
    assert "all others were read" not in out.failures[STREAM].message
    assert out.states[STREAM] == []
    assert len([request for request in pendo.sim.requests if "history" in request.path]) <= most


def test_a_pendo_that_stops_answering_in_the_middle_ends_the_stream(pendo: Subscription) -> None:
    visitors = pendo.sim.subscription.visitors
    visitors += [{"visitorId": f"more{n:03d}", "metadata": visitors[0]["metadata"]} for n in range(200)]
    pendo.sim.faults.add(Fault("status", path="history", status=500, times=-1, skip=30))
    out = pendo.read(STREAM, num_workers=1)
    assert len([request for request in pendo.sim.requests if "history" in request.path]) < 120
    assert out.failures[STREAM].failure_type == "transient_error"


def test_what_happened_twice_in_one_millisecond_comes_twice_however_it_is_asked_for(pendo: Subscription) -> None:
    """Also rows that differ only in a column that is not known today, and rows that do not differ at all."""
    pendo.sim.subscription.visitors = [row for row in pendo.sim.subscription.visitors if row["visitorId"] == ANN]
    at = pendo.sim.subscription.now - 5 * 3_600_000
    rows = [
        {"type": "page", "ts": at, "lastTs": at + 5, "untaggedUrl": "https://app.example.com/a"},
        {"type": "page", "ts": at, "lastTs": at + 5, "untaggedUrl": "https://app.example.com/b"},
        {"type": "x", "ts": at, "somethingNew": {"id": 1}},
        {"type": "x", "ts": at, "somethingNew": {"id": 2}},
        {"type": "click", "ts": at, "numClicks": 1},
        {"type": "click", "ts": at, "numClicks": 1},
    ]
    tables = []
    for order, grown in ((1, 0), (-1, 60)):
        answered = [
            {**row, "lastTs": row["lastTs"] + grown} if "lastTs" in row else {**row, "numClicks": 1 + grown}
            for row in rows[::order]
        ]
        pendo.sim.faults.clear()
        pendo.sim.faults.add(Fault("status", path="history", status=200, answer=as_json(answered), times=-1))
        tables.append(
            {row["record_id"] for row in pendo.read(STREAM, start_date="2026-03-15T00:00:00Z").records[STREAM]}
        )
    assert len(tables[0]) == 6
    assert tables[0] == tables[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "state",
    [
        {"last_updated_at": "2026-03-01T00:00:00.000Z", "version": 1},
        {"day": "2026-03-01T00:00:00.000Z", "period": "day", "version": 1},
        {"anything": 1},
        {"modified_ts": None, "version": 1, "other": 2},
        {"modified_ts": "2026-03-01T00:00:00.000Z", "behind": {"x": "y"}},
        {"modified_ts": "2026-03-01T00:00:00.000Z", "behind": 5},
        {"resume": {"visitor_id": "a", "until": -(10**15)}},
        {"resume": {"visitor_id": "a", "until": True}},
    ],
)
def test_a_state_of_another_shape_is_an_error_and_not_a_reading_from_the_beginning(
    pendo: Subscription, state: Row
) -> None:
    out = pendo.read(STREAM, state={STREAM: state})
    assert out.failures[STREAM].message.startswith("The state of stream visitor_history cannot be read")
    assert out.failures[STREAM].failure_type == "config_error"
    assert out.records[STREAM] == []


def test_a_state_in_the_future_stays(pendo: Subscription) -> None:
    state = {"modified_ts": "2050-01-01T00:00:00.000Z", "version": 1}
    out = pendo.read(STREAM, state={STREAM: state})
    assert out.state(STREAM) == state
