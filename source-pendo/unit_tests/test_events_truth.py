"""What arrives from the event streams, compared with what the subscription holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from event_rows import GROUPED, SINCE, SINGLE, SOURCES, counted, days_asked, expected, keys, truth_of, upserted
from simulators.faults import Fault

if TYPE_CHECKING:
    from pendo_reader import Subscription


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_every_row_of_every_event_stream_arrives_once_under_a_key_of_its_own(pendo: Subscription, period: str) -> None:
    """As many keys as the truth has rows, though a page is smaller than a busy day and than a visitor.

    Every column and every value is the truth's.
    """
    synced = pendo.read(*GROUPED, *SINGLE, period=period, record_limit=25)
    assert synced.failures == {}
    for stream in (*GROUPED, *SINGLE):
        truth = pendo.truth(stream, period=period, since=SINCE)
        assert len(truth) > 150
        assert counted(synced.records[stream]) == truth_of(truth)
        assert len(set(keys(synced.records[stream]))) == len(truth)


@pytest.mark.slow
def test_two_full_refreshes_give_the_same_rows_under_the_same_keys(pendo: Subscription) -> None:
    streams = (*GROUPED, *SINGLE)
    first = pendo.read(*streams, full_refresh=True, record_limit=20)
    second = pendo.read(*streams, full_refresh=True, record_limit=50_000)
    for stream in streams:
        assert counted(first.records[stream], ()) == counted(second.records[stream], ())


@pytest.mark.slow
def test_all_applications_are_read_unless_some_are_named(pendo: Subscription) -> None:
    """Without `expandAppIds` Pendo answers only for the default application."""
    assert len(set(pendo.read("page_events").column("page_events", "app_id"))) == 3
    synced = pendo.read("page_events", "guide_events", app_ids=["-323232", "5720146138021888"])
    for stream in ("page_events", "guide_events"):
        assert counted(synced.records[stream]) == truth_of(
            pendo.truth(stream, since=SINCE, apps="-323232,5720146138021888")
        )


@pytest.mark.slow
def test_a_day_costs_one_request_however_many_objects_there_are(pendo: Subscription) -> None:
    """No request per page, feature or guide, so no bookmark and no order of parents."""
    synced = pendo.read(*GROUPED, *SINGLE)
    assert len(set(synced.column("page_events", "page_id"))) > 5
    for source in SOURCES.values():
        pipelines = [pipeline for pipeline in pendo.pipelines(source) if "sort" in pipeline[1]]
        assert len(pipelines) == 21  # from the first of March to the day that has begun in the east
        assert all(set(pipeline[0]["source"][source]) == {"appId"} for pipeline in pipelines)
        assert len(days_asked(pipelines)) == 21


def test_a_day_is_asked_for_as_a_calendar_day_of_the_subscription(pendo: Subscription) -> None:
    """No milliseconds and no shared boundaries: one day, or the hours up to the next midnight."""
    pendo.read("page_events")
    pendo.read("feature_events", period="hour")
    for pipeline in pendo.pipelines("pageEvents"):
        series = pipeline[0]["source"]["timeSeries"]
        assert re.fullmatch(r"date\(2026,3,\d+\)", series["first"])
        assert {key: series[key] for key in series if key != "first"} == {"period": "dayRange", "count": 1}
        assert [next(iter(stage)) for stage in pipeline[1:]] == ["sort", "limit"]
    hourly = [pipeline[0]["source"]["timeSeries"] for pipeline in pendo.pipelines("featureEvents")]
    assert {"period": "hourRange", "first": "date(2026,3,7)", "last": "date(2026,3,8) - 1"} in hourly


def test_the_day_that_is_an_hour_short_has_all_of_its_hours_and_none_of_the_next_day(pendo: Subscription) -> None:
    """On 2026-03-08 daylight saving time begins in New York: a day of 23 hours."""
    options = {"start_date": "2026-03-07T00:00:00Z", "period": "hour"}
    hours = pendo.read("page_events", **options).column("page_events", "hour")
    wanted = [expected(row)["hour"] for row in pendo.truth("page_events", period="hour", since="2026-03-07")]
    assert sorted(hours) == sorted(wanted)


@pytest.mark.slow
def test_anonymous_visitors_are_in_the_event_streams_whatever_the_option_says(pendo: Subscription) -> None:
    synced = pendo.read(*GROUPED, *SINGLE, include_anonymous_visitors=False)
    for stream in (*GROUPED, *SINGLE):
        assert any(visitor.startswith("_PENDO_T_") for visitor in synced.column(stream, "visitor_id"))


def test_free_form_maps_arrive_as_objects_under_their_own_names(pendo: Subscription) -> None:
    """No text of an object, no lost property, no two properties under one name."""
    synced = pendo.read("page_events", "track_events")
    assert {"parameter": 'it\'s "new"'} in synced.column("page_events", "parameters")
    properties = synced.column("track_events", "properties")[0]
    assert set(properties) == {"__sg__", "__utm__", "widgetname", "size", "Size", "nested"}
    assert properties["__sg__"] == {"visitormetadata.agent__plan": "gold"}


def test_an_answer_to_a_poll_is_a_text_and_where_it_is_a_score_a_number_too(pendo: Subscription) -> None:
    rows = pendo.read("poll_events").records["poll_events"]
    for row in rows:
        assert isinstance(row["poll_response"], str)
        if row["poll_type"] == "NPSRating":
            assert row["poll_response_number"] == int(row["poll_response"])
        else:
            assert row.get("poll_response_number") is None


def test_a_day_without_rows_is_an_empty_day_also_when_pendo_writes_null(pendo: Subscription) -> None:
    pendo.sim.mutate("switch", null_when_empty=True)
    synced = pendo.read("page_events", "guide_events", start_date="2026-02-20T00:00:00Z")
    assert synced.failures == {}
    assert pendo.truth("page_events", since="2026-02-20")
    assert counted(synced.records["page_events"]) == truth_of(pendo.truth("page_events", since="2026-02-20"))


def test_rows_that_differ_only_in_an_unknown_column_are_both_there_whatever_grows(pendo: Subscription) -> None:
    """Rows that differ only in a column that is not hashed have numbers; all rows of a visitor come in one list."""
    row = {
        "visitorId": "ann@example.com",
        "pageId": "p",
        "day": 1773892800000,
        "numEvents": 1,
        "lastTime": 1773900000000,
    }
    one = row | {"firstTime": 1773896400000, "somethingNew": {"kind": "x"}}
    other = row | {"firstTime": 1773896500000, "somethingNew": {"kind": "y"}, "newCounter": 1}
    grown = [other | {"firstTime": 1773896300000, "newCounter": 7}, one | {"numEvents": 5}, row | {"firstTime": 1}]
    loads = []
    for rows in ([one, other], grown):
        pendo.sim.faults.clear()
        answer = json.dumps({"results": rows})
        pendo.sim.faults.add(Fault("status", body=r"date\(2026,3,19\)", status=200, answer=answer, times=-1))
        loads.append(pendo.read("page_events", start_date="2026-03-19T00:00:00Z").records["page_events"])
    held = [held for held in upserted(*loads) if held["read_day"] == "2026-03-19"]
    assert counted(held) == truth_of(grown)


def test_a_row_that_does_not_say_its_day_is_emitted_and_counted(pendo: Subscription) -> None:
    """The day that was asked for is in its key, and in `read_day`."""
    body = '{"results":[{"visitorId":"ann@example.com","pageId":"p","numEvents":1}]}'
    pendo.sim.faults.add(Fault("status", path="aggregation", status=200, answer=body, times=-1))
    synced = pendo.read("page_events", start_date="2026-03-19T00:00:00Z")
    assert sorted(synced.column("page_events", "read_day")) == ["2026-03-19", "2026-03-20", "2026-03-21"]
    assert len(set(keys(synced.records["page_events"]))) == 3
    assert synced.logged("3 rows do not say their day")


def test_a_row_that_does_not_say_its_hour_stops_the_stream_before_rows_replace_one_another(
    pendo: Subscription,
) -> None:
    body = '{"results":[{"visitorId":"ann@example.com","pageId":"p","numEvents":1}]}'
    pendo.sim.faults.add(Fault("status", path="aggregation", status=200, answer=body, times=-1))
    synced = pendo.read("page_events", period="hour")
    assert "does not say its hour" in synced.failures["page_events"].message
    assert synced.records["page_events"] == []
    assert synced.states["page_events"] == []
