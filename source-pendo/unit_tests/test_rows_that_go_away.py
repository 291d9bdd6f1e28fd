"""Rows that Pendo no longer has: known by their reading, and filtered out by the view of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
import pytest
from event_rows import GROUPED, SINGLE, counted, keys, truth_of, upserted

if TYPE_CHECKING:
    from pendo_reader import Subscription
    from source_kit.http.client import Connection

Row = dict[str, Any]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "pendo.md"
STREAMS = (*GROUPED, *SINGLE)
#: The days of the lookback and later ones, which every sync reads anew
SINCE = "2026-03-11"
OPTIONS = {"start_date": f"{SINCE}T00:00:00Z"}


def rows_of_the_view(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """What the view of the documentation shows of a table that holds these rows."""
    (view,) = re.findall(r"```sql\n(create view page_events_now .*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    with duckdb.connect() as warehouse:
        warehouse.execute("create table page_events (read_day date, read_at timestamptz, record varchar)")
        values = [(row["read_day"], row["read_at"], orjson.dumps(dict(row)).decode()) for row in rows]
        warehouse.executemany("insert into page_events values (?, ?, ?)", values)
        warehouse.execute(view)
        return [
            orjson.loads(record) for (record,) in warehouse.execute("select record from page_events_now").fetchall()
        ]


def next_sync(pendo: Subscription, first: Any, *streams: str, **options: Any) -> Any:
    pendo.sim.mutate("advance", hours=1)
    synced = pendo.read(*streams, state=first.last_states(), **OPTIONS, **options)
    assert synced.failures == {}
    return synced


@pytest.mark.slow
def test_all_rows_of_a_day_say_which_day_was_read_and_when_that_began(pendo: Subscription) -> None:
    synced = pendo.read(*STREAMS, record_limit=10, **OPTIONS)
    for stream in STREAMS:
        readings = {(row["read_day"], row["read_at"]) for row in synced.records[stream]}
        assert len(readings) == len({day for day, _ in readings}) == 10
        assert {at for _, at in readings} == {"2026-03-20T16:30:00.000Z"}
    for row in synced.records["page_events"]:
        assert row["day"] == f"{row['read_day']}T04:00:00.000Z"


def test_a_clock_that_is_ahead_dates_no_reading_later_than_pendo_does(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, once the clock is corrected, newer readings would look older, and the view would hide them."""
    monkeypatch.setattr("source_pendo.client.Connection.note_clock", _two_hours_ahead)
    synced = pendo.read("page_events", **OPTIONS)
    assert set(synced.column("page_events", "read_at")) == {"2026-03-20T14:30:00.000Z"}


def _two_hours_ahead(connection: Connection, *_: Any) -> None:
    connection.clock_ahead = timedelta(hours=2)


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_identity_mapping_and_tagging_anew_leave_the_view_equal_to_the_truth(pendo: Subscription, period: str) -> None:
    """Rows move to another visitor, vanish and appear; a table that upserts holds both, the view only what is left."""
    first = pendo.read(*STREAMS, period=period, **OPTIONS)
    assert pendo.sim.mutate("map_identity", visitor_id="ann@example.com", to="Ann@example.com") > 100
    pendo.sim.mutate("retag")
    second = next_sync(pendo, first, *STREAMS, period=period)
    for stream in STREAMS:
        truth = truth_of(pendo.truth(stream, period=period, since=SINCE))
        table = upserted(first.records[stream], second.records[stream])
        assert counted(table) - truth
        assert counted(rows_of_the_view(table)) == truth
        appended = [*first.records[stream], *second.records[stream]]
        assert counted(rows_of_the_view(appended)) == truth


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["page_events", "guide_events"])
def test_another_time_zone_doubles_no_day_and_is_warned_of(pendo: Subscription, stream: str) -> None:
    """The key of a day's row holds the calendar day, and its instant moves."""
    first = pendo.read(stream, **OPTIONS)
    pendo.sim.mutate("time_zone", zone="America/Los_Angeles")
    second = next_sync(pendo, first, stream)
    assert second.logged("the subscription's time zone was changed (UTC-04:00 before, UTC-07:00 now)")
    assert second.state(stream)["midnight"] == "2026-03-19T00:00:00-07:00"
    table = upserted(first.records[stream], second.records[stream])
    assert counted(rows_of_the_view(table)) == truth_of(pendo.truth(stream, since=SINCE))
    third = next_sync(pendo, second, stream)
    assert not third.logged("time zone was changed")


def test_a_row_of_another_time_zone_replaces_itself(pendo: Subscription) -> None:
    first = pendo.read("page_events", **OPTIONS)
    pendo.sim.mutate("time_zone", zone="America/Chicago")
    second = next_sync(pendo, first, "page_events")
    days = {row["day"] for row in upserted(first.records["page_events"], second.records["page_events"])}
    moved = [
        row for row in second.records["page_events"] if row["record_id"] in set(keys(first.records["page_events"]))
    ]
    assert len(moved) > 100
    assert "2026-03-15T05:00:00.000Z" in days


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Kathmandu"])
def test_a_change_by_an_hour_is_seen_on_a_day_that_is_read_again(pendo: Subscription, zone: str) -> None:
    """Daylight saving cannot change the start of a past day."""
    first = pendo.read("events", **OPTIONS)
    pendo.sim.mutate("time_zone", zone=zone)
    assert next_sync(pendo, first, "events").logged("the subscription's time zone was changed (UTC-04:00 before")


def test_daylight_saving_is_no_other_time_zone(pendo: Subscription) -> None:
    """New York moved its clocks on 2026-03-08; the day of the state is not read again."""
    state = {"day": "2026-03-01T00:00:00.000Z", "synced": "2026-03-20", "midnight": "2026-03-01T00:00:00-05:00"}
    synced = pendo.read("events", state={"events": state}, start_date="2026-03-09T00:00:00Z", lookback_window=0)
    assert not synced.logged("time zone")
