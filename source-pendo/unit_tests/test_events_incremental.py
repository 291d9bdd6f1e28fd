"""States of the event streams: what a second sync reads, what it must not skip, and what cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from event_rows import GROUPED, SINCE, SINGLE, SOURCES, counted, days_asked, truth_of, upserted
from simulators.faults import Fault
from source_pendo import SourcePendo
from source_pendo.config import EARLIEST_DAY

if TYPE_CHECKING:
    from pendo_reader import Subscription

ALL = (*GROUPED, *SINGLE)


def asked(pendo: Subscription, source: str = "pageEvents") -> list[str]:
    """The days that were asked for since the last time, in calendar order."""
    days = sorted(days_asked(pendo.pipelines(source)))
    pendo.sim.requests.clear()
    return days


def fail_on(pendo: Subscription, day: str, source: str = "pageEvents") -> None:
    """From now on every query for this day fails."""
    pendo.sim.faults.add(Fault("status", body=rf"{source}.*date\({day}\)", status=500, times=-1))


@pytest.mark.slow
def test_the_state_is_the_last_day_that_has_ended_everywhere_under_the_name_of_the_cursor(pendo: Subscription) -> None:
    """It is known at 16:30 UTC that the 19th has ended, not that the 20th has."""
    synced = pendo.read("page_events", "guide_events")
    rest = {"period": "day", "synced": "2026-03-20", "version": 1, "midnight": "2026-03-19T00:00:00-04:00"}
    assert synced.state("page_events") == {"day": "2026-03-19T00:00:00.000Z", **rest}
    assert synced.state("guide_events") == {"browser_time": "2026-03-19T00:00:00.000Z", **rest}
    hourly = pendo.read("page_events", period="hour")
    assert hourly.state("page_events") == {"hour": "2026-03-19T00:00:00.000Z", **rest, "period": "hour"}


@pytest.mark.parametrize(("time", "last"), [("11:59", "2026-03-19"), ("12:00", "2026-03-20")])
def test_a_day_has_ended_at_noon_utc_of_the_next(pendo: Subscription, time: str, last: str) -> None:
    """The subscription's time zone may be UTC-12. Pendo does not say how far it has processed the events."""
    pendo.sim.mutate("switch", details="absent")
    pendo.sim.mutate("advance", to=f"2026-03-21T{time}:00Z")
    state = pendo.read("poll_events", start_date="2026-03-15T00:00:00Z").state("poll_events")
    assert state["browser_time"] == f"{last}T00:00:00.000Z"


@pytest.mark.slow
def test_a_second_sync_reads_the_lookback_and_the_open_days_only(pendo: Subscription) -> None:
    """Ten closed days before the state, unless the option says otherwise."""
    first = pendo.read("page_events")
    assert asked(pendo)[0] == SINCE
    pendo.read("page_events", state=first.last_states())
    assert asked(pendo) == [f"2026-03-{day:02d}" for day in range(9, 22)]
    pendo.read("page_events", state=first.last_states(), lookback_window=2)
    assert asked(pendo) == [f"2026-03-{day:02d}" for day in range(17, 22)]


def test_without_lookback_the_last_closed_day_is_read_again_because_it_may_not_have_been_processed(
    pendo: Subscription,
) -> None:
    """A day has ended before Pendo has processed it."""
    first = pendo.read("page_events", lookback_window=0)
    asked(pendo)
    pendo.read("page_events", state=first.last_states(), lookback_window=0)
    assert asked(pendo) == ["2026-03-19", "2026-03-20", "2026-03-21"]


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_rows_that_come_late_and_rows_that_grow_reach_a_warehouse_that_upserts(
    pendo: Subscription, period: str
) -> None:
    """Rows within the lookback are emitted again, and a row that has grown replaces its older version."""
    loads = [pendo.read(*ALL, period=period, record_limit=30)]
    for source in SOURCES.values():
        if source == "emailEvents":
            continue  # the simulator's own emails come late
        pendo.sim.mutate("late", source=source, day="2026-03-12", rows=3)
        if source not in ("guideEvents", "pollEvents"):
            pendo.sim.mutate("grow", source=source, day="2026-03-13", rows=5)
    for days in (0.5, 6):
        pendo.sim.mutate("advance", days=days)
        loads.append(pendo.read(*ALL, period=period, state=loads[-1].last_states()))
    for stream in ALL:
        held = upserted(*(load.records[stream] for load in loads))
        assert counted(held) == truth_of(pendo.truth(stream, period=period, since=SINCE))


@pytest.mark.slow
def test_a_row_that_has_grown_keeps_its_key(pendo: Subscription) -> None:
    before = {row["record_id"]: row for row in pendo.read(*GROUPED).records["page_events"]}
    assert pendo.sim.mutate("grow", source="pageEvents", day="2026-03-15", rows=4)
    after = {row["record_id"]: row for row in pendo.read("page_events").records["page_events"]}
    assert set(before) == set(after)
    assert sum(before[key]["num_events"] < after[key]["num_events"] for key in before) >= 2


@pytest.mark.slow
def test_a_page_that_is_tagged_anew_brings_its_new_rows_and_leaves_the_old(pendo: Subscription) -> None:
    first = pendo.read("page_events")
    pendo.sim.mutate("retag")
    pendo.sim.mutate("advance", hours=3)
    second = pendo.read("page_events", state=first.last_states())
    held = upserted(first.records["page_events"], second.records["page_events"])
    truth = truth_of(pendo.truth("page_events", since="2026-03-10"))
    assert not truth - counted(held)
    assert counted(held) - truth


@pytest.mark.slow
def test_a_sync_may_die_after_any_of_its_states(pendo: Subscription) -> None:
    """The rows before a state and the rows of a sync from that state on are together the truth."""
    options = {"start_date": "2026-03-11T00:00:00Z", "record_limit": 40}
    for stream in ("page_events", "poll_events"):
        synced = pendo.read(stream, **options)
        truth = truth_of(pendo.truth(stream, since="2026-03-11"))
        written = 0
        states = iter(synced.states[stream])
        for kind, _ in synced.order:
            written += kind == "record"
            if kind == "state":
                resumed = pendo.read(stream, state={stream: next(states)}, lookback_window=0, **options)
                held = upserted(synced.records[stream][:written], resumed.records[stream])
                assert counted(held) == truth


@pytest.mark.slow
def test_a_first_sync_of_a_year_goes_on_at_the_day_on_which_it_died(pendo: Subscription) -> None:
    fail_on(pendo, "2025,11,15")
    options = {"start_date": "2025-03-20T00:00:00Z"}
    died = pendo.read("page_events", **options)
    assert died.statuses["page_events"][-1] == "INCOMPLETE"
    assert died.state("page_events")["day"] == "2025-11-14T00:00:00.000Z"
    asked(pendo)
    pendo.sim.faults.clear()
    resumed = pendo.read("page_events", state=died.last_states(), **options)
    assert asked(pendo)[0] == "2025-11-15"
    assert counted(resumed.records["page_events"]) == truth_of(pendo.truth("page_events", since="2026-01-01"))


@pytest.mark.slow
def test_an_interrupted_full_refresh_goes_on_where_it_stopped(pendo: Subscription) -> None:
    fail_on(pendo, "2026,3,14")
    died = pendo.read("page_events", full_refresh=True)
    asked(pendo)
    pendo.sim.faults.clear()
    resumed = pendo.read("page_events", full_refresh=True, state=died.last_states())
    assert asked(pendo)[0] == "2026-03-08"  # the days before are older than the lookback
    held = upserted(died.records["page_events"], resumed.records["page_events"])
    assert counted(held) == truth_of(pendo.truth("page_events", since=SINCE))
    pendo.read("page_events", full_refresh=True, state=resumed.last_states())
    assert asked(pendo)[0] == SINCE


@pytest.mark.slow
def test_a_sync_that_dies_while_it_reads_the_lookback_leaves_it_to_the_next(pendo: Subscription) -> None:
    """A state that a half-read lookback moved would make its other half final."""
    first = pendo.read("page_events")
    pendo.sim.mutate("advance", days=8)
    pendo.sim.mutate("late", source="pageEvents", day="2026-03-13", rows=4)
    fail_on(pendo, "2026,3,12")
    died = pendo.read("page_events", state=first.last_states(), num_workers=1)
    assert died.state("page_events") == first.state("page_events")
    pendo.sim.faults.clear()
    last = pendo.read("page_events", state=died.last_states())
    held = upserted(first.records["page_events"], died.records["page_events"], last.records["page_events"])
    assert counted(held) == truth_of(pendo.truth("page_events", since=SINCE))


@pytest.mark.slow
def test_a_day_that_fails_fails_its_stream_and_no_other(pendo: Subscription) -> None:
    """Nothing after the day that failed counts as read."""
    fail_on(pendo, "2026,3,10")
    synced = pendo.read("page_events", "feature_events")
    assert synced.statuses["page_events"][-1] == "INCOMPLETE"
    assert synced.statuses["feature_events"][-1] == "COMPLETE"
    assert synced.state("page_events")["day"] == "2026-03-09T00:00:00.000Z"
    assert counted(synced.records["feature_events"]) == truth_of(pendo.truth("feature_events", since=SINCE))


@pytest.mark.slow
def test_another_period_starts_the_stream_anew_and_says_so(pendo: Subscription) -> None:
    first = pendo.read("page_events", "guide_events")
    asked(pendo)
    second = pendo.read("page_events", "guide_events", state=first.last_states(), period="hour")
    assert second.logged("the state is of period day, the option says hour")
    assert counted(second.records["page_events"]) == truth_of(pendo.truth("page_events", period="hour", since=SINCE))
    assert set(second.states["page_events"][0]) == {"hour", "period", "synced", "version", "midnight"}
    assert asked(pendo, "guideEvents")[0] == "2026-03-09"  # single events have no period


def test_two_connections_with_different_periods_do_not_share_their_keys_and_cursors(pendo: Subscription) -> None:
    """An instance that changes its class's key would change the other connection's."""
    of_period = {
        period: {stream.name: stream for stream in SourcePendo().streams(pendo.config(period=period))}
        for period in ("day", "hour", "day")
    }
    for period, streams in of_period.items():
        for name in GROUPED:
            assert streams[name].cursor_field == period
            assert streams[name].primary_key == "record_id"
        for name in SINGLE:
            assert streams[name].cursor_field == "browser_time"


def test_without_a_start_date_thirty_days_are_read(pendo: Subscription) -> None:
    pendo.read("page_events", start_date=None)
    assert asked(pendo)[0] == "2026-02-18"


@pytest.mark.slow
@pytest.mark.parametrize("state", [None, {"day": "1999-01-01T00:00:00.000Z", "period": "day", "version": 1}])
def test_nothing_before_pendo_was_founded_is_asked_for(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | None
) -> None:
    """People write 1970 for "everything"."""
    monkeypatch.setattr("source_pendo.streams.event_days.EARLIEST_DAY", date(2026, 3, 5))
    states = {"page_events": state} if state else None
    synced = pendo.read("page_events", start_date="1970-01-01T00:00:00Z", state=states)
    assert asked(pendo)[0] == "2026-03-05"
    assert synced.logged("start_date lies before 2026-03-05, when there was no Pendo")


def test_pendo_was_founded_in_2013() -> None:
    assert date(2013, 1, 1) == EARLIEST_DAY


def test_a_start_date_behind_the_state_wins(pendo: Subscription) -> None:
    first = pendo.read("page_events")
    asked(pendo)
    pendo.read("page_events", state=first.last_states(), start_date="2026-03-18T00:00:00Z")
    assert asked(pendo) == ["2026-03-18", "2026-03-19", "2026-03-20", "2026-03-21"]


def test_a_start_date_in_the_future_reads_nothing_and_skips_nothing(pendo: Subscription) -> None:
    options = {"start_date": "2026-03-25T00:00:00Z"}
    first = pendo.read("page_events", **options)
    assert first.statuses["page_events"] == ["STARTED", "COMPLETE"]
    assert asked(pendo) == []
    pendo.sim.mutate("advance", days=9)
    second = pendo.read("page_events", state=first.last_states(), **options)
    assert asked(pendo)[0] == "2026-03-25"
    assert counted(second.records["page_events"]) == truth_of(pendo.truth("page_events", since="2026-03-25"))


@pytest.mark.parametrize("day", ["2050-01-01T00:00:00.000Z", "9999-12-31T00:00:00.000Z"])
def test_a_state_far_in_the_future_reads_nothing_and_stays(pendo: Subscription, day: str) -> None:
    state = {"day": day, "period": "day", "version": 1}
    synced = pendo.read("page_events", state={"page_events": state})
    assert synced.records["page_events"] == []
    assert synced.state("page_events") == state
    assert synced.statuses["page_events"] == ["STARTED", "COMPLETE"]


def test_a_clock_that_was_ahead_at_the_last_sync_makes_no_day_final(pendo: Subscription) -> None:
    state = {"day": "2026-03-19T00:00:00.000Z", "period": "day", "synced": "2027-03-20", "version": 1}
    pendo.read("page_events", state={"page_events": state})
    assert asked(pendo)[0] == "2026-03-09"


@pytest.mark.slow
def test_a_clock_that_is_ahead_of_pendos_leaves_the_lookback_as_it_is(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pendo's answers say when they were given, and days are final by that time only."""
    now = datetime.now(UTC)
    monkeypatch.setattr("source_kit.source.utc_now", lambda: now + timedelta(days=20))
    start = {"start_date": (now - timedelta(days=30)).isoformat()}
    first = pendo.read("page_events", **start)
    assert first.state("page_events")["synced"] in (f"{now:%Y-%m-%d}", f"{now + timedelta(minutes=5):%Y-%m-%d}")
    asked(pendo)
    pendo.read("page_events", state=first.last_states(), **start)
    assert asked(pendo)[0] <= f"{now - timedelta(days=10):%Y-%m-%d}"


@pytest.mark.parametrize(("time", "last"), [("09:59", "2026-03-21"), ("10:00", "2026-03-22")])
def test_no_day_is_asked_for_that_has_begun_nowhere(pendo: Subscription, time: str, last: str) -> None:
    """The subscription's time zone may be UTC+14."""
    pendo.sim.mutate("advance", to=f"2026-03-21T{time}:00Z")
    pendo.read("page_events", start_date="2026-03-18T00:00:00Z")
    assert asked(pendo)[-1] == last


@pytest.mark.slow
@pytest.mark.parametrize(
    "state",
    [
        {"day": 5},
        {"day": "yesterday"},
        {"day": "2026-03-01T00:00:00.000Z", "version": 2},
        {"day": "2026-03-01T00:00:00.000Z", "synced": "soon"},
        {"day": "2026-03-01T00:00:00.000Z", "synced": 7},
        {"day": "0001-01-01T00:00:00.000Z"},
        {"bookmarks": {"events": {"day": "2026-03-01T00:00:00Z"}}},
        {"day": "2026-03-01T00:00:00.000Z", "period": "garbage"},
        {"day": "2026-03-01T00:00:00.000Z", "period": ["day"]},
        {"day": "2026-03-01T00:00:00.000Z", "period": "hour"},
        {"hour": "yesterday", "period": "hour"},
        {"day": "2026-03-01T00:00:00.000Z", "midnight": "at noon"},
        {"day": "2026-03-01T00:00:00.000Z", "midnight": 7},
        {"day": None, "period": "day", "version": 1},
        {"period": "hour", "version": 1},
        {"browser_time": "2026-03-01T00:00:00.000Z", "period": "day", "version": 1},
        {"last_updated_at": "2026-03-01T00:00:00.000Z", "version": 1},
        {"version": 1},
    ],
)
def test_a_state_that_cannot_be_read_fails_with_what_it_should_be_like(
    pendo: Subscription, state: dict[str, Any]
) -> None:
    synced = pendo.read(
        "page_events", "feature_events", state={"page_events": state}, start_date="2026-03-18T00:00:00Z"
    )
    failure = synced.failures.pop("page_events")
    assert failure.message.startswith("The state of stream page_events cannot be read: it must be like")
    assert failure.failure_type == "config_error"
    assert synced.records["page_events"] == []
    assert synced.statuses["feature_events"][-1] == "COMPLETE"


@pytest.mark.slow
def test_a_state_is_small_however_long_the_history(pendo: Subscription) -> None:
    synced = pendo.read("poll_events", start_date="2025-06-01T00:00:00Z")
    assert len(str(synced.state("poll_events"))) < 200


@pytest.mark.slow
def test_days_come_in_the_order_of_the_calendar_however_many_workers_read_them(pendo: Subscription) -> None:
    synced = pendo.read("page_events", num_workers=8)
    days = [state["day"] for state in synced.states["page_events"]]
    assert days == sorted(days)
    assert days[-1] == "2026-03-19T00:00:00.000Z"


@pytest.mark.slow
def test_a_history_in_three_parts_is_the_history_at_once(pendo: Subscription) -> None:
    """The state of the last part is that of a sync of the whole, and the next sync goes on from it."""
    bounds = ["2026-03-14T00:00:00Z", "2026-03-16T00:00:00Z", "2026-03-18T00:00:00Z", None]
    streams = ("page_events", "guide_events")
    whole = pendo.read(*streams, start_date=bounds[0])
    pendo.sim.requests.clear()
    parts = [pendo.read(*streams, start_date=start, end_date=end) for start, end in pairwise(bounds)]
    assert asked(pendo) == [f"2026-03-{day}" for day in range(14, 22)]
    for stream in streams:
        rows = [row for part in parts for row in part.records[stream]]
        assert counted(rows, ()) == counted(whole.records[stream], ())
    assert parts[0].state("page_events")["day"] == "2026-03-15T00:00:00.000Z"
    assert parts[-1].last_states() == whole.last_states()
    pendo.read("page_events", state=parts[-1].last_states(), end_date="2026-03-18T00:00:00Z")
    assert asked(pendo) == []


def test_a_state_behind_the_end_date_reads_nothing_and_stays(pendo: Subscription) -> None:
    state = {"day": "2026-03-12T00:00:00.000Z", "period": "day", "version": 1}
    synced = pendo.read("page_events", state={"page_events": state}, end_date="2026-03-12T00:00:00Z")
    assert asked(pendo) == []
    assert synced.state("page_events") == state
    assert synced.statuses["page_events"] == ["STARTED", "COMPLETE"]
    assert synced.logged("end_date is 2026-03-12, so there is nothing to read")


def test_a_part_that_was_read_reads_its_lookback_again_but_no_day_from_the_end_date_on(pendo: Subscription) -> None:
    options = {"start_date": "2026-03-14T00:00:00Z", "end_date": "2026-03-17T18:30:00-05:00"}
    first = pendo.read("page_events", **options)
    assert asked(pendo) == ["2026-03-14", "2026-03-15", "2026-03-16"]
    second = pendo.read("page_events", state=first.last_states(), **options)
    assert asked(pendo) == ["2026-03-14", "2026-03-15", "2026-03-16"]
    assert second.last_states() == first.last_states()
