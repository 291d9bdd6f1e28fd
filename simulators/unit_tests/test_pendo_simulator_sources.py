"""The sources of the simulated Pendo that are neither grouped events nor objects of an app, and their truths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulators.pendo import APPS, DEFAULT_APP, EXCLUDED_VISITOR

ALL = {"appId": 'expandAppIds("*")'}
ALWAYS = {"period": "dayRange", "first": "date(2026,1,1)", "last": "now()"}
REFUSED = "bad pipeline: bad source: bad parameters for source type {}: unexpected parameters"

SOURCES: dict[str, list[tuple[str, Any]]] = {
    "apps": [("apps", None)],
    "product_areas": [("groups", {"items": True, "groupType": "group"})],
    "guide_categories": [("groups", {"items": True, "groupType": "guideCategory"})],
    "do_not_process_visitors": [("doNotProcessVisitors", None)],
    "do_not_process_accounts": [("doNotProcessAccounts", None)],
    "feedback_items": [("vocItems", {"appId": ['expandAppIds("*")'], "type": "feedback"})],
    "feedback_votes": [("votes", None)],
    "guides_seen": [("guidesSeenEver", ALL), ("guidesSeen", ALL)],
    "email_events": [("emailEvents", ALL)],
}
WINDOWED = {"guidesSeen", "pollsSeen", "emailEvents"}


def by_text(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(str(row) for row in rows)


def read(pendo: Any, source: str, parameters: Any, *stages: dict[str, Any]) -> list[dict[str, Any]]:
    series = {"timeSeries": ALWAYS} if source in WINDOWED else {}
    rows: list[dict[str, Any]] = pendo.rows({"source": {source: parameters, **series}}, *stages)
    return rows


@pytest.mark.parametrize("stream", SOURCES)
def test_the_truth_of_a_stream_is_what_its_source_answers(unchanged_pendo: Any, stream: str) -> None:
    truth = by_text(unchanged_pendo.sim.truth(stream))
    assert len(truth) > 2
    for source, parameters in SOURCES[stream]:
        assert by_text(read(unchanged_pendo, source, parameters)) == truth


@pytest.mark.slow
def test_poll_answers_are_the_latest_ones_and_the_truth_joins_the_comment_to_the_score(pendo: Any) -> None:
    pendo.sim.mutate("answer_poll", visitor_id="new@example.com", response=3)
    pendo.sim.mutate("advance", days=2)
    pendo.sim.mutate("answer_poll", visitor_id="new@example.com", response=9)
    pendo.sim.mutate("answer_poll", visitor_id="new@example.com", response="much better")
    truth = pendo.sim.truth("poll_responses")
    assert {
        row["pollResponse"]: (row["npsScore"], row["npsComment"]) for row in truth if "new@" in row["visitorId"]
    } == {
        9: (9, "much better"),
        "much better": (None, None),
    }
    answered = [
        {name: value for name, value in row.items() if name not in ("pollType", "npsScore", "npsComment")}
        for row in truth
    ]
    for source in ("pollsSeenEver", "pollsSeen"):
        assert by_text(pendo.rows({"source": {source: ALL, "timeSeries": ALWAYS}})) == by_text(answered)
    pendo.sim.mutate("switch", answer_name="response")
    assert all("response" in row and "pollResponse" not in row for row in read(pendo, "pollsSeenEver", ALL))


def test_some_seeded_comments_come_a_day_or_more_after_their_score(unchanged_pendo: Any) -> None:
    truth = unchanged_pendo.sim.truth("poll_responses")
    comments = {(row["visitorId"], row["guideId"]): row["time"] for row in truth if row["pollType"] == "FreeForm"}
    scores = [row for row in truth if row["npsComment"] is not None]
    assert any(comments[row["visitorId"], row["guideId"]] - row["time"] > 86_400_000 for row in scores)


@pytest.mark.parametrize(("source", "time"), [("guidesSeen", "lastSeenAt"), ("pollsSeen", "time")])
def test_a_window_has_the_rows_whose_latest_event_lies_in_it(unchanged_pendo: Any, source: str, time: str) -> None:
    ever = read(unchanged_pendo, f"{source}Ever", ALL)
    series = {"period": "dayRange", "first": "date(2026,3,10)", "count": 3}
    rows = unchanged_pendo.rows({"source": {source: ALL, "timeSeries": series}})
    start = 1773115200000
    assert rows == [row for row in ever if start <= row[time] < start + 3 * 86_400_000]
    assert 0 < len(rows) < len(ever)
    assert EXCLUDED_VISITOR not in {row["visitorId"] for row in ever}
    assert read(unchanged_pendo, source, {**ALL, "blacklist": "only"})[0]["visitorId"] == EXCLUDED_VISITOR
    assert len(read(unchanged_pendo, source, None)) < len(ever)


def test_an_email_row_has_the_documented_columns_and_is_found_by_target_and_event(unchanged_pendo: Any) -> None:
    rows = read(unchanged_pendo, "emailEvents", ALL)
    assert {frozenset(row) for row in rows} == {
        frozenset({"type", "visitorId", "accountIds", "browserTime", "eventId"})
    }
    opened = read(unchanged_pendo, "emailEvents", {**ALL, "eventType": "opened"})
    assert opened == [row for row in rows if row["type"] == "email:pendo:opened"] != []
    guide = unchanged_pendo.get("guide?expand=*")[0]["id"]
    to_guides = read(unchanged_pendo, "emailEvents", {**ALL, "targetType": "guide"})
    of_one = read(unchanged_pendo, "emailEvents", {**ALL, "targetType": "guide", "targetId": guide})
    assert 0 < len(of_one) < len(to_guides) < len(rows)
    by_app = [read(unchanged_pendo, "emailEvents", {"appId": app["id"]}) for app in APPS]
    assert sum(map(len, by_app)) == len(rows)
    assert read(unchanged_pendo, "emailEvents", None) == by_app[0]


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        ("emailEvents", {"targetId": "x"}),
        ("guidesSeen", {"guideStepId": "x"}),
        ("pollsSeenEver", {"pollId": "x"}),
        ("groups", {"groupType": "page"}),
        ("groups", {"items": "yes"}),
        ("vocItems", {"type": "idea"}),
        ("visitors", {"since": "last week"}),
        ("doNotProcessVisitors", {"since": 5}),
    ],
)
def test_a_parameter_without_its_companion_or_with_a_wrong_value_is_refused(
    unchanged_pendo: Any, source: str, parameters: dict[str, Any]
) -> None:
    answer = unchanged_pendo.post({"source": {source: parameters, "timeSeries": ALWAYS}})
    assert answer == (400, REFUSED.format(source))


def test_sources_of_views_and_emails_need_a_window_unless_they_are_for_ever(unchanged_pendo: Any) -> None:
    for source in WINDOWED:
        assert unchanged_pendo.post({"source": {source: ALL}})[0] == 400
    assert unchanged_pendo.post({"source": {"guidesSeenEver": ALL}})[0] == 200


def test_groups_have_items_on_demand_and_an_item_moves_between_them(pendo: Any) -> None:
    without = read(pendo, "groups", None)
    assert [row["items"] for row in without] == [None] * 3
    page = pendo.get("page?expand=*")[0]["id"]
    pendo.sim.mutate("advance", hours=1)
    pendo.sim.mutate("move_to_group", item_id=page, group_id=without[1]["id"])
    areas = pendo.sim.truth("product_areas")
    assert areas[1]["items"] == [{"itemId": page, "itemType": "Page"}]
    assert [row["length"] for row in areas] == [26, 1, 0]
    assert areas[1]["lastUpdatedAt"] == pendo.sim.subscription.now
    pendo.sim.mutate("delete_definition", kind="pages", object_id=page)
    assert pendo.sim.truth("product_areas")[1]["items"] == []
    assert {row["type"] for row in read(pendo, "groups", {"groupType": "guideCategory"})} == {"guideCategory"}


def test_since_leaves_out_the_visitors_that_did_not_change_and_a_switch_refuses_it(pendo: Any) -> None:
    since = {"since": "date(2026,3,14)"}
    rows = read(pendo, "visitors", since)
    every = [row for row in read(pendo, "visitors", None) if "auto" in row["metadata"]]
    assert rows == [row for row in every if row["metadata"]["auto"]["lastupdated"] >= 1773460800000]
    assert 0 < len(rows) < len(every)
    pendo.sim.mutate("switch", no_since=True)
    assert pendo.post({"source": {"visitors": since}}) == (400, REFUSED.format("visitors"))


def test_the_id_of_an_app_has_either_name_and_ideas_are_behind_a_switch(pendo: Any) -> None:
    assert read(pendo, "apps", None)[0]["id"] == DEFAULT_APP
    pendo.sim.mutate("switch", app_id_name="appId", ideas=True)
    assert "id" not in (row := read(pendo, "apps", None)[0])
    assert row["appId"] == DEFAULT_APP
    ideas = read(pendo, "vocItems", {**ALL, "type": "idea"})
    assert {row["type"] for row in ideas} == {"idea"}
    assert len(pendo.sim.truth("feedback_items")) == len(ideas) + len(read(pendo, "vocItems", ALL))


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_subscription_can_lack_a_source(make_pendo: Callable[..., Any], status: int) -> None:
    pendo = make_pendo()
    pendo.sim.mutate("forbid", kinds=["votes", "pollsSeenEver"], status=status)
    assert pendo.post({"source": {"votes": None}})[0] == pendo.post({"source": {"pollsSeenEver": ALL}})[0] == status
    pendo.sim.mutate("switch", unknown_sources=True)
    text = pendo.post({"source": {"votes": None}})[1]
    assert (text == "bad pipeline: bad source: unknown source type votes") == (status == 400)
    assert pendo.sim.mutate("allow", kinds=["votes"]) == ["pollsSeenEver"]
    assert pendo.post({"source": {"votes": None}})[0] == 200
