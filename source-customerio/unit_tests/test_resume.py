"""Broken off anywhere and taken up again from the last state, a sync loses nothing.

A warehouse that upserts by key ends up equal to the vendor.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from test_kit.messages import Output

if TYPE_CHECKING:
    from conftest import Workspace

STREAMS = (
    *("campaigns", "campaign_actions", "broadcast_actions", "newsletters", "transactional_variants", "segments"),
    *("messages", "activities"),
)
CHANGING = ["campaigns", "newsletters", "campaign_actions", "messages", "activities", "segments", "exports", "snippets"]
CHANGING += ["transactional_variants"]
KEYS = {
    "campaign_actions": ("campaign_id", "id"),
    "broadcast_actions": ("broadcast_id", "id"),
    "transactional_variants": ("transactional_id", "id"),
    "snippets": ("name",),
}
#: The rows of every stream by their keys
Warehouse = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def identity(stream: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """The values of a row's primary key."""
    return tuple(row[column] for column in KEYS.get(stream, ("id",)))


def load(warehouse: Warehouse, synced: Output) -> None:
    """Upsert the rows of a sync."""
    for name, rows in synced.records.items():
        warehouse[name].update((identity(name, row), row) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_sync_that_breaks_off_at_any_request_is_completed_by_the_following_ones(
    workspace: Workspace, seed: int
) -> None:
    """After the first sync that ends well the warehouse has what the vendor has, whatever broke before."""
    draw = random.Random(seed)
    simulator = workspace.simulator
    simulator.options.page_caps = {"messages": 9, "activities": 20, "newsletters": 2}
    warehouse: Warehouse = defaultdict(dict)
    states: dict[str, dict[str, Any]] = {}
    for attempt in range(5):
        simulator.faults.clear()
        if attempt < 4:
            kind = draw.choice(["status", "reset", "cut", "html"])
            simulator.faults.add(Fault(kind, path="/v1/", skip=draw.randrange(90), times=-1, status=503))
        synced = workspace.sync(
            *STREAMS, state=states, start_date=simulator.start_date, num_workers=draw.choice([1, 3])
        )
        load(warehouse, synced)
        states |= synced.last_states()
        if attempt < 3:
            simulator.mutate("edit_action", campaign_id=4, position=draw.randrange(20))
            simulator.mutate("add_message", created=simulator.now - draw.randrange(86_400))
    assert synced.failures == {}
    for name in STREAMS:
        start = simulator.workspace.start
        truth = [row for row in workspace.truth(name) if name != "messages" or row["created"] >= start]
        assert {identity(name, row) for row in truth} <= warehouse[name].keys(), name
    edited = {identity("campaign_actions", row): row["name"] for row in workspace.truth("campaign_actions")}
    assert {key: row["name"] for key, row in warehouse["campaign_actions"].items()} == edited


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("allowed", [1, 2, 4])
def test_a_sync_that_breaks_after_some_requests_loses_nothing(
    workspace: Workspace, clock: Callable[[], datetime], name: str, allowed: int
) -> None:
    """The server fails for good after `allowed` requests; the next sync begins with the last state."""
    warehouse: Warehouse = defaultdict(dict)
    workspace.simulator.options.page_caps = {"messages": 20, "newsletters": 2, "activities": 5}
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=503, skip=allowed, times=-1))
    first = workspace.sync(name, num_workers=1)
    load(warehouse, first)
    workspace.simulator.faults.clear()
    second = workspace.sync(name, state=first.last_states(), num_workers=1)
    load(warehouse, second)
    assert second.failures == {}
    assert warehouse[name].keys() == {identity(name, row) for row in workspace.truth(name)}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGING)
def test_a_second_sync_of_nothing_new_emits_no_more_than_its_lookback(
    workspace: Workspace, clock: Callable[[], datetime], name: str
) -> None:
    first = workspace.sync(name)
    second = workspace.sync(name, state=first.last_states())
    assert second.state(name) == first.state(name)
    assert len(second.records[name]) <= len(first.records[name])
    assert second.statuses[name] in (["STARTED", "RUNNING", "COMPLETE"], ["STARTED", "COMPLETE"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGING)
def test_the_last_state_comes_before_complete_and_is_small(
    workspace: Workspace, clock: Callable[[], datetime], name: str
) -> None:
    synced = workspace.sync(name)
    assert synced.order[-2:] == [("state", name), ("COMPLETE", name)]
    parents = synced.state(name).get("parents", {})
    assert len(repr(synced.state(name))) < 2000 + 64 * len(parents)


def test_a_state_of_the_far_future_emits_nothing_older_and_does_not_move_back(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    for name, field in (("campaigns", "updated"), ("segments", "updated_at"), ("messages", "created")):
        synced = workspace.sync(name, state={name: {field: 33_000_000_000}})
        assert synced.failures == {}
        assert synced.records[name] == []
        assert synced.state(name) == {field: 33_000_000_000}


def test_a_stream_that_fails_does_not_stop_the_others(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="/v1/broadcasts", status=500, times=-1))
    synced = workspace.sync(*STREAMS)
    assert list(synced.failures) == ["broadcast_actions"]
    assert {synced.statuses[name][-1] for name in STREAMS if name != "broadcast_actions"} == {"COMPLETE"}


def test_a_state_covers_only_what_was_emitted_before_it(workspace: Workspace) -> None:
    """STATE-AFTER-WINDOW: the rows of every window lie before the state that passes it."""
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date, num_workers=4)
    created = iter(synced.column("messages", "created"))
    states = iter(synced.states["messages"])
    seen: list[int] = []
    truth = sorted(row["created"] for row in workspace.truth("messages"))
    for kind, _ in synced.order:
        if kind == "record":
            seen.append(next(created))
        elif kind == "state":
            reached = next(states)["created"]
            covered = [second for second in truth if workspace.simulator.workspace.start <= second <= reached]
            assert len([second for second in seen if second <= reached]) >= len(covered)
