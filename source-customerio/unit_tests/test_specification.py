"""What the vendor's specification of August 2026 states, where it says more than, or other than, recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft7Validator
from simulators.customerio.answers import poorer
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

DAY = 86_400
#: Columns that the connector declares, since answers may have them, and that no operation specifies
NOT_SPECIFIED = {
    "broadcasts": (
        "created_by",
        "scheduled_start",
        "scheduled_start_should_backfill",
        "scheduled_stop",
        "scheduled_stop_should_sunset",
    ),
    "newsletters": ("expires_after", "recipient_file_error", "recipient_file_status"),
    "transactional_messages": ("trigger_name",),
}


def schema_of(workspace: Workspace, stream: str) -> dict[str, Any]:
    """The discovered schema of a stream."""
    streams = workspace.run("discover", workspace.config()).streams
    return next(one["json_schema"] for one in streams if one["name"] == stream)


def sorted_rows(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows in an order of their own, to compare them."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def deliveries(workspace: Workspace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The deliveries that a sync reads in few windows, and those that it should."""
    start = workspace.simulator.workspace.start
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date)
    return synced.records["messages"], [row for row in workspace.truth("messages") if row["created"] >= start]


def answer(workspace: Workspace, path: str, document: Any) -> None:
    """From now on a path answers with this document."""
    workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=json.dumps(document), times=-1))


def test_templates_of_broadcasts_are_objects_also_where_they_come_as_numbers(workspace: Workspace) -> None:
    """A column of two types breaks typed destinations."""
    whole = workspace.sync("broadcasts").records["broadcasts"]
    assert whole == workspace.truth("broadcasts")
    workspace.simulator.options.bare_template_ids = True
    bare = workspace.sync("broadcasts").records["broadcasts"]
    assert bare == [
        {**row, "msg_template_ids": [{"id": item["id"]} for item in row["msg_template_ids"]]} for row in whole
    ]
    written = [{"id": 7, "type": "email", "more": "kept"}, "9", None]
    answer(workspace, "/v1/broadcasts", {"broadcasts": [{"id": 1, "msg_template_ids": written}, {"id": 2}]})
    mixed = workspace.sync("broadcasts").records["broadcasts"]
    assert mixed == [{"id": 1, "msg_template_ids": [written[0], {"id": 9}, None]}, {"id": 2}]
    schema = Draft7Validator(schema_of(workspace, "broadcasts"))
    for row in (*whole, *bare, *mixed):
        schema.validate(row)


def test_answers_to_questions_in_messages_arrive_from_every_page(workspace: Workspace) -> None:
    """They come only where they are asked for."""
    workspace.simulator.options.page_caps = {"messages": 70}
    found, truth = deliveries(workspace)
    assert sorted_rows(found) == sorted_rows(truth)
    answered = [row for row in found if "tracked_responses" in row]
    assert len(answered) > 10
    Draft7Validator(schema_of(workspace, "messages")).validate(answered[0])


@pytest.mark.parametrize("counts", [False, True])
def test_what_people_did_in_a_delivery_arrives_as_times_or_as_counts(workspace: Workspace, counts: bool) -> None:
    """`human_opened` and its like are described as counts, while recorded answers show times."""
    workspace.simulator.options.human_counts = counts
    found, truth = ({row["id"]: row["metrics"] for row in rows} for rows in deliveries(workspace))
    opened = {number for number, metrics in truth.items() if "human_opened" in metrics}
    assert {number for number, metrics in found.items() if metrics.get("human_opened", 0) > 0} == opened
    assert {found[number]["human_opened"] < 100 for number in opened} == {counts}
    assert found.keys() == truth.keys()
    described = schema_of(workspace, "messages")["properties"]["metrics"]["description"]
    assert "`human_clicked` and `prefetch_clicked` are described as counts" in described


@pytest.mark.slow
def test_rows_with_fields_left_out_down_to_one_without_id_and_time_arrive(workspace: Workspace) -> None:
    """No field of these rows is required."""
    streams = ("campaigns", "newsletters", "messages", "segments", "snippets", "topics", "optouts")
    workspace.simulator.options.left_out = [*streams]
    synced = workspace.sync(*streams)
    for name in streams:
        rows = [poorer(row, name) for row in workspace.truth(name)]
        assert synced.statuses[name][-1] == "COMPLETE"
        assert sorted_rows(synced.records[name]) == sorted_rows(rows)
        untimed = [line for line in synced.logged(f"WARN: Stream {name}: ") if "have no usable" in line]
        assert bool(untimed) == (name not in ("topics", "optouts")), (
            "where a cursor needs times, those without are named"
        )
        key = {"snippets": "name", "optouts": "cio_id"}.get(name, "id")
        without = sum(row.get(key) is None for row in rows)
        counted = synced.logged(f"WARN: Stream {name}: {without} rows have no {key}, a column of the primary key")
        assert bool(counted) == bool(without)


@pytest.mark.parametrize("drafts", ["included", "only"])
def test_drafts_are_not_asked_for_whether_they_would_come_beside_what_was_sent_or_instead(
    workspace: Workspace, drafts: str
) -> None:
    workspace.simulator.options.drafts = drafts
    found, truth = deliveries(workspace)
    assert sorted_rows(found) == sorted_rows(truth)


@pytest.mark.parametrize("beside", [False, True])
def test_the_id_of_a_segment_may_stand_beside_or_within_what_uses_it(workspace: Workspace, beside: bool) -> None:
    segment = workspace.truth("segments")[0]["id"]
    used = {"campaigns": [4], "sent_newsletters": [], "draft_newsletters": None}
    usage = {"segment_id": segment, "used_by": used} if beside else {"used_by": {"segment_id": segment, **used}}
    answer(workspace, f"/segments/{segment}/used_by", usage)
    answer(
        workspace, f"/segments/{segment}/customer_count", {"count": 5, **({"segment_id": segment} if beside else {})}
    )
    synced = workspace.sync("segment_usage", "segment_customer_counts")
    for stream, row in (("segment_usage", used), ("segment_customer_counts", {"count": 5})):
        assert {"segment_id": segment, **row} in synced.records[stream]
        others = [row for row in synced.records[stream] if row["segment_id"] != segment]
        assert all(row in workspace.truth(stream) for row in others)
        assert len(others) >= len(workspace.truth(stream)) - 1


@pytest.mark.parametrize("begins", ["2025-01-01T00:00:00Z", "2025-01-01 00:00:00 +0000 UTC"])
def test_dates_of_version_2_may_be_iso_8601_or_what_go_prints(
    workspace: Workspace, clock: Callable[[], datetime], begins: str
) -> None:
    series = {"sent": [3, 4]}
    answer(
        workspace, "campaigns/4/metrics", {"metric": {"series": series}, "start": begins, "end": begins, "res": "days"}
    )
    synced = workspace.sync("campaign_metrics")
    periods = {
        row["period_start"]: row["metrics"] for row in synced.records["campaign_metrics"] if row["campaign_id"] == 4
    }
    assert periods == {1_735_689_600: {"sent": 3}, 1_735_689_600 + DAY: {"sent": 4}}


def test_months_without_dates_reach_ten_years_back_and_include_the_present_one(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """The server gives 121 months at most."""
    broadcast, *others = workspace.simulator.workspace.lists["broadcasts"]
    broadcast["created"] = 1_325_376_000
    for other in others:
        workspace.simulator.mutate("delete", stream="broadcasts", id=other["id"])
    synced = workspace.sync("broadcast_metrics")
    months = [row for row in synced.records["broadcast_metrics"] if row["resolution"] == "months"]
    now = clock().astimezone(ZoneInfo("America/New_York"))
    starts = sorted(datetime.fromtimestamp(row["period_start"], now.tzinfo) for row in months)
    assert [(starts[0].year, starts[0].month), (starts[-1].year, starts[-1].month)] == [
        (now.year - 10, now.month),
        (now.year, now.month),
    ]
    assert len(months) == len(set(starts)) == 121


def test_the_type_of_a_suppression_is_the_list_that_was_asked_for(workspace: Workspace) -> None:
    """The answer's `category` knows two types, and there are four lists."""
    for kind in ("blocks", "spam_reports", "invalid_emails"):
        rows = [{"created": 1_700_000_000, "email": f"{kind}@example.com", "reason": "", "status": ""}]
        path = f"/esp/suppression/{kind}"
        answer(workspace, f"{path}.*offset=1", {"category": "spam", "suppressions": None})
        answer(workspace, path, {"category": "spam" if kind == "spam_reports" else "bounces", "suppressions": rows})
    synced = workspace.sync("esp_suppressions")
    found = {row["email"]: row["suppression_type"] for row in synced.records["esp_suppressions"]}
    assert (
        found.items() >= {f"{kind}@example.com": kind for kind in ("blocks", "spam_reports", "invalid_emails")}.items()
    )
    assert "bounces" in found.values()


def test_columns_that_are_not_specified_stay_and_say_so(workspace: Workspace) -> None:
    for stream, columns in NOT_SPECIFIED.items():
        properties = schema_of(workspace, stream)["properties"]
        for column in columns:
            assert "Not specified, may stay empty" in properties[column]["description"]
