"""Definitions in every shape that Pendo documents, and lists that repeat themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator, FormatChecker
from pendo_reader import Row, Subscription, cut_in_the_middle, instant
from simulators.faults import Fault

AT = 1_773_000_000_000
GUIDES: list[Row] = [
    {"id": "g1", "attributes": {"device": "mobile", "email": True, "launcher": ["help", "start"]}},
    {"id": "g2", "attributes": {"device": {"type": "all", "aB": 1}, "launcher": [], "dates": {"start": 1}}},
    {"id": "g3", "polls": [{"id": "p", "idResponses": [{"id": "c1", "aB": "Yes"}]}, {"idResponses": {"aB": "Yes"}}]},
    {"id": "g4", "steps": [{"id": "s", "elementContainsRulesList": "a,b"}], "audience": [{"filter": "x"}]},
    {"id": "g5", "audience": {"stages": 1}, "children": "none", "emailState": 3, "publishedEver": True},
]
REPORTS: list[Row] = [
    {"id": "r1", "definition": {"config": {"appId": 2}, "aB": 1}},
    {"id": "r2", "definition": [{"config": [{"appId": "2"}], "generator": "visitorList", "timeSeries": []}]},
    {"id": "r3", "definition": [{"config": [{"appId": 3}]}], "aggregationList": [{"aB": 1}], "type": "Path"},
    {"id": "r4", "definition": [], "dependentMetadata": ["x"], "createdByDashboardTemplate": False},
]


def answer(pendo: Subscription, path: str, rows: list[Row], times: int = -1) -> None:
    """Let an endpoint answer these rows."""
    pendo.sim.faults.add(Fault("status", path=path, status=200, answer=orjson.dumps(rows).decode(), times=times))


@pytest.mark.slow
@pytest.mark.parametrize(("stream", "path", "rows"), [("guides", "guide", GUIDES), ("reports", "report", REPORTS)])
def test_every_documented_shape_fits_the_schema(pendo: Subscription, stream: str, path: str, rows: list[Row]) -> None:
    answer(pendo, path, rows)
    records = pendo.read(stream).records[stream]
    validator = Draft7Validator(pendo.schema(stream), format_checker=FormatChecker())
    assert [error.message for record in records for error in validator.iter_errors(record)] == []
    assert len(records) == len(rows)


def test_values_of_a_shape_that_the_schema_names_are_left_alone(pendo: Subscription) -> None:
    """An array is not wrapped in a list, a text is not encoded as JSON; free-form maps keep their names."""
    answer(pendo, "guide", GUIDES)
    answer(pendo, "report", REPORTS)
    out = pendo.read("guides", "reports")
    assert [row["attributes"]["device"] for row in out.records["guides"][:2]] == ["mobile", {"type": "all", "aB": 1}]
    assert [poll["id_responses"] for poll in out.records["guides"][2]["polls"]] == [
        [{"id": "c1", "aB": "Yes"}],
        {"aB": "Yes"},
    ]
    assert out.column("reports", "definition") == [row["definition"] for row in REPORTS]


def test_a_report_whose_definition_is_an_array_belongs_to_the_application_in_it(pendo: Subscription) -> None:
    answer(pendo, "report", REPORTS)
    assert pendo.read("reports", app_ids=["2"]).column("reports", "id") == ["r1", "r2", "r4"]


def test_no_date_is_null_in_definitions(pendo: Subscription) -> None:
    """Pendo writes 0 for it."""
    answer(pendo, "guide", [{"id": "g", "resetAt": 0, "publishedAt": AT, "createdByUser": {"deletedAt": 0}}])
    (record,) = pendo.read("guides").records["guides"]
    assert (record.get("reset_at"), record["created_by_user"]["deleted_at"]) == (None, None)
    assert record["published_at"] == "2026-03-08T20:00:00.000Z"


LISTS = {
    "pages": "page",
    "features": "feature",
    "guides": "guide",
    "track_types": "tracktype",
    "reports": "report",
    "segments": "segment",
}


@pytest.mark.slow
def test_no_date_is_null_wherever_the_schema_has_a_date(pendo: Subscription) -> None:
    """Also in users, groups, polls, steps and experiments, and whether it is a number or a text."""
    catalog = {stream.name: dict(stream.json_schema) for stream in pendo.discover().streams}
    for stream, path in LISTS.items():
        for zero in (0, "0"):
            pendo.sim.faults.clear()
            row, dates = with_dates(catalog[stream], zero)
            answer(pendo, path, [row | {"id": "a", "lastUpdatedAt": AT}])
            (record,) = pendo.read(stream).records[stream]
            assert not [
                date for date in map(str, dates_of(record, catalog[stream])) if date not in ("None", instant(AT))
            ]
            assert dates >= 4


def with_dates(schema: Row, value: Any) -> tuple[Any, int]:
    """An object with every date of a schema, in Pendo's names, and the number of these dates."""
    if schema.get("format") == "date-time":
        return value, 1
    if isinstance(schema.get("items"), dict):
        item, count = with_dates(schema["items"], value)
        return [item], count
    made = {name: with_dates(field, value) for name, field in schema.get("properties", {}).items()}
    kept = {camel_case(name): item for name, (item, count) in made.items() if count}
    return kept, sum(count for _, count in made.values())


def dates_of(value: Any, schema: Row) -> Iterator[Any]:
    """The values of a record at the dates of a schema."""
    if schema.get("format") == "date-time":
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from dates_of(item, schema.get("items", {}))
    elif isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            yield from dates_of(value.get(name), field)


def camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


@pytest.mark.slow
def test_a_group_has_our_names_in_every_list(pendo: Subscription) -> None:
    for stream, path in LISTS.items():
        group = {"id": "g", "createdAt": AT, "lastUpdatedByUser": {"userType": "user"}, "brandNew": 1}
        answer(pendo, path, [{"id": "a", "group": group}])
        (record,) = pendo.read(stream).records[stream]
        assert record["group"] == {
            "id": "g",
            "created_at": instant(AT),
            "last_updated_by_user": {"user_type": "user"},
            "brand_new": 1,
        }


@pytest.mark.parametrize("between", [0, 600])
def test_an_id_that_comes_twice_comes_twice_however_far_apart(pendo: Subscription, between: int) -> None:
    """The later copy is the newer one, and may come after more rows than are decoded at a time."""
    first, later = ({"id": "p", "name": name, "lastUpdatedAt": AT} for name in ("old", "new"))
    filler = [{"id": f"f{number}", "name": "x" * 1000} for number in range(between)]
    answer(pendo, "page", [first, *filler, later])
    rows = pendo.read("pages").records["pages"]
    assert [row["name"] for row in rows if row["id"] == "p"] == ["old", "new"]


def test_what_changed_while_a_list_broke_comes_in_its_newer_form(pendo: Subscription) -> None:
    """Objects that came before the break come again only if they differ now."""
    rows: list[dict[str, Any]] = [
        {"id": f"p{number}", "name": "x" * 1000, "appIds": [], "lastUpdatedAt": AT} for number in range(400)
    ]
    pendo.sim.faults.add(Fault("status", path="page", status=200, answer=cut_in_the_middle(rows)))
    again = [{**rows[0], "name": "newer", "lastUpdatedAt": AT + 5}, *rows[1:], {**rows[0], "name": "a copy"}]
    answer(pendo, "page", again, times=1)
    out = pendo.read("pages")
    assert out.logged("broke in the middle")
    names = [row["name"] for row in out.records["pages"] if row["id"] == "p0"]
    assert names == [rows[0]["name"], "newer", "a copy"]
    assert len(out.records["pages"]) == len(rows) + 2
    assert out.state("pages")["last_updated_at"] == "2026-03-08T20:00:00.005Z"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "state"),
    [
        ("pages", {"lastupdated": "2026-03-01T00:00:00.000Z", "version": 1}),
        ("pages", {"day": "2026-03-01T00:00:00.000Z", "period": "day", "synced": "2026-03-12", "version": 1}),
        ("pages", {"last_updated_at": "2026-03-01T00:00:00.000Z", "resume": {}, "version": 1}),
        ("visitors", {"last_updated_at": "2026-03-01T00:00:00.000Z", "version": 1}),
        ("visitors", {"modified_ts": "2026-03-01T00:00:00.000Z", "version": 1}),
        ("visitors", {"resume": {"visitor_id": "a", "until": 1, "day": 3}, "version": 1}),
        ("visitors", {"resume": {"visitor_id": "a", "until": -(10**17)}, "version": 1}),
        ("visitors", {"lastupdated": "2026-03-01T00:00:00.000Z", "resume": {"visitor_id": "a", "until": 1}}),
        ("accounts", {"resume": {"visitor_id": "a", "newest": None, "until": 1_773_000_000_000}, "version": 1}),
        ("accounts", {"garbage": True}),
    ],
)
def test_a_state_of_another_stream_is_refused_and_starts_nothing_anew(
    pendo: Subscription, stream: str, state: Row
) -> None:
    out = pendo.read(stream, state={stream: state})
    assert out.failures[stream].message.startswith(f"The state of stream {stream} cannot be read: it must be like")
    assert out.failures[stream].failure_type == "config_error"
    assert out.records[stream] == []


@pytest.mark.parametrize("stream", ["pages", "visitors"])
@pytest.mark.parametrize("state", [{}, {"version": 1}])
def test_a_state_that_says_nothing_yet_is_one_of_ours(pendo: Subscription, stream: str, state: Row) -> None:
    """It is what a sync of an empty subscription leaves."""
    assert pendo.read(stream, state={stream: state}).failures == {}
