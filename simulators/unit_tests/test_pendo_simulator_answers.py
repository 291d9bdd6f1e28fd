"""Keys, regions, endpoints, refusals and switches of the simulated Pendo."""

from __future__ import annotations

import gzip
import http.client
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from simulators.faults import Fault
from simulators.pendo import APPS, DEFAULT_APP

ALL = {"appId": 'expandAppIds("*")'}
DAY = {"period": "dayRange", "first": "date(2026,3,12)", "count": 1}


@pytest.mark.slow
@pytest.mark.parametrize("path", ["page", "metadata/schema/account", "visitor/x/history?starttime=1", "nowhere"])
@pytest.mark.parametrize(("key", "status"), [(None, 403), ("unknown", 403), ("simulated-integration-key.eu", 400)])
def test_a_missing_or_unknown_key_is_forbidden_and_one_of_another_region_has_its_own_error(
    pendo: Any, path: str, key: str | None, status: int
) -> None:
    found, body, _ = pendo.call("GET", path, key=key)
    assert found == status
    assert (body == "missing jzb") == (status == 400)


@pytest.mark.parametrize("name", ["page", "feature", "guide", "tracktype", "report", "segment"])
def test_a_list_holds_the_default_app_only_unless_it_is_expanded(pendo: Any, name: str) -> None:
    pendo.sim.mutate("switch", lists_by_app=True)
    narrow, wide = pendo.get(name), pendo.get(name + "?expand=*")
    assert 0 < len(narrow) < len(wide) == 9
    if "appId" in wide[0]:
        assert {row["appId"] for row in narrow} == {DEFAULT_APP}
        assert {row["appId"] for row in wide} == {app["id"] for app in APPS}


def test_a_list_can_be_narrowed_to_ids_and_has_no_address_for_one(pendo: Any) -> None:
    first, second, *_ = pendo.get("page")
    assert pendo.get(f"page?id={first['id']},{second['id']}") == [first, second]
    assert pendo.call("GET", f"page/{first['id']}")[0] == 404


def test_sources_hold_the_default_app_only_by_default(pendo: Any) -> None:
    def apps(parameters: object) -> set[int]:
        rows = pendo.rows({"source": {"pageEvents": parameters, "timeSeries": DAY}})
        return {row["appId"] for row in rows}

    assert apps(None) == {DEFAULT_APP}
    assert apps(ALL) == {app["id"] for app in APPS}
    assert apps({"appId": APPS[1]["id"]}) == {APPS[1]["id"]}
    assert apps({"appId": [str(APPS[1]["id"]), APPS[2]["id"]]}) == {APPS[1]["id"], APPS[2]["id"]}
    assert apps({"appId": 42}) == set()
    assert len(pendo.rows({"source": {"guides": None}})) < len(pendo.rows({"source": {"guides": ALL}}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "parameter"),
    [
        ("pageEvents", "pageId"),
        ("featureEvents", "featureId"),
        ("trackEvents", "trackTypeId"),
        ("pollEvents", "pollId"),
    ],
)
def test_a_source_can_be_narrowed_to_one_id(pendo: Any, source: str, parameter: str) -> None:
    series = {"period": "dayRange", "first": "date(2026,3,1)", "last": "now()"}
    rows = pendo.rows({"source": {source: ALL, "timeSeries": series}})
    wanted = rows[0][parameter]
    narrowed = pendo.rows({"source": {source: {**ALL, parameter: wanted}, "timeSeries": series}})
    assert narrowed == [row for row in rows if row[parameter] == wanted]


def test_the_exclude_list_is_applied_by_default(pendo: Any) -> None:
    def visitors(blacklist: str) -> set[str]:
        rows = pendo.rows({"source": {"events": {**ALL, "blacklist": blacklist}, "timeSeries": DAY}})
        return {row["visitorId"] for row in rows}

    assert visitors("only") == {"qa-robot@example.com"}
    assert "qa-robot@example.com" not in visitors("apply")
    assert visitors("ignore") == visitors("apply") | visitors("only")


BAD_PARAMETERS = "bad pipeline: bad source: bad parameters for source type {}: unexpected parameters"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pipeline", "status", "text"),
    [
        ([{"source": {"trackEvents": {"trackId": "x"}, "timeSeries": DAY}}], 400, BAD_PARAMETERS.format("trackEvents")),
        ([{"source": {"pages": {"pageId": "x"}}}], 400, BAD_PARAMETERS.format("pages")),
        ([{"source": {"pageEvents": {"appId": "all"}, "timeSeries": DAY}}], 400, BAD_PARAMETERS.format("pageEvents")),
        ([{"source": {"pageEvents": {"blacklist": "x"}, "timeSeries": DAY}}], 400, BAD_PARAMETERS.format("pageEvents")),
        ([{"source": {"visitors": {"identified": "yes"}}}], 400, BAD_PARAMETERS.format("visitors")),
        ([{"source": {"pageEvents": None}}], 400, "no period specified for time series source"),
        ([{"source": {"nosuch": None}}], 400, "bad pipeline: bad source: unknown source type nosuch"),
        ([{"source": {"pages": None}}, {"skip": 5}], 400, "bad pipeline: unknown stage skip"),
        ([{"source": {"pages": None}}, {"limit": "5"}], 400, "bad pipeline: bad limit: expected a number"),
        ([{"source": {"pages": None}}, {"sort": "id"}], 400, "bad pipeline: bad sort: expected a list of fields"),
        ([{"limit": 5}], 422, "pipeline must start with a source"),
        ([], 422, "missing pipeline"),
    ],
)
def test_a_pipeline_that_cannot_be_built_is_refused_with_a_text(
    pendo: Any, pipeline: list[dict[str, Any]], status: int, text: str
) -> None:
    assert pendo.post(*pipeline) == (status, text)


@pytest.mark.parametrize(
    "series",
    [
        {"period": "dayRange", "count": 1},
        {"period": "dayRange", "first": 1},
        {"period": "dayRange", "first": 1, "last": 2, "count": 1},
        {"period": "dayRange", "first": 1, "end": 2},
        {"period": "dayRange", "first": "yesterday(", "count": 1},
        {"period": "dayRange", "first": None, "count": 1},
        {"period": "fortnight", "first": 1, "count": 1},
    ],
)
def test_a_time_series_that_makes_no_window_is_refused(pendo: Any, series: dict[str, Any]) -> None:
    status, text = pendo.post({"source": {"events": ALL, "timeSeries": series}})
    assert status == 400
    assert text.startswith("bad pipeline: bad source: bad time series")


def test_only_answers_for_a_time_range_have_its_start(pendo: Any) -> None:
    assert set(pendo.post({"source": {"events": ALL, "timeSeries": DAY}})[1]) == {"startTime", "results"}
    assert set(pendo.post({"source": {"pages": ALL}})[1]) == {"results"}


def test_the_metadata_schema_describes_every_field_and_knows_no_wrong_kind(pendo: Any) -> None:
    schema = pendo.get("metadata/schema/visitor")
    assert {"auto", "agent", "custom", "salesforce", "pendo"} == set(schema)
    assert {"userID", "userId"} <= set(schema["custom"])
    assert schema["custom"]["labels"]["Type"] == "list"
    assert {"", "polygon"} <= {field["Type"] for field in schema["custom"].values()}
    assert pendo.get("metadata/schema/AccountMetadata") == {}


def test_one_visitor_and_one_account_are_found_by_their_encoded_id(pendo: Any) -> None:
    for row in pendo.sim.truth("visitors", anonymous="true"):
        assert pendo.get("visitor/" + quote(row["visitorId"], safe=""))["id"] == row["visitorId"]
    for row in pendo.sim.truth("accounts"):
        if row["accountId"]:
            assert pendo.get("account/" + quote(row["accountId"], safe=""))["id"] == row["accountId"]


@pytest.mark.parametrize(
    "path", ["visitor", "account", "visitor/nobody", "account/nobody", "visitor/nobody/history?starttime=0"]
)
def test_lists_of_people_and_unknown_ids_are_not_found(pendo: Any, path: str) -> None:
    assert pendo.call("GET", path)[0] == 404


def test_a_history_answers_a_day_and_repeats_the_hour_before(pendo: Any) -> None:
    row = pendo.sim.truth("visitor_history")[0]
    address = f"visitor/{quote(row['visitorId'], safe='')}/history?starttime="
    wanted = {name: value for name, value in row.items() if name != "visitorId"}
    day, hour = 86_400_000, 3_600_000
    for start in (row["ts"], row["ts"] - day + 1, row["ts"] + hour):
        assert wanted in pendo.get(f"{address}{start}")
    for start in (row["ts"] - day, row["ts"] + hour + 1):
        assert wanted not in pendo.get(f"{address}{start}")


def test_a_history_can_be_gone_for_one_visitor_or_refused_for_all(pendo: Any) -> None:
    pendo.sim.mutate("remove_visitor", visitor_id="ann@example.com", history_only=True)
    assert pendo.call("GET", "visitor/ann@example.com/history?starttime=0")[0] == 404
    assert "ann@example.com" in {row["visitorId"] for row in pendo.sim.truth("visitors")}
    pendo.sim.mutate("switch", history_status=422)
    assert pendo.call("GET", "visitor/Zed@example.com/history?starttime=0")[0] == 422


def test_a_kind_of_object_can_be_forbidden_and_allowed_again(pendo: Any) -> None:
    pendo.sim.mutate("forbid", kinds=["guides", "metadata"])
    status, text, _ = pendo.call("GET", "guide?expand=*")
    assert (status, "guides" in text) == (403, True)
    assert pendo.post({"source": {"guides": ALL}})[0] == 403
    assert pendo.call("GET", "metadata/schema/account")[0] == 403
    assert pendo.call("GET", "page")[0] == 200
    pendo.sim.mutate("allow", kinds=["guides"])
    assert pendo.call("GET", "guide")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize(("switch", "status"), [("timeout_rows", 408), ("memory_rows", 400)])
def test_a_query_that_scans_too_much_fails_and_a_smaller_window_or_fewer_apps_help(
    pendo: Any, switch: str, status: int
) -> None:
    whole = len(pendo.events("pageEvents", "date(2026,3,12)", period="hourRange", count=24))
    pendo.sim.mutate("switch", **{switch: whole - 1})
    day = {"source": {"pageEvents": ALL, "timeSeries": DAY}}
    found, text = pendo.post(day, {"limit": 1})
    assert found == status
    assert (text == "Query exceeded memory limit") == (status == 400)
    halves = [pendo.events("pageEvents", f"date(2026,3,12)+{n}*3600000", period="hourRange", count=12) for n in (0, 12)]
    assert sum(map(len, halves)) == whole
    for app in APPS:
        assert pendo.post({"source": {"pageEvents": {"appId": app["id"]}, "timeSeries": DAY}})[0] == 200


def test_an_empty_result_can_be_null(pendo: Any) -> None:
    nothing = {"filter": "numEvents < 0"}
    assert pendo.events("events", "date(2026,3,12)", nothing) == []
    pendo.sim.mutate("switch", null_when_empty=True)
    assert pendo.post({"source": {"events": ALL, "timeSeries": DAY}}, nothing)[1]["results"] is None


@pytest.mark.parametrize(
    ("options", "status", "retry_after"),
    [({"retry_after": 3}, 429, "3"), ({}, 429, None), ({"status": 403}, 403, None)],
)
def test_too_many_requests_in_a_second_are_refused(
    pendo: Any, options: dict[str, int], status: int, retry_after: str | None
) -> None:
    pendo.sim.mutate("limit_rate", calls=2, **options)
    assert [pendo.call("GET", "page")[0] for _ in range(2)] == [200, 200]
    found, body, headers = pendo.call("GET", "page")
    assert (found, headers["Retry-After"]) == (status, retry_after)
    assert ("rateLimitExceeded" in str(body)) == (status == 403)
    pendo.sim.mutate("limit_rate")
    assert pendo.call("GET", "page")[0] == 200


def test_a_cut_answer_is_a_valid_beginning_of_the_whole_one(pendo: Any) -> None:
    pendo.sim.faults.add(Fault("cut", path="page", at=200))
    with pytest.raises(http.client.IncompleteRead):
        pendo.call("GET", "page")
    assert pendo.call("GET", "page")[0] == 200


def test_gzip_is_off_unless_switched_on(make_pendo: Callable[..., Any]) -> None:
    sim = make_pendo(compress=True).sim
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=60)
    connection.request(
        "GET", "/api/v1/page", headers={"x-pendo-integration-key": sim.api_key, "Accept-Encoding": "gzip"}
    )
    answer = connection.getresponse()
    assert answer.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.read())[:1] == b"["
    connection.close()


@pytest.mark.slow
def test_the_command_line_prints_its_address_and_can_be_controlled_over_http() -> None:
    command = [sys.executable, "-m", "simulators", "pendo", "--port", "0", "--size", "tiny", "--api-key", "k"]
    command += ["--rules", "documented"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on http://").strip()
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("POST", "/_sim/mutate", b'{"name":"advance","days":1}')
        assert connection.getresponse().read() == b'{"result":"2026-03-21T16:30:00.000Z"}'
        connection.request("GET", "/api/v1/page", headers={"x-pendo-integration-key": "k"})
        assert connection.getresponse().read()[:1] == b"["
        connection.request("GET", "/api/v1/page", headers={"x-pendo-integration-key": "unknown"})
        assert connection.getresponse().read() == b'{"message":"Unauthorized: invalid integration key"}'
        connection.request("GET", "/_sim/truth/page_events?period=hour&since=2026-03-20")
        assert b'"hour":' in connection.getresponse().read()
        connection.close()
        process.terminate()
        assert process.wait(timeout=60) == 0
