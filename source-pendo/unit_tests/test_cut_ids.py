"""Ids that Pendo cut in the middle of a letter: a comparison with them finds other rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from event_rows import answer, answered_by, counted, truth_of
from source_pendo.aggregation import EventSource
from source_pendo.client import QueryTooBig
from source_pendo.day_reader import DayReader
from source_pendo.paging import KeyPager, KeyTooLarge, is_exact, may_begin_at

if TYPE_CHECKING:
    from pendo_reader import Subscription

Row = dict[str, Any]
OPTIONS = {"start_date": "2026-03-15T00:00:00Z"}


@pytest.mark.slow
@pytest.mark.parametrize("record_limit", [1, 2, 3, 7])
def test_no_row_is_skipped_whatever_the_pages(pendo: Subscription, record_limit: int) -> None:
    """Pendo orders and compares by its own bytes, so `>= "...<U+FFFD>"` skips the rows of that very id."""
    cut = pendo.sim.mutate("cut_id", visitor_id="ann@example.com")
    pendo.sim.mutate("cut_id", visitor_id="Ann@example.com")
    assert cut.endswith("\ufffd")
    synced = pendo.read("page_events", "guide_events", "visitors", record_limit=record_limit, **OPTIONS)
    assert synced.failures == {}
    for stream in ("page_events", "guide_events"):
        assert counted(synced.records[stream]) == truth_of(pendo.truth(stream, since="2026-03-15"))
    assert set(synced.column("visitors", "visitor_id")) == {row["visitorId"] for row in pendo.truth("visitors")}
    asked = [
        stage["filter"] for request in pendo.asked("aggregation") for stage in _stages(request) if "filter" in stage
    ]
    assert asked
    assert not any("\ufffd" in text for text in asked)


def _stages(request: Any) -> Iterator[Row]:
    yield from request.json()["request"]["pipeline"]


def test_a_visitor_with_a_cut_id_and_more_rows_than_the_largest_page_is_read_by_hours(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 2026-03-16 that visitor has 60 rows."""
    monkeypatch.setattr("source_pendo.day_reader.LARGEST_RECORD_LIMIT", 35)
    pendo.sim.mutate("cut_id", visitor_id="ann@example.com")
    synced = pendo.read("guide_events", record_limit=10, **OPTIONS)
    assert synced.failures == {}
    assert counted(synced.records["guide_events"]) == truth_of(pendo.truth("guide_events", since="2026-03-15"))


def test_nothing_but_cut_ids_ends_the_paging_loudly() -> None:
    rows = [{"key": f"{number}\ufffd"} for number in range(4)]
    pager = KeyPager("key", 2, 4)
    pager.add(rows[:2])
    pager.end_page()
    assert pager.limit == 4
    pager.add(rows)
    with pytest.raises(KeyTooLarge):
        pager.end_page()
    assert pager.bound is None


@pytest.mark.parametrize("character", ["\ufffd", "\x00", "\n", "\x7f", "\x9f", "\u2028", chr(0xD800), "\uffff"])
def test_what_does_not_come_back_byte_for_byte_is_no_beginning(character: str) -> None:
    assert not is_exact(f"ann{character}")
    assert not may_begin_at(f"{character}ann")


@pytest.mark.parametrize("character", ['"', "'", "`", "\\"])
def test_what_ends_a_literal_or_escapes_is_no_beginning_if_it_can_be_helped(character: str) -> None:
    assert is_exact(f"ann{character}")
    assert not may_begin_at(f"{character}ann")


@pytest.mark.parametrize("text", ["ann@example.com", "", "Ünïcödé 😀", "a/b%c+d?e#f", "_PENDO_T_x"])
def test_usual_ids_are(text: str) -> None:
    assert may_begin_at(text)


@pytest.mark.parametrize(
    "listed",
    [
        [{"appId": -323232}, {"appId": 6304859583021056}],
        [{"appId": "-323232"}, {"appId": " 6304859583021056 "}],
        [{"id": -323232.0}, {"id": "6304859583021056"}],
        [{"appId": None, "id": "-323232.0"}, {"appId": "", "id": 6304859583021056}],
    ],
)
def test_applications_are_understood_under_either_name_as_number_and_as_text(listed: list[Row]) -> None:
    assert _apps_asked_for(listed) == {(-323232,), (6304859583021056,)}


@pytest.mark.parametrize("listed", [[{"appId": "web"}], [{"appId": True}], [{"name": "Shop"}], [{"appId": 5}, {}]])
def test_an_application_that_is_not_named_leaves_the_day_to_its_hours(listed: list[Row]) -> None:
    assert _apps_asked_for(listed) == {()}


def _apps_asked_for(listed: list[Row]) -> set[tuple[int, ...]]:
    """The applications into which a day that is too much was split."""
    asked: set[tuple[int, ...]] = set()

    def ask(label: str, pipeline: Any) -> Any:
        (parameters,) = (value for name, value in pipeline[0]["source"].items() if name != "timeSeries")
        apps = parameters["appId"]
        if "group" in pipeline[-1]:
            return answer(listed)
        by_hour = pipeline[0]["source"]["timeSeries"]["period"] == "hourRange"
        if apps == 'expandAppIds("*")' and not by_hour:
            raise QueryTooBig(message="too much")
        asked.add(() if apps == 'expandAppIds("*")' else tuple(apps))
        return answer([], startTime=1772341200000)

    source = EventSource("guideEvents", "day", ("browserTime",), merge_hours=False)
    reader = DayReader(source, answered_by(ask), 10)
    assert [row for rows in reader.read(date(2026, 3, 1)) for row in rows] == []
    return asked
