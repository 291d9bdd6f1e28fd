"""The activity log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

HOUR = 3_600
DAY = 86_400


def test_the_first_sync_reads_everything_that_is_kept_also_of_deleted_people(workspace: Workspace) -> None:
    synced = workspace.sync("activities")
    assert sorted(synced.column("activities", "id")) == sorted(row["id"] for row in workspace.truth("activities"))
    assert {tuple(request.query["deleted"]) for request in workspace.requests_to("activities")} == {("true",)}
    cio_ids = {(row["customer_identifiers"] or {}).get("cio_id") for row in synced.records["activities"]}
    assert "a3ffffff" in cio_ids


def test_an_event_in_the_future_does_not_poison_the_cursor(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """Senders date events themselves; the simulator has events an hour and a year ahead."""
    first = workspace.sync("activities")
    assert max(first.column("activities", "timestamp")) > workspace.simulator.now + 300 * DAY
    assert first.state("activities") == {"timestamp": workspace.simulator.now}
    workspace.simulator.mutate("advance", seconds=2 * HOUR)
    fresh = workspace.simulator.mutate("add_activity", ago=HOUR, count=3)
    second = workspace.sync("activities", state=first.last_states())
    assert set(fresh) <= set(second.column("activities", "id"))


def test_reading_stops_at_the_first_page_that_lies_wholly_before_the_cursor(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """Without an early stop every sync would read 30 days."""
    workspace.simulator.options.page_caps = {"activities": 10}
    first = workspace.sync("activities")
    pages = len(workspace.requests_to("activities"))
    workspace.simulator.requests.clear()
    second = workspace.sync("activities", state=first.last_states())
    floor = first.state("activities")["timestamp"] - HOUR
    wanted = [row["id"] for row in workspace.truth("activities") if row["timestamp"] >= floor]
    assert second.column("activities", "id") == wanted
    assert pages > 20
    assert len(workspace.requests_to("activities")) == 2
    assert not second.logged("did not list the newest activities first")


@pytest.mark.parametrize("order", ["oldest first", "id"])
def test_a_log_that_is_not_sorted_is_read_to_its_end_and_warned_of(
    workspace: Workspace, clock: Callable[[], datetime], order: str
) -> None:
    """A stop at the first old page would lose for ever what lies behind it."""
    workspace.simulator.options.page_caps = {"activities": 10}
    first = workspace.sync("activities")
    workspace.simulator.mutate("advance", seconds=2 * HOUR)
    fresh = workspace.simulator.mutate("add_activity", ago=60, count=30)
    workspace.simulator.options.activity_order = order
    workspace.simulator.requests.clear()
    second = workspace.sync("activities", state=first.last_states())
    truth = workspace.truth("activities")
    floor = first.state("activities")["timestamp"] - HOUR
    assert set(second.column("activities", "id")) == {row["id"] for row in truth if row["timestamp"] >= floor}
    assert set(fresh) <= set(second.column("activities", "id"))
    assert len(workspace.requests_to("activities")) == -(-len(truth) // 10)
    assert second.logged("Stream activities: Customer.io did not list the newest activities first")


def test_rows_out_of_order_within_the_hour_that_is_read_again_are_tolerated(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """Two events of one second may come either way, and their hour is read again in any case."""
    workspace.simulator.options.page_caps = {"activities": 10}
    first = workspace.sync("activities")
    workspace.simulator.requests.clear()
    activities = workspace.simulator.workspace.activities
    newest = next(index for index, row in enumerate(activities) if row["timestamp"] <= workspace.simulator.now)
    activities.insert(newest + 1, {**activities[newest], "id": "01LATE", "timestamp": activities[newest]["timestamp"]})
    activities[newest] = {**activities[newest], "timestamp": activities[newest]["timestamp"] - HOUR}
    second = workspace.sync("activities", state=first.last_states())
    assert "01LATE" in second.column("activities", "id")
    assert len(workspace.requests_to("activities")) == 2
    assert not second.logged("did not list the newest activities first")


def test_a_page_of_future_events_does_not_stop_the_reading(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    """Events that are dated ahead come first, page after page."""
    workspace.simulator.options.page_caps = {"activities": 10}
    first = workspace.sync("activities")
    workspace.simulator.mutate("advance", seconds=HOUR)
    ahead = workspace.simulator.mutate("add_activity", ago=-40 * DAY, count=25)
    fresh = workspace.simulator.mutate("add_activity", ago=60, count=5)
    second = workspace.sync("activities", state=first.last_states())
    assert {*ahead, *fresh} <= set(second.column("activities", "id"))


def test_a_backdated_event_within_the_hour_before_the_cursor_arrives(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """The order is that of the event's own time; what is older than the hour is missed, which is documented."""
    first = workspace.sync("activities")
    inside = workspace.simulator.mutate("add_activity", ago=HOUR)
    outside = workspace.simulator.mutate("add_activity", ago=HOUR + 1)
    second = workspace.sync("activities", state=first.last_states())
    assert set(inside) <= set(second.column("activities", "id"))
    assert not set(outside) & set(second.column("activities", "id"))


def test_the_start_date_ends_the_reading(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    workspace.simulator.options.page_caps = {"activities": 10}
    start = workspace.simulator.now - 3 * DAY
    synced = workspace.sync("activities", start_date=datetime.fromtimestamp(start).astimezone().isoformat())
    assert min(synced.column("activities", "timestamp")) >= start
    assert len(workspace.requests_to("activities")) < 8


def test_a_list_that_broke_off_leaves_the_cursor_where_it_was(workspace: Workspace) -> None:
    """What is newest comes first, so a list that broke off has covered nothing for good."""
    workspace.simulator.options.page_caps = {"activities": 50}
    workspace.simulator.faults.add(Fault("status", path="start=", skip=2, times=-1, status=502))
    synced = workspace.sync("activities")
    assert len(synced.records["activities"]) == 150
    assert synced.states["activities"] == []


def test_types_of_any_pattern_and_data_of_any_shape_pass_through(workspace: Workspace) -> None:
    """Types are added without notice, and senders put into `data` what they like, also nothing."""
    synced = workspace.sync("activities")
    assert "_o:1:attribute_change" in synced.column("activities", "type")
    assert any(row["data"] and "items" in row["data"] for row in synced.records["activities"])
    assert any(row["data"] is None for row in synced.records["activities"])
