"""The rules of Pendo's API documentation in the simulated Pendo, each as documented and as clients see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulators.pendo import APPS, MOBILE_APP, WEB_APP
from simulators.pendo.switches import REFUSALS

HOUR, DAY_LENGTH = 3_600_000, 86_400_000
ALL = {"appId": 'expandAppIds("*")'}
DAY = {"period": "dayRange", "first": "date(2026,3,12)", "count": 1}
BY_HOUR = {"period": "hourRange", "first": "date(2026,3,12)", "count": 24}
LAST_DAYS = {"period": "dayRange", "first": "date(2026,3,17)", "last": "now()"}
GROUPED_IDS = {"pageEvents": "pageId", "featureEvents": "featureId", "trackEvents": "trackTypeId"}
APP_IDS = {app["id"] for app in APPS}


def some_ids(pendo: Any, source: str) -> list[str]:
    """The ids of objects with rows on the day, by the question that a client asks for them."""
    column = GROUPED_IDS[source]
    fields = {"rows": {"count": None}, "apps": {"list": "appId"}}
    rows = pendo.rows(
        {"source": {source: ALL, "timeSeries": DAY}}, {"group": {"group": [column], "fields": fields}}, {"limit": 6}
    )
    return [row[column] for row in rows]


def status(pendo: Any, source: str, parameters: object, series: dict[str, Any]) -> int:
    return int(pendo.post({"source": {source: parameters, "timeSeries": series}}, {"limit": 1})[0])


@pytest.mark.parametrize(("source", "column"), GROUPED_IDS.items())
def test_ids_alone_find_the_rows_of_their_objects_in_all_apps(pendo: Any, source: str, column: str) -> None:
    ids = some_ids(pendo, source)
    everything = pendo.rows({"source": {source: ALL, "timeSeries": DAY}})
    wanted = [row for row in everything if row[column] in ids]
    assert pendo.rows({"source": {source: {column + "s": ids}, "timeSeries": DAY}}) == wanted
    assert len({row["appId"] for row in wanted}) > 1
    one = [row for row in everything if row[column] == ids[0]]
    assert pendo.rows({"source": {source: {column: ids[0], "appId": None}, "timeSeries": DAY}}) == one
    apps = pendo.rows(
        {"source": {source: {column + "s": ids}, "timeSeries": DAY}}, {"group": {"group": ["appId", column]}}
    )
    assert {(row["appId"], row[column]) for row in apps} == {(row["appId"], row[column]) for row in wanted}
    assert status(pendo, source, {column + "s": ids[0]}, DAY) == 400


@pytest.mark.slow
@pytest.mark.parametrize("source", GROUPED_IDS)
def test_as_documented_hours_need_ids_and_ids_exclude_apps(pendo: Any, source: str) -> None:
    column, ids = GROUPED_IDS[source], some_ids(pendo, source)
    questions = (
        (ALL, DAY, 200),
        (ALL, BY_HOUR, 400),
        ({column: ids[0]}, BY_HOUR, 200),
        ({column + "s": ids}, BY_HOUR, 200),
        ({column: ids[0], **ALL}, DAY, 400),
        ({column + "s": ids, **ALL}, BY_HOUR, 400),
    )
    assert {status(pendo, source, parameters, series) for parameters, series, _ in questions} == {200}
    pendo.sim.mutate("switch", rules="documented")
    assert [status(pendo, source, parameters, series) for parameters, series, _ in questions] == [
        expected for _, _, expected in questions
    ]
    assert status(pendo, "events", ALL, BY_HOUR) == 200


def test_as_documented_a_step_or_a_poll_needs_its_guide(pendo: Any) -> None:
    row = pendo.rows({"source": {"pollEvents": ALL, "timeSeries": LAST_DAYS}})[0]
    step, poll, guide = ({name: row[name]} for name in ("guideStepId", "pollId", "guideId"))
    for source, part in (("guideEvents", step), ("pollEvents", poll)):
        pendo.sim.mutate("switch", rules="observed")
        assert status(pendo, source, part, DAY) == 200
        pendo.sim.mutate("switch", parts_need_guide=True)
        assert status(pendo, source, part, DAY) == 400
        assert status(pendo, source, part | guide, DAY) == 200
    steps = pendo.rows({"source": {"guideEvents": ALL | guide | step, "timeSeries": DAY | {"count": 9}}})
    assert {row["guideStepId"] for row in steps} <= {step["guideStepId"]}


def test_a_number_of_ids_can_be_too_many(pendo: Any) -> None:
    ids = some_ids(pendo, "pageEvents")
    pendo.sim.mutate("switch", max_ids=2)
    assert status(pendo, "pageEvents", {"pageIds": ids[:2]}, DAY) == 200
    assert status(pendo, "pageEvents", {"pageIds": ids[:3]}, DAY) == 400


def test_apps_are_numbers_and_expressions_under_either_rules(pendo: Any) -> None:
    questions: list[tuple[Any, set[int]]] = [
        (WEB_APP, {WEB_APP}),
        ([WEB_APP, MOBILE_APP], {WEB_APP, MOBILE_APP}),
        (["expandAppIds(`*`)"], APP_IDS),
        ('expandAppIds("web")', APP_IDS - {MOBILE_APP}),
        ('expandAppIds("mobile|extension")', {MOBILE_APP}),
        ('expandAppIds("android")', set()),
        ([WEB_APP, 'expandAppIds("ios")'], {WEB_APP, MOBILE_APP}),
    ]
    for rules in ("observed", "documented"):
        pendo.sim.mutate("switch", rules=rules)
        for value, apps in questions:
            rows = pendo.rows({"source": {"pageEvents": {"appId": value}, "timeSeries": DAY}})
            assert {row["appId"] for row in rows} == apps


@pytest.mark.parametrize("value", ['expandAppIds("web | ios")', 'expandAppIds("windows")', str(WEB_APP), True, [None]])
def test_other_texts_are_no_apps(unchanged_pendo: Any, value: object) -> None:
    assert status(unchanged_pendo, "pageEvents", {"appId": value}, DAY) == 400


def test_as_documented_a_list_of_apps_has_no_texts(pendo: Any) -> None:
    assert status(pendo, "pageEvents", {"appId": [str(WEB_APP)]}, DAY) == 200
    pendo.sim.mutate("switch", app_ids_are_numbers=True)
    assert status(pendo, "pageEvents", {"appId": [str(WEB_APP)]}, DAY) == 400


def test_as_documented_errors_are_json_and_a_wrong_key_is_unauthorized(make_pendo: Callable[..., Any]) -> None:
    pendo = make_pendo(rules="documented")
    assert pendo.call("GET", "page", key="unknown")[:2] == (401, {"message": "Unauthorized: invalid integration key"})
    assert pendo.post({"source": {"nosuch": None}})[1] == {
        "message": "bad pipeline: bad source: unknown source type nosuch"
    }
    pendo.sim.mutate("limit_rate", calls=1)
    assert [pendo.call("GET", "page")[0] for _ in range(2)] == [200, 429]
    pendo.sim.mutate("limit_rate")
    pendo.sim.mutate("forbid", kinds=["guides"], status=402)
    assert pendo.call("GET", "guide")[:2] == (402, {"message": REFUSALS[402].format(kind="guides")})


def test_switches_are_known_by_name_and_single_ones_differ_from_the_rules(pendo: Any) -> None:
    pendo.sim.mutate("switch", hours_need_ids=False, rules="documented")
    assert (pendo.sim.switches.hours_need_ids, pendo.sim.switches.json_errors) == (False, True)
    for wrong in ({"rules": "any"}, {"forbidden": {}}, {"no_such_switch": True}):
        with pytest.raises(ValueError, match=r"rules are one of|unknown switches"):
            pendo.sim.mutate("switch", **wrong)


def answer(pendo: Any, source: str, query: str = "?details=true") -> dict[str, Any]:
    pipeline = [{"source": {source: ALL, "timeSeries": LAST_DAYS}}]
    found, body, _ = pendo.call("POST", "aggregation" + query, {"request": {"pipeline": pipeline}})
    assert found == 200
    return dict(body)


def test_details_tell_how_far_each_app_is_processed(pendo: Any) -> None:
    now = pendo.sim.subscription.now
    for source in ("events", *GROUPED_IDS):
        body = answer(pendo, source)
        assert set(body) == {"startTime", "details", "results"}
        assert body["details"] == {"validThrough": {str(app): now - now % HOUR for app in APP_IDS}}
        assert "details" not in answer(pendo, source, "")
    assert "details" not in answer(pendo, "guideEvents")


def test_details_can_be_odd(pendo: Any) -> None:
    usual = answer(pendo, "events")["details"]["validThrough"]
    forms = {"absent": None, "empty": {}, "null": {"validThrough": None}, "no_apps": {"validThrough": {}}}
    for form, member in forms.items():
        pendo.sim.mutate("switch", details=form)
        assert answer(pendo, "events").get("details") == member
    for form, type_ in {"seconds": int, "texts": str, "dates": str, "zero": int}.items():
        pendo.sim.mutate("switch", details=form)
        other = answer(pendo, "events")["details"]["validThrough"]
        assert set(other) == set(usual)
        assert {type(value) for value in other.values()} == {type_}
        assert other != usual


@pytest.mark.slow
@pytest.mark.parametrize("source", ["events", "trackEvents", "guideEvents"])
def test_an_app_that_lags_has_no_rows_yet_and_catches_up(pendo: Any, source: str) -> None:
    before = answer(pendo, source)["results"]
    through = pendo.sim.mutate("lag", app_id=MOBILE_APP, hours=36)  # to midnight, so that no row is cut
    body = answer(pendo, source)
    assert answer(pendo, "events")["details"]["validThrough"][str(MOBILE_APP)] == through
    assert body["results"] == [row for row in before if row["appId"] != MOBILE_APP or row_time(row) < through]
    assert body["results"] != before
    assert pendo.sim.mutate("advance", days=1)
    assert answer(pendo, "events")["details"]["validThrough"][str(MOBILE_APP)] == through + DAY_LENGTH
    pendo.sim.mutate("lag", app_id=MOBILE_APP)
    caught_up = answer(pendo, source)["results"]
    assert [row for row in caught_up if row["appId"] == MOBILE_APP and row_time(row) >= through]


def row_time(row: dict[str, Any]) -> int:
    return int(row.get("lastTime") or row["receivedTime"])


def test_an_app_that_is_frozen_makes_no_progress_and_no_rows(pendo: Any) -> None:
    through = pendo.sim.mutate("freeze", app_id=MOBILE_APP)
    pendo.sim.mutate("advance", days=3)
    body = answer(pendo, "pageEvents")
    others = set(body["details"]["validThrough"].values()) - {through}
    assert body["details"]["validThrough"][str(MOBILE_APP)] == through < min(others)
    assert max(row["firstTime"] for row in body["results"] if row["appId"] == MOBILE_APP) < through
    assert max(row["firstTime"] for row in body["results"]) > through
    with pytest.raises(KeyError):
        pendo.sim.mutate("freeze", app_id=42)


def test_more_rows_than_memory_can_be_grouped_but_not_sorted(pendo: Any) -> None:
    rows = pendo.rows({"source": {"pageEvents": ALL, "timeSeries": DAY}})
    pendo.sim.mutate("switch", sort_rows=len(rows) - 1)
    source = {"source": {"pageEvents": ALL, "timeSeries": DAY}}
    assert pendo.post(source, {"sort": ["visitorId"]}, {"limit": 1}) == (400, "Query exceeded memory limit")
    assert len(pendo.rows(source, {"group": {"group": ["pageId"], "fields": {"rows": {"count": None}}}})) > 1
    assert pendo.post(source, {"filter": f"appId == {WEB_APP}"}, {"sort": ["visitorId"]}, {"limit": 1})[0] == 200


def test_as_documented_late_track_events_wait_for_a_pass_at_local_midnight(pendo: Any) -> None:
    def found() -> int:
        return len(pendo.events("trackEvents", "date(2026,3,17)"))

    usual = found()
    pendo.sim.mutate("late", source="trackEvents", day="2026-03-17", rows=8)
    assert found() == usual + 8
    pendo.sim.mutate("switch", late_tracks_wait=True)
    waiting = found()
    assert waiting <= usual
    pendo.sim.mutate("advance", to="2026-03-21T03:59:00Z")
    assert found() == waiting
    pendo.sim.mutate("advance", to="2026-03-21T04:00:00Z")
    daily = found()
    assert waiting < daily < usual + 8
    pendo.sim.mutate("advance", to="2026-03-22T04:00:00Z")
    assert found() >= usual + 8


def test_as_documented_track_events_that_are_a_week_late_never_appear(pendo: Any) -> None:
    pendo.sim.mutate("switch", late_tracks_wait=True)
    pendo.sim.mutate("advance", days=9)
    before = len(pendo.events("trackEvents", "date(2026,3,17)"))
    pendo.sim.mutate("late", source="trackEvents", day="2026-03-17", rows=8)
    pendo.sim.mutate("advance", days=9)
    assert len(pendo.events("trackEvents", "date(2026,3,17)")) == before
