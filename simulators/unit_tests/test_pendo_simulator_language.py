"""The aggregation language of the simulated Pendo: windows, filters, order and stages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

HOUR = 3_600_000
ALL = {"appId": 'expandAppIds("*")'}


@pytest.fixture
def pendo(unchanged_pendo: Any) -> Any:
    """One subscription for all tests, because none of them changes the data."""
    return unchanged_pendo


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def window(pendo: Any, period: str = "dayRange", **series: object) -> int:
    """`startTime` of a query, the start of its first bucket."""
    status, body = pendo.post(
        {"source": {"pageEvents": None, "timeSeries": {"period": period, **series}}}, {"limit": 0}
    )
    assert status == 200, body
    return int(body["startTime"])


@pytest.mark.parametrize(
    "first",
    [
        "date(2026,3,1)",
        'date("2026-03-01")',
        ms("2026-03-01T05:00:00"),
        ms("2026-03-02T04:59:59"),
        str(ms("2026-03-01T12:00:00")),
        'dateAdd(date(2026,3,20), -19, "days")',
        'startOfPeriod("monthly", now())',
        "now() - 19*1000*60*60*24",
        "date(2026,3)",
        "date(2026,3,1,13,5,9)",
        'date("2026-03")',
        'date("2026-03-01T15:04")',
        'date("2026-03-01T15:04:05.999")',
        'startOfPeriod("monthRange", now())',
    ],
)
def test_every_form_of_first_is_rounded_down_to_its_local_day(pendo: Any, first: object) -> None:
    assert window(pendo, first=first, count=1) == ms("2026-03-01T05:00:00")


def test_a_local_day_starts_an_hour_earlier_in_utc_after_the_change_of_clocks(pendo: Any) -> None:
    assert window(pendo, first="date(2026,3,8)", count=1) == ms("2026-03-08T05:00:00")
    assert window(pendo, first="date(2026,3,9)", count=1) == ms("2026-03-09T04:00:00")


def test_the_day_of_the_change_has_23_hours(pendo: Any) -> None:
    hours = pendo.events("pageEvents", "date(2026,3,8)", period="hourRange", count=23)
    next_day = pendo.events("pageEvents", "date(2026,3,9)", period="hourRange", count=24)
    assert {row["hour"] // HOUR for row in hours} <= set(
        range(ms("2026-03-08T05:00") // HOUR, ms("2026-03-09T04:00") // HOUR)
    )
    assert min(row["hour"] for row in next_day) >= ms("2026-03-09T04:00:00")
    day = pendo.events("pageEvents", "date(2026,3,8)")
    assert {row["day"] for row in day} == {ms("2026-03-08T05:00:00")}
    assert sum(row["numEvents"] for row in hours) == sum(row["numEvents"] for row in day)


def test_utc_midnight_lies_in_the_local_day_before(pendo: Any) -> None:
    assert window(pendo, first=ms("2026-03-02T00:00:00"), count=1) == ms("2026-03-01T05:00:00")


def test_last_is_rounded_too_and_its_whole_bucket_belongs_to_the_window(pendo: Any) -> None:
    instant = ms("2026-03-12T15:20:00")
    hour = pendo.events("pageEvents", instant, period="hourRange", last=instant)
    assert {row["hour"] for row in hour} == {ms("2026-03-12T15:00:00")}
    days = pendo.events("pageEvents", "date(2026,3,1)", last="date(2026,3,2)")
    assert {row["day"] for row in days} == {ms("2026-03-01T05:00:00"), ms("2026-03-02T05:00:00")}


def test_a_positive_count_goes_forward_from_the_bucket_of_first(pendo: Any) -> None:
    days = pendo.events("events", "date(2026,3,7)", count=3)
    assert {row["day"] for row in days} == {ms("2026-03-07T05:00"), ms("2026-03-08T05:00"), ms("2026-03-09T04:00")}


def test_a_negative_count_ends_just_before_the_bucket_of_first(pendo: Any) -> None:
    yesterday = pendo.events("events", "now()", count=-1)
    assert {row["day"] for row in yesterday} == {ms("2026-03-19T04:00:00")}
    assert window(pendo, first="now()", count=-1) == ms("2026-03-19T04:00:00")


def test_a_window_that_reaches_into_the_future_ends_at_the_present(pendo: Any) -> None:
    assert pendo.events("events", "date(2026,3,1)", count=400) == pendo.events("events", "date(2026,3,1)", last="now()")


def test_rows_of_days_carry_day_week_month_and_quarter_and_rows_of_hours_only_the_hour(pendo: Any) -> None:
    day = pendo.events("trackEvents", "date(2026,3,12)")[0]
    assert [day[name] for name in ("day", "week", "month", "quarter")] == [
        ms("2026-03-12T04:00:00"),
        ms("2026-03-08T05:00:00"),
        ms("2026-03-01T05:00:00"),
        ms("2026-01-01T05:00:00"),
    ]
    hour = pendo.events("trackEvents", "date(2026,3,12)", period="hourRange", count=24)[0]
    assert "hour" in hour
    assert not {"day", "week", "month", "quarter"} & set(hour)


@pytest.mark.parametrize(
    ("filter_", "ids"),
    [
        ('visitorId == "ann@example.com"', ["ann@example.com"]),
        ("visitorId == `back\\slash@example.com`", ["back\\slash@example.com"]),
        (r'visitorId == "both\\\"@example.com"', ['both\\"@example.com']),
        ('visitorId >= "user00029@example.com"', ["user00029@example.com", "user00030@example.com"]),
        ('visitorId > "user00029@example.com"', ["user00030@example.com"]),
        ("metadata.auto.nid == 1 || metadata.auto.nid == 2", ["qa", "quo"]),
        ("metadata.auto.nid >= 1 && metadata.auto.nid < 3", ["qa", "quo"]),
        ("!(metadata.auto.nid > 0) && !isNull(metadata.auto)", ["ann@example.com"]),
        ("metadata.auto.nid * 2 + 1 == (3 - 1) * 2 + 1", ["quo"]),
        ('startsWith(visitorId, "emoji") && contains(visitorId, "😀")', ["emoji"]),
        ("metadata.auto == null", ["donotprocess"]),
        ("metadata.nowhere.at.all >= 1", []),
        ("metadata.auto.nid < -1", []),
        ('metadata.auto.nid >= "1"', []),
    ],
)
def test_a_filter_keeps_the_rows_for_which_it_is_true(pendo: Any, filter_: str, ids: list[str]) -> None:
    source = {"source": {"visitors": {"identified": True, "blacklist": "ignore"}}}
    found = [row["visitorId"] for row in pendo.rows(source, {"filter": filter_}, {"sort": ["visitorId"]})]
    if ids == ["donotprocess"]:
        without = [row for row in pendo.rows(source) if "auto" not in row["metadata"]]
        assert sorted(found) == sorted(row["visitorId"] for row in without)
        assert len(found) >= 2
    else:
        assert len(found) == len(ids)
        assert all(visitor.startswith(start) for visitor, start in zip(found, ids, strict=True))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!null", None),
        ("-null", None),
        ("null < 5", None),
        ("!(null >= 5)", None),
        ("null + 1", None),
        ("null || true", True),
        ("null && true", False),
        ("null == null", True),
        ("null != 5", True),
        ("1 == true", False),
        ("[1, 2] == [1, 2]", True),
        ("if(1 < 2, `yes`)", "yes"),
        ("if(1 > 2, `yes`)", None),
        ("[isBoolean(true), isNumber(true), isString(`a`)]", [True, False, True]),
        ("[isList([]), isNil(null), isEmpty(``)]", [True, True, True]),
        ("[10, 20, 30][-1]", 30),
        ("[10, 20, 30][3]", None),
        ("[10, 20, 30][1:3]", [20, 30]),
        ("missing[0]", None),
        ("contains([1, 2], 2) && contains(`abc`, `b`)", True),
        ("split(`a,b`, `,`)[1]", "b"),
        ("toLowerCase(`ÄB`)", "äb"),
        ("toString(5)", "5"),
        ("reverse(sortUnique([3, 1, 3]))", [3, 1]),
        ("sum([1, null, 2]) + len([1]) + len(list(1, 2))", 6),
        ("listInRange([1, 2, 3], 0, 2)", [1, 2]),
        ("[identified(`_PENDO_T_1`), identified(``), identified(`ann`)]", [False, False, True]),
    ],
)
def test_an_expression_has_its_documented_value(pendo: Any, expression: str, value: object) -> None:
    rows = pendo.rows({"source": {"visitors": None}}, {"limit": 1}, {"select": {"value": expression}})
    assert rows == [{"value": value}]


@pytest.mark.parametrize(
    "expression", ["visitorId + `x`", "visitorId * 2", "parentAccountId(visitorId)", "date(`soon`)"]
)
def test_arithmetic_with_texts_and_wrong_arguments_are_refused(pendo: Any, expression: str) -> None:
    status, text = pendo.post({"source": {"visitors": None}}, {"select": {"value": expression}})
    assert (status, isinstance(text, str)) == (400, True)


def test_a_missing_field_satisfies_no_ordering(pendo: Any) -> None:
    everyone = pendo.rows({"source": {"accounts": ALL}})
    either = pendo.rows({"source": {"accounts": ALL}}, {"filter": "metadata.auto.lastupdated >= 0"})
    other = pendo.rows({"source": {"accounts": ALL}}, {"filter": "metadata.auto.lastupdated < 0"})
    neither = pendo.rows({"source": {"accounts": ALL}}, {"filter": "!(metadata.auto.lastupdated >= 0)"})
    assert other == neither == []
    assert 0 < len(either) < len(everyone)


@pytest.mark.parametrize(
    "filter_",
    [
        'visitorId >= "a"b"',
        'visitorId >= "a',
        r'visitorId >= "a\z"',
        'visitorId in ["a"]',
        "visitorId >=",
        "(visitorId == 1",
        "visitorId == 1 2",
        "nosuch(visitorId)",
        "@",
        None,
        7,
    ],
)
def test_a_text_that_is_not_an_expression_is_refused(pendo: Any, filter_: object) -> None:
    assert pendo.post({"source": {"visitors": None}}, {"filter": filter_}) == (400, "Cannot parse filter expression")


def test_texts_are_ordered_by_their_bytes(pendo: Any) -> None:
    ids = [row["visitorId"] for row in pendo.rows({"source": {"visitors": None}}, {"sort": ["visitorId"]})]
    assert ids == sorted(ids, key=str.encode)
    assert ids.index("Zed@example.com") < ids.index("ann@example.com")


def test_a_sort_takes_several_keys_and_descends_with_a_minus(pendo: Any) -> None:
    rows = pendo.events("pageEvents", "date(2026,3,12)", {"sort": ["appId", "-numEvents"]})
    keys = [(row["appId"], -row["numEvents"]) for row in rows]
    assert keys == sorted(keys)
    assert len({app for app, _ in keys}) == 3


def test_null_comes_first_in_a_sort(pendo: Any) -> None:
    rows = pendo.events("pageEvents", "date(2026,3,12)", {"sort": ["accountId"]})
    accounts = [row["accountId"] for row in rows]
    assert accounts == sorted(accounts, key=lambda value: (value is not None, value or ""))
    assert accounts[0] is None


def test_a_limit_drops_the_other_rows(pendo: Any) -> None:
    whole = pendo.rows({"source": {"visitors": None}}, {"sort": ["visitorId"]})
    assert pendo.rows({"source": {"visitors": None}}, {"sort": ["visitorId"]}, {"limit": 7}) == whole[:7]


def test_stages_work_in_the_order_in_which_they_stand(pendo: Any) -> None:
    source = {"source": {"visitors": None}}
    limited_first = pendo.rows(source, {"limit": 3}, {"filter": 'visitorId >= "b"'}, {"count": None})
    filtered_first = pendo.rows(source, {"filter": 'visitorId >= "b"'}, {"limit": 3}, {"count": None})
    assert (limited_first[0]["count"], filtered_first) == (2, [{"count": 3}])


def test_identified_drops_or_keeps_the_anonymous(pendo: Any) -> None:
    source = {"source": {"visitors": None}}
    known, anonymous = pendo.rows(source, {"identified": "visitorId"}), pendo.rows(source, {"identified": "!visitorId"})
    assert all(row["visitorId"].startswith("_PENDO_T_") for row in anonymous)
    assert len(anonymous) == 15
    assert len(known) + len(anonymous) == len(pendo.rows(source))


def test_select_and_eval_compute_columns(pendo: Any) -> None:
    source = {"source": {"visitors": None}}
    (row,) = pendo.rows(source, {"limit": 1}, {"select": {"id": "visitorId", "twice": "metadata.auto.nid * 2"}})
    assert row == {"id": "ann@example.com", "twice": 0}
    (row,) = pendo.rows(source, {"limit": 1}, {"eval": {"size": "len(visitorId)"}})
    assert (row["visitorId"], row["size"]) == ("ann@example.com", 15)


@pytest.mark.parametrize("fields", [{"n": {"sum": "numEvents"}}, [{"n": {"sum": "numEvents"}}]])
def test_group_takes_its_fields_as_a_map_or_as_a_list(pendo: Any, fields: object) -> None:
    rows = pendo.events("pageEvents", "date(2026,3,12)")
    grouped = pendo.events("pageEvents", "date(2026,3,12)", {"group": {"group": ["appId"], "fields": fields}})
    assert {row["appId"]: row["n"] for row in grouped} == {
        app: sum(row["numEvents"] for row in rows if row["appId"] == app) for app in {row["appId"] for row in rows}
    }


def test_reduce_leaves_one_row_of_aggregates(pendo: Any) -> None:
    rows = pendo.events("pageEvents", "date(2026,3,12)")
    fields = {
        "rows": {"count": None},
        "visitors": {"count": "visitorId"},
        "first": {"min": "firstTime"},
        "last": {"max": "lastTime"},
        "mean": {"avg": "numEvents"},
    }
    assert pendo.events("pageEvents", "date(2026,3,12)", {"reduce": fields}) == [
        {
            "rows": len(rows),
            "visitors": len({row["visitorId"] for row in rows}),
            "first": min(row["firstTime"] for row in rows),
            "last": max(row["lastTime"] for row in rows),
            "mean": pytest.approx(sum(row["numEvents"] for row in rows) / len(rows)),
        }
    ]
