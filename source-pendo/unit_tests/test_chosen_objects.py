"""report_results and segment_memberships: only the objects that an option names, each for itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pendo_reader import Row, Subscription, cut_in_the_middle
from simulators.faults import Fault

RESULTS, MEMBERS = "report_results", "segment_memberships"


def answer(pendo: Subscription, rows: Any, status: int = 200, times: int = -1, path: str = "", body: str = "") -> None:
    """Let requests be answered with this."""
    text = orjson.dumps(rows).decode()
    pendo.sim.faults.add(Fault("status", path=path, body=body, status=status, answer=text, times=times))


def members(pendo: Subscription, segment: str, *pages: list[Row]) -> None:
    """Let the pages of a segment's members be these, in order."""
    for page in pages:
        answer(pendo, {"results": page}, times=1, path="aggregation", body=segment)


def member(visitor: str, account: str | None) -> Row:
    return {"visitorId": visitor, "accountId": account}


@pytest.mark.slow
def test_the_streams_exist_only_where_an_option_names_ids(pendo: Subscription) -> None:
    names = {stream.name for stream in pendo.discover().streams}
    assert not {RESULTS, MEMBERS} & names
    report = next(row["id"] for row in pendo.truth("reports") if row["type"] == "Visitor Report")
    members(pendo, "sg1", [])
    catalog = [stream.name for stream in pendo.discover(report_ids=[report], segment_ids=["sg1"]).streams]
    assert catalog[-2:] == [RESULTS, MEMBERS]


def test_the_results_of_the_chosen_reports_are_read(pendo: Subscription) -> None:
    """Each row is one object under Pendo's own names, which differ from report to report."""
    truth = pendo.truth(RESULTS)
    chosen = sorted({row["reportId"] for row in truth})[:2]
    rows = pendo.read(RESULTS, report_ids=chosen).records[RESULTS]
    expected = [
        {"report_id": report, "row": place, "values": {name: row[name] for name in row if name != "reportId"}}
        for report in chosen
        for place, row in enumerate(row for row in truth if row["reportId"] == report)
    ]
    assert sorted(rows, key=lambda row: (row["report_id"], row["row"])) == expected
    assert expected


@pytest.mark.parametrize("status", [404, 403, 422, 400])
def test_a_report_without_results_costs_that_report(pendo: Subscription, status: int) -> None:
    """Funnels, a wrong id, a private report: the sentence says which kinds have results."""
    pendo.sim.mutate("switch", other_reports_status=status)
    reports = pendo.truth("reports")
    funnel, good = (next(row["id"] for row in reports if row["type"] == kind) for kind in ("Funnel", "Visitor Report"))
    out = pendo.read(RESULTS, "pages", report_ids=[funnel, good])
    assert {row["report_id"] for row in out.records[RESULTS]} == {good}
    message = out.failures[RESULTS].message
    assert f"could not be read: report {funnel}." in message
    assert "only public visitor and account reports have results" in message
    assert out.statuses["pages"][-1] == "COMPLETE"


def test_results_that_break_in_the_middle_are_read_again_from_the_first_row(pendo: Subscription) -> None:
    """The keys are those of one reading."""
    rows = [{"visitorId": f"v{number}", "text": "x" * 1000, "tags": []} for number in range(300)]
    for text in (cut_in_the_middle(rows), orjson.dumps(rows).decode()):
        pendo.sim.faults.add(Fault("status", path="report/r/results", status=200, answer=text))
    found = pendo.read(RESULTS, report_ids=["r"]).records[RESULTS]
    assert {row["row"]: row["values"] for row in found} == dict(enumerate(rows))
    assert [row["row"] for row in found[-300:]] == list(range(300))


@pytest.mark.parametrize("rows", [{"error": "no"}, [["a"]]])
def test_results_of_another_shape_are_no_empty_report(pendo: Subscription, rows: Any) -> None:
    answer(pendo, rows, path="report/r/results")
    out = pendo.read(RESULTS, report_ids=["r"])
    assert "another shape" in out.failures[RESULTS].message


@pytest.mark.parametrize("record_limit", [7, 50_000])
def test_the_members_of_the_chosen_segments_are_read_whatever_the_page_size(
    pendo: Subscription, record_limit: int
) -> None:
    """One row for each account of a visitor, also where a page's end cuts a visitor's rows."""
    truth = pendo.truth(MEMBERS)
    chosen = sorted({row["segmentId"] for row in truth})[:2]
    out = pendo.read(MEMBERS, segment_ids=chosen, record_limit=record_limit)
    rows = [(row["segment_id"], row["visitor_id"], row.get("account_id")) for row in out.records[MEMBERS]]
    expected = [tuple(row.values()) for row in truth if row["segmentId"] in chosen]
    assert sorted(rows, key=str) == sorted(expected, key=str)
    assert len(rows) > 14
    asked = [pipeline for pipeline in pendo.pipelines("visitors") if {"segment": {"id": chosen[0]}} in pipeline]
    assert (len(asked) > 1) is (record_limit == 7)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_segment_that_is_refused_costs_that_segment(pendo: Subscription, status: int) -> None:
    answer(pendo, {"message": "no such segment"}, status, path="aggregation", body="sg1")
    members(pendo, "sg2", [member("a", "1"), member("a", "2"), member("b", None)])
    out = pendo.read(MEMBERS, segment_ids=["sg1", "sg2"])
    assert [tuple(row.values()) for row in out.records[MEMBERS]] == [
        ("sg2", "a", "1"),
        ("sg2", "a", "2"),
        ("sg2", "b", None),
    ]
    assert "could not be read: segment sg1." in out.failures[MEMBERS].message
    assert "only shared segments can be read" in out.failures[MEMBERS].message


def test_members_have_the_types_of_the_schema(pendo: Subscription) -> None:
    """Accounts may be numbers, or all of a visitor's where Pendo did not unwind them."""
    members(pendo, "sg1", [{"visitorId": "a", "accountId": 5}, {"visitorId": "b", "accountId": ["x", "y"]}])
    rows = pendo.read(MEMBERS, segment_ids=["sg1"]).records[MEMBERS]
    assert [row["account_id"] for row in rows] == ["5", '["x","y"]']


def test_members_without_an_id_are_an_error(pendo: Subscription) -> None:
    """Another name of the column must not look like visitors without ids."""
    members(pendo, "sg1", [{"id": "a", "accountId": "1"}])
    assert "without visitorId" in pendo.read(MEMBERS, segment_ids=["sg1"]).failures[MEMBERS].message


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_a_subscription_without_them_is_told_so_and_the_catalog_goes_without(pendo: Subscription, status: int) -> None:
    """One object that can be read is enough for the stream to stay."""
    answer(pendo, {"message": "no"}, status, path="results.json")
    answer(pendo, {"message": "no"}, status, path="aggregation", body="sg[12]")
    options = {"report_ids": ["r"], "segment_ids": ["sg1", "sg2"]}
    succeeded, sentence = pendo.check(**options)
    assert succeeded
    assert RESULTS in sentence
    assert MEMBERS in sentence
    assert sentence.endswith(" None of the ids in report_ids and segment_ids can be read: check them.")
    names = [stream.name for stream in pendo.discover(**options).streams]
    assert not {RESULTS, MEMBERS} & set(names)
    members(pendo, "sg3", [])
    options["segment_ids"].append("sg3")
    assert MEMBERS in [stream.name for stream in pendo.discover(**options).streams]
