"""Deliveries."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

DAY = 86_400


def instant(second: int) -> str:
    """Epoch seconds as an option takes them."""
    return datetime.fromtimestamp(second, UTC).isoformat()


def bounds(request: Any) -> tuple[int, int]:
    """`start_ts` and `end_ts` of a request."""
    return int(request.query["start_ts"][0]), int(request.query["end_ts"][0])


def test_every_delivery_arrives_once(workspace: Workspace) -> None:
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date)
    wanted = [row["id"] for row in workspace.truth("messages") if row["created"] >= workspace.simulator.workspace.start]
    assert sorted(synced.column("messages", "id")) == sorted(wanted)


def test_no_window_is_wider_than_30_days_and_none_overlaps(workspace: Workspace) -> None:
    """The server cuts a range of more than six months silently, and includes both bounds."""
    workspace.sync("messages", start_date=workspace.simulator.start_date)
    asked = sorted({bounds(request) for request in workspace.requests_to("messages")})
    assert asked[0][0] == workspace.simulator.workspace.start
    assert all(end - start + 1 <= 30 * DAY for start, end in asked)
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(asked))


def test_deliveries_on_the_first_and_on_the_last_second_of_a_window_arrive_once(workspace: Workspace) -> None:
    """The simulator has deliveries on both sides of the borders of 30-day windows."""
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date, num_workers=1)
    edges = {second for request in workspace.requests_to("messages") for second in bounds(request)}
    on_edges = [row["id"] for row in workspace.truth("messages") if row["created"] in edges]
    emitted = synced.column("messages", "id")
    assert len(on_edges) > 5
    assert all(emitted.count(number) == 1 for number in on_edges)


def test_a_delivery_one_second_before_the_start_date_is_not_emitted(workspace: Workspace) -> None:
    rows = workspace.truth("messages")
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date)
    assert min(synced.column("messages", "created")) == workspace.simulator.workspace.start
    assert min(row["created"] for row in rows) == workspace.simulator.workspace.start - 1


def test_without_a_start_date_the_first_window_begins_when_the_product_did(workspace: Workspace) -> None:
    """Windows from 1970 on would cost 500 requests more."""
    synced = workspace.sync("messages")
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == 1_325_376_000
    assert len(synced.records["messages"]) == len(workspace.truth("messages"))


@pytest.mark.slow
def test_a_start_date_in_the_year_one_begins_at_zero(workspace: Workspace) -> None:
    """The server takes no negative time."""
    synced = workspace.sync("messages", start_date="0001-01-01T00:00:00Z")
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == 0
    assert len(synced.records["messages"]) == len(workspace.truth("messages"))


def test_metrics_that_arrive_later_are_read_again(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """Opens and clicks are written into deliveries that exist already."""
    start = workspace.simulator.start_date
    first = workspace.sync("messages", start_date=start)
    workspace.simulator.mutate("advance", seconds=3 * DAY)
    opened = workspace.simulator.mutate("fill_metrics", newest=15)
    second = workspace.sync("messages", state=first.last_states(), start_date=start)
    clicked = {row["id"] for row in second.records["messages"] if "clicked" in row["metrics"]}
    assert set(opened) <= clicked


@pytest.mark.parametrize("days", [1, 30, 180])
def test_the_lookback_decides_what_is_read_again(
    workspace: Workspace, clock: Callable[[], datetime], days: int
) -> None:
    """How late metrics may arrive depends on the user's campaigns, so it is an option."""
    saved = workspace.simulator.now - 5 * DAY
    synced = workspace.sync("messages", state={"messages": {"created": saved}}, messages_lookback_days=days)
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == saved - days * DAY
    wanted = {row["id"] for row in workspace.truth("messages") if row["created"] >= saved - days * DAY}
    assert set(synced.column("messages", "id")) == wanted


def test_the_lookback_does_not_reach_behind_the_start_date(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    start = workspace.simulator.now - 10 * DAY
    workspace.sync(
        "messages",
        state={"messages": {"created": workspace.simulator.now - DAY}},
        start_date=datetime.fromtimestamp(start, UTC).isoformat(),
    )
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == start


def test_the_state_is_the_end_of_the_last_window_and_never_past_the_start_of_the_sync(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date)
    values = [state["created"] for state in synced.states["messages"]]
    assert values == sorted(values)
    assert values[-1] == workspace.simulator.now


def test_the_state_does_not_fall_back_while_old_windows_are_read_again(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    saved = workspace.simulator.now - DAY
    synced = workspace.sync("messages", state={"messages": {"created": saved}}, num_workers=1)
    assert {state["created"] >= saved for state in synced.states["messages"]} == {True}


def test_a_window_that_fails_keeps_the_state_of_those_before_it(workspace: Workspace) -> None:
    start = workspace.simulator.workspace.start
    broken = Fault("status", path=f"start_ts={start + 90 * DAY}", status=503, times=-1)
    workspace.simulator.faults.add(broken)
    first = workspace.sync("messages", start_date=workspace.simulator.start_date, num_workers=1)
    assert first.state("messages") == {"created": start + 90 * DAY - 1}
    assert first.statuses["messages"][-1] == "INCOMPLETE"
    workspace.simulator.faults.clear()
    second = workspace.sync("messages", state=first.last_states(), start_date=workspace.simulator.start_date)
    emitted = {*first.column("messages", "id"), *second.column("messages", "id")}
    assert emitted == {row["id"] for row in workspace.truth("messages") if row["created"] >= start}


def test_an_interrupted_full_refresh_goes_on_behind_the_last_window(workspace: Workspace) -> None:
    start = workspace.simulator.workspace.start
    workspace.simulator.faults.add(Fault("status", path=f"start_ts={start + 90 * DAY}", status=503, times=-1))
    options = {"start_date": workspace.simulator.start_date, "num_workers": 1}
    first = workspace.sync("messages", full_refresh=True, **options)
    workspace.simulator.faults.clear()
    workspace.simulator.requests.clear()
    second = workspace.sync("messages", full_refresh=True, state=first.last_states(), **options)
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == start + 90 * DAY
    emitted = {*first.column("messages", "id"), *second.column("messages", "id")}
    assert len(emitted) == len(workspace.truth("messages")) - 1


@pytest.mark.slow
def test_pages_of_a_thousand_are_asked_for_and_drafts_are_not(workspace: Workspace) -> None:
    synced = workspace.sync("messages")
    assert {tuple(request.query["limit"]) for request in workspace.requests_to("messages")} == {("1000",)}
    assert {"drafts" in request.query for request in workspace.requests_to("messages")} == {False}
    drafts = {row["id"] for row in workspace.truth("messages", drafts="true")} - set(synced.column("messages", "id"))
    assert len(drafts) == 6


def test_the_order_of_a_page_does_not_matter(workspace: Workspace) -> None:
    """Newest first was observed and is not documented."""
    deliveries = workspace.simulator.workspace.deliveries
    deliveries._rows[10:20] = deliveries._rows[10:20][::-1]
    synced = workspace.sync("messages")
    assert len(set(synced.column("messages", "id"))) == len(workspace.truth("messages"))


def test_a_type_that_nobody_declared_and_metrics_of_any_name_pass_through(workspace: Workspace) -> None:
    """The vendor adds channels and metrics without notice."""
    synced = workspace.sync("messages")
    assert "hologram" in synced.column("messages", "type")
    assert any("secondary:delivered" in row["metrics"] for row in synced.records["messages"])


def test_deliveries_of_deleted_and_forgotten_people_arrive_with_what_is_left(workspace: Workspace) -> None:
    synced = workspace.sync("messages")
    rows = synced.records["messages"]
    assert any(row["customer_identifiers"] is None and row["forgotten"] for row in rows)
    assert any(row["customer_id"] is None and row["customer_identifiers"] for row in rows)


@pytest.mark.slow
def test_windows_are_read_side_by_side_and_the_state_still_moves_in_their_order(workspace: Workspace) -> None:
    start = workspace.simulator.workspace.start
    workspace.simulator.faults.add(Fault("delay", path=f"start_ts={start}&", seconds=0.3))
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date, num_workers=4)
    paths = [bounds(request)[0] for request in workspace.requests_to("messages")]
    first_state = synced.order.index(("state", "messages"))
    assert len(paths) == 11
    assert synced.order[:first_state].count(("record", "messages")) > 30
    assert synced.states["messages"][0]["created"] >= start


def test_a_history_in_three_parts_is_the_history_at_once(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """Two parts meet at a delivery, which the later one reads; a sync goes on from the state of the last part."""
    first = workspace.simulator.workspace.start
    times = sorted(row["created"] for row in workspace.truth("messages") if row["created"] >= first)
    bounds_of_parts = [first, times[len(times) // 3], times[2 * len(times) // 3], None]
    parts = [
        workspace.sync("messages", start_date=instant(start), end_date=None if end is None else instant(end))
        for start, end in itertools.pairwise(bounds_of_parts)
    ]
    emitted = [number for part in parts for number in part.column("messages", "id")]
    assert sorted(emitted) == sorted(row["id"] for row in workspace.truth("messages") if row["created"] >= first)
    ends = [part.state("messages")["created"] for part in parts]
    assert ends == [bounds_of_parts[1] - 1, bounds_of_parts[2] - 1, workspace.simulator.now]
    asked = sorted({bounds(request) for request in workspace.requests_to("messages")})
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(asked))


def test_a_sync_without_an_end_date_goes_on_from_the_state_of_one_with_it(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    start, end = workspace.simulator.workspace.start, workspace.simulator.now - 60 * DAY
    options = {"start_date": instant(start), "messages_lookback_days": 1}
    part = workspace.sync("messages", end_date=instant(end), **options)
    workspace.simulator.requests.clear()
    rest = workspace.sync("messages", state=part.last_states(), **options)
    assert min(bounds(request)[0] for request in workspace.requests_to("messages")) == end - 1 - DAY
    emitted = {*part.column("messages", "id"), *rest.column("messages", "id")}
    assert emitted == {row["id"] for row in workspace.truth("messages") if row["created"] >= start}
    assert rest.state("messages") == {"created": workspace.simulator.now}


@pytest.mark.parametrize("beyond", [0, 90 * DAY])
def test_a_state_beyond_the_end_date_reads_nothing_and_stays(
    workspace: Workspace, clock: Callable[[], datetime], beyond: int
) -> None:
    """Another part of the history has reached it."""
    end = workspace.simulator.workspace.start + 100 * DAY
    state = {"created": end + beyond}
    synced = workspace.sync("messages", state={"messages": state}, end_date=instant(end))
    assert workspace.requests_to("messages") == []
    assert synced.state("messages") == state
    assert synced.statuses["messages"] == ["STARTED", "COMPLETE"]
    assert synced.logged("Stream messages: there is nothing to read")


def test_a_part_that_was_read_reads_its_lookback_again_but_no_second_from_the_end_date_on(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    end = workspace.simulator.workspace.start + 100 * DAY
    state = {"created": end - 1}
    synced = workspace.sync("messages", state={"messages": state}, end_date=instant(end))
    asked = [bounds(request) for request in workspace.requests_to("messages")]
    assert min(asked)[0] == end - 1 - 30 * DAY
    assert max(last for _, last in asked) == end - 1
    assert synced.state("messages") == state


def test_an_end_date_in_the_future_ends_nothing(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """The state ends with the sync's start, since deliveries after that are still to come."""
    end = instant(workspace.simulator.now + 10 * DAY)
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date, end_date=end)
    assert synced.state("messages") == {"created": workspace.simulator.now}
    assert max(bounds(request)[1] for request in workspace.requests_to("messages")) == workspace.simulator.now


def test_an_end_date_before_the_product_existed_reads_nothing(workspace: Workspace) -> None:
    synced = workspace.sync("messages", end_date="2011-01-01T00:00:00Z")
    assert workspace.requests_to("messages") == []
    assert synced.statuses["messages"] == ["STARTED", "COMPLETE"]
    assert synced.state("messages") == {"created": 0}


def test_an_end_date_ends_no_other_stream(workspace: Workspace) -> None:
    synced = workspace.sync("activities", "newsletters", end_date="2012-01-02T00:00:00Z")
    for stream in ("activities", "newsletters"):
        assert len(synced.records[stream]) == len(workspace.truth(stream)) > 0
