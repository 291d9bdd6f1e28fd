"""Broken off anywhere and taken up again from the last state, a sync loses nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

STREAMS = ("campaigns", "campaign_actions", "broadcast_actions", "newsletters", "segments", "messages", "activities")
KEYS = {"campaign_actions": ("campaign_id", "id"), "broadcast_actions": ("broadcast_id", "id")}


def identity(stream: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """The values of a row's primary key."""
    return tuple(row[column] for column in KEYS.get(stream, ("id",)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_sync_that_breaks_off_at_any_request_is_completed_by_the_following_ones(
    workspace: Workspace, seed: int
) -> None:
    """After the first sync that ends well the warehouse has what the vendor has, whatever broke before."""
    draw = random.Random(seed)
    simulator = workspace.simulator
    simulator.options.page_caps = {"messages": 9, "activities": 20, "newsletters": 2}
    held: dict[str, dict[Any, Any]] = {name: {} for name in STREAMS}
    states: dict[str, dict[str, Any]] = {}
    for attempt in range(5):
        simulator.faults.clear()
        if attempt < 4:
            kind = draw.choice(["status", "reset", "cut", "html"])
            simulator.faults.add(Fault(kind, path="/v1/", skip=draw.randrange(90), times=-1, status=503))
        synced = workspace.sync(
            *STREAMS, state=states, start_date=simulator.start_date, num_workers=draw.choice([1, 3])
        )
        for name in STREAMS:
            for row in synced.rows[name]:
                held[name][identity(name, row)] = row
        states |= synced.all_states()
        if attempt < 3:
            simulator.mutate("edit_action", campaign_id=4, position=draw.randrange(20))
            simulator.mutate("add_message", created=simulator.now - draw.randrange(86_400))
    assert synced.failures == {}
    for name in STREAMS:
        start = simulator.workspace.start
        truth = [row for row in workspace.truth(name) if name != "messages" or row["created"] >= start]
        assert {identity(name, row) for row in truth} <= held[name].keys(), name
    edited = {identity("campaign_actions", row): row["name"] for row in workspace.truth("campaign_actions")}
    assert {key: row["name"] for key, row in held["campaign_actions"].items()} == edited


def test_a_stream_that_fails_does_not_stop_the_others(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="/v1/broadcasts", status=500, times=-1))
    synced = workspace.sync(*STREAMS)
    assert list(synced.failures) == ["broadcast_actions"]
    assert {synced.statuses[name][-1] for name in STREAMS if name != "broadcast_actions"} == {"COMPLETE"}


def test_a_state_covers_only_what_was_emitted_before_it(workspace: Workspace) -> None:
    """STATE-AFTER-WINDOW: the rows of every window lie before the state that passes it."""
    synced = workspace.sync("messages", start_date=workspace.simulator.start_date, num_workers=4)
    created = iter(synced.keys("messages", "created"))
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
