"""The data of the simulated Pendo: unusual rows, changes, and the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from simulators.pendo import CROWD_VISITOR

GROUPED = {
    "events": "events",
    "page_events": "pageEvents",
    "feature_events": "featureEvents",
    "track_events": "trackEvents",
}
SINGLE = {"guide_events": "guideEvents", "poll_events": "pollEvents"}
SUMS = ("numEvents", "numMinutes", "rageClickCount", "deadClickCount", "errorClickCount", "uTurnCount")
MEASURES = {*SUMS, "firstTime", "lastTime", "lastKeyFrameTimestamp"}
BUCKETS = {"hour", "day", "week", "month", "quarter"}
SINCE = "date(2026,2,25)"


def identity(row: dict[str, Any]) -> bytes:
    return orjson.dumps({name: row[name] for name in sorted(set(row) - MEASURES - BUCKETS)})


def bag(rows: list[dict[str, Any]]) -> Counter[bytes]:
    return Counter(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "source"), (GROUPED | SINGLE).items())
def test_the_truth_is_what_the_source_answers_for_all_apps_and_days(
    unchanged_pendo: Any, stream: str, source: str
) -> None:
    truth = unchanged_pendo.sim.truth(stream)
    assert bag(truth) == bag(unchanged_pendo.events(source, SINCE, last="now()"))
    assert len(truth) > 200


@pytest.mark.parametrize(("stream", "source"), GROUPED.items())
def test_rows_of_a_day_are_its_hours_merged_by_identity(unchanged_pendo: Any, stream: str, source: str) -> None:
    days = unchanged_pendo.events(source, "date(2026,3,10)")
    hours = unchanged_pendo.events(source, "date(2026,3,10)", period="hourRange", count=24)
    assert len(hours) > len(days)
    assert {identity(row) for row in hours} == {identity(row) for row in days}
    for key in {identity(row) for row in days}:
        of_day, of_hours = ([row for row in rows if identity(row) == key] for rows in (days, hours))
        for name in SUMS:
            assert sum(row[name] for row in of_day) == sum(row[name] for row in of_hours)
        assert min(row["firstTime"] for row in of_day) == min(row["firstTime"] for row in of_hours)
        assert max(row["lastTime"] for row in of_day) == max(row["lastTime"] for row in of_hours)


def test_the_truth_by_the_hour_holds_the_rows_of_the_hours(unchanged_pendo: Any) -> None:
    assert bag(unchanged_pendo.sim.truth("events", period="hour")) == bag(
        unchanged_pendo.events("events", SINCE, period="hourRange", last="now()")
    )


def test_the_truth_can_start_at_a_date_and_have_some_apps_only(unchanged_pendo: Any) -> None:
    rows = unchanged_pendo.sim.truth("page_events", since="2026-03-10", apps="-323232")
    assert {row["appId"] for row in rows} == {-323232}
    assert min(row["day"] for row in rows) == datetime(2026, 3, 10, 4, tzinfo=UTC).timestamp() * 1000
    with pytest.raises(ValueError, match="unknown options"):
        unchanged_pendo.sim.truth("page_events", from_="x")


@pytest.mark.parametrize("limit", [60, 61])
@pytest.mark.parametrize("source", [*GROUPED.values(), *SINGLE.values()])
def test_paging_by_visitor_finds_every_row_of_the_busy_day_once(unchanged_pendo: Any, source: str, limit: int) -> None:
    day, last, found = "date(2026,3,12)", None, []
    whole = unchanged_pendo.events(source, day)
    assert len(whole) > 100
    while True:
        from_last = [] if last is None else [{"filter": "visitorId >= " + orjson.dumps(last).decode()}]
        page = unchanged_pendo.events(source, day, *from_last, {"sort": ["visitorId", "guideId"]}, {"limit": limit})
        if len(page) < limit:
            found += page
            break
        assert page[-1]["visitorId"] != last
        last = page[-1]["visitorId"]
        found += [row for row in page if row["visitorId"] != last]
    assert bag(found) == bag(whole)


@pytest.mark.parametrize("source", [*GROUPED.values(), *SINGLE.values()])
def test_one_visitor_has_more_rows_in_a_day_than_a_small_page_takes(unchanged_pendo: Any, source: str) -> None:
    rows = unchanged_pendo.events(source, "date(2026,3,16)", {"filter": f'visitorId == "{CROWD_VISITOR}"'})
    assert len(rows) > 50


def test_rows_of_events_may_be_equal_in_every_column_that_identifies(unchanged_pendo: Any) -> None:
    days = Counter((row["day"], identity(row)) for row in unchanged_pendo.sim.truth("events"))
    assert max(days.values()) == 2


@pytest.mark.parametrize("stream", SINGLE)
def test_no_two_single_events_are_equal_though_many_share_an_instant(unchanged_pendo: Any, stream: str) -> None:
    rows = unchanged_pendo.sim.truth(stream)
    assert max(bag(rows).values()) == 1
    assert max(Counter((row["visitorId"], row["receivedTime"]) for row in rows).values()) >= 20


def test_browser_clocks_are_years_old_or_ahead(unchanged_pendo: Any) -> None:
    offsets = [row["browserTime"] - row["receivedTime"] for row in unchanged_pendo.sim.truth("guide_events")]
    assert min(offsets) < -6 * 365 * 86_400_000
    assert max(offsets) > 86_400_000


def test_an_nps_guide_has_two_polls_and_both_are_answered(unchanged_pendo: Any) -> None:
    guide = next(row for row in unchanged_pendo.get("guide") if len(row["polls"]) == 2)
    assert guide["polls"][0]["attributes"]["followUp"] == guide["polls"][1]["id"]
    answered = {row["pollId"]: row["pollResponse"] for row in unchanged_pendo.sim.truth("poll_events")}
    assert isinstance(answered[guide["polls"][0]["id"]], int)
    assert isinstance(answered[guide["polls"][1]["id"]], str)


def test_empty_columns_are_blank_null_or_not_there(unchanged_pendo: Any) -> None:
    rows = unchanged_pendo.sim.truth("feature_events")
    assert {"", None} <= {row["accountId"] for row in rows}
    assert any("server" not in row for row in rows)
    assert any(row.get("server") == "" for row in rows)


def test_accounts_have_blank_ids_equal_times_and_missing_metadata(unchanged_pendo: Any) -> None:
    accounts = unchanged_pendo.sim.truth("accounts")
    autos = [(row["metadata"] or {}).get("auto") for row in accounts]
    assert "" in {row["accountId"] for row in accounts}
    assert None in [row["metadata"] for row in accounts]
    assert any(auto is not None and "lastupdated" not in auto for auto in autos)
    ties = Counter(auto["lastupdated"] for auto in autos if auto and "lastupdated" in auto)
    assert max(ties.values()) >= 5


def test_visitors_come_with_awkward_ids_and_without_processing(unchanged_pendo: Any) -> None:
    everyone = unchanged_pendo.sim.truth("visitors", anonymous="true")
    ids = "".join(row["visitorId"] for row in everyone)
    assert all(mark in ids for mark in "\"\\/%+😀'` ")
    assert max(len(row["visitorId"]) for row in everyone) > 300
    assert any(row["metadata"] == {"pendo": {"donotprocess": True}} for row in everyone)
    assert len(everyone) - len(unchanged_pendo.sim.truth("visitors")) == 15


def test_whole_numbers_and_times_of_metadata_come_in_two_forms(unchanged_pendo: Any) -> None:
    metadata = [row["metadata"] for row in unchanged_pendo.sim.truth("visitors") if "custom" in row["metadata"]]
    assert {type(item["custom"]["tier"]) for item in metadata} == {int, str}
    assert {type(item["agent"]["signup"]) for item in metadata} == {int, str}


def test_late_rows_become_visible_under_an_old_day_when_the_clock_is_advanced(pendo: Any) -> None:
    before = pendo.events("pageEvents", SINCE, count=20)
    pendo.sim.mutate("advance", days=5)
    after = pendo.events("pageEvents", SINCE, count=20)
    assert {identity(row) for row in before} < {identity(row) for row in after}


def test_rows_grow_when_the_clock_is_advanced_and_keep_their_identity(pendo: Any) -> None:
    before = {identity(row): row for row in pendo.events("pageEvents", "date(2026,3,16)", count=4)}
    pendo.sim.mutate("advance", days=5)
    after = {identity(row): row for row in pendo.events("pageEvents", "date(2026,3,16)", count=4)}
    grown = [key for key in before if after[key]["numEvents"] > before[key]["numEvents"]]
    assert grown
    assert any(after[key]["lastTime"] > before[key]["lastTime"] for key in grown)
    assert any(after[key]["firstTime"] < before[key]["firstTime"] for key in grown)


def test_new_days_become_visible_when_the_clock_is_advanced(pendo: Any) -> None:
    assert pendo.events("guideEvents", "date(2026,3,23)") == []
    assert pendo.sim.mutate("advance", to="2026-03-25T00:00:00Z") == "2026-03-25T00:00:00.000Z"
    assert len(pendo.events("guideEvents", "date(2026,3,23)")) > 5


def test_the_present_hour_is_not_processed_yet(unchanged_pendo: Any) -> None:
    hours = unchanged_pendo.events("pageEvents", SINCE, period="hourRange", last="now()")
    assert max(row["hour"] for row in hours) <= unchanged_pendo.sim.subscription.now - 75 * 60_000


@pytest.mark.parametrize("source", ["trackEvents", "pollEvents"])
def test_rows_can_be_made_to_arrive_late(pendo: Any, source: str) -> None:
    before = pendo.events(source, "date(2026,3,5)")
    assert pendo.sim.mutate("late", source=source, day="2026-03-05", rows=4) == 4
    assert len(pendo.events(source, "date(2026,3,5)")) == len(before) + 4


@pytest.mark.slow
def test_rows_can_be_made_to_grow(pendo: Any) -> None:
    before = sum(row["numEvents"] for row in pendo.events("events", "date(2026,3,5)"))
    grown = pendo.sim.mutate("grow", source="events", day="2026-03-05", rows=3)
    assert sum(row["numEvents"] for row in pendo.events("events", "date(2026,3,5)")) == before + grown == before + 3


@pytest.mark.slow
def test_editing_a_page_rewrites_its_past_and_leaves_other_pages_alone(pendo: Any) -> None:
    before = pendo.sim.truth("page_events")
    page = pendo.sim.mutate("retag")
    after = pendo.sim.truth("page_events")
    assert bag([row for row in before if row["pageId"] != page]) == bag([row for row in after if row["pageId"] != page])
    old, new = ({identity(row) for row in rows if row["pageId"] == page} for rows in (before, after))
    assert old - new
    assert new - old
    definition = next(row for row in pendo.get("page?expand=*") if row["id"] == page)
    assert definition["lastUpdatedAt"] == pendo.sim.subscription.now


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutation", "arguments", "stream", "id_"),
    [
        ("touch_visitor", {"visitor_id": "Zed@example.com"}, "visitors", "visitorId"),
        ("touch_account", {"account_id": "account-0000"}, "accounts", "accountId"),
    ],
)
def test_touching_metadata_moves_lastupdated(
    pendo: Any, mutation: str, arguments: dict[str, str], stream: str, id_: str
) -> None:
    pendo.sim.mutate("advance", hours=1)
    touched = pendo.sim.mutate(mutation, **arguments)
    newest = f"metadata.auto.lastupdated >= {pendo.sim.subscription.now}"
    assert pendo.rows({"source": {stream: None}}, {"filter": newest}) == [touched]
    assert touched in pendo.sim.truth(stream)
    assert touched[id_] in arguments.values()


def test_a_removed_visitor_is_gone_everywhere(pendo: Any) -> None:
    pendo.sim.mutate("remove_visitor", visitor_id="Zed@example.com")
    assert pendo.call("GET", "visitor/Zed@example.com")[0] == 404
    assert "Zed@example.com" not in {row["visitorId"] for row in pendo.sim.truth("visitors")}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(make_pendo: Callable[..., Any]) -> None:
    def everything(seed: int, first: str) -> bytes:
        sim = make_pendo(seed=seed).sim
        sim.truth(first)
        streams = (*GROUPED, *SINGLE, "visitors", "accounts", "guides", "visitor_history", "metadata_visitors")
        return b"".join(orjson.dumps(sim.truth(stream)) for stream in streams)

    assert everything(1, "events") == everything(1, "poll_events") != everything(2, "events")


def test_a_subscription_may_live_in_another_time_zone_and_time(make_pendo: Callable[..., Any]) -> None:
    pendo = make_pendo(time_zone="Asia/Tokyo", now=datetime(2025, 11, 3, 2, tzinfo=UTC))
    days = {row["day"] for row in pendo.sim.truth("events")}
    assert {day % 86_400_000 for day in days} == {15 * 3_600_000}
    assert len(days) == 24


@pytest.mark.slow
def test_bulk_rows_are_the_same_by_day_and_by_hour_and_can_be_narrowed(
    make_pendo: Callable[..., Any],
) -> None:
    pendo = make_pendo(rows=6000)
    truth = pendo.sim.truth("page_events")
    assert len(truth) == 6000
    assert len({row["day"] for row in truth}) == 6
    assert len({identity(row) for row in truth}) == 6000
    hours = pendo.sim.truth("page_events", period="hour")
    assert {identity(row) for row in hours} == {identity(row) for row in truth}
    first = truth[0]
    by_page = pendo.rows(
        {
            "source": {
                "pageEvents": {"appId": first["appId"], "pageId": first["pageId"]},
                "timeSeries": {"period": "dayRange", "first": SINCE, "last": "now()"},
            }
        }
    )
    assert bag(by_page) == bag([row for row in truth if row["pageId"] == first["pageId"]])
