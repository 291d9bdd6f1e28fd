"""A sync that dies goes on where its last state stands, and a warehouse that upserts ends up equal to the vendor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Synced, Workspace

CHANGING = ["campaigns", "newsletters", "campaign_actions", "messages", "activities", "segments", "exports", "snippets"]
KEYS = {"campaign_actions": ("campaign_id", "id"), "snippets": ("name",)}


class Warehouse:
    """Upserts by key."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}

    def take(self, synced: Synced) -> None:
        """Everything of a sync, in order."""
        for name, rows in synced.rows.items():
            table = self.rows.setdefault(name, {})
            for row in rows:
                table[tuple(row[part] for part in KEYS.get(name, ("id",)))] = row

    def keys(self, name: str) -> set[tuple[Any, ...]]:
        """The keys of a table."""
        return set(self.rows.get(name, {}))


def wanted(workspace: Workspace, name: str) -> set[tuple[Any, ...]]:
    """The keys that a perfect warehouse holds."""
    key = KEYS.get(name, ("id",))
    return {
        tuple(str(row[part]) if name == "campaign_actions" and part == "id" else row[part] for part in key)
        for row in workspace.truth(name)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("allowed", [1, 2, 4])
def test_a_sync_that_breaks_after_some_requests_loses_nothing(
    workspace: Workspace, clock: Callable[[], datetime], name: str, allowed: int
) -> None:
    """The server fails for good after `allowed` requests; the next sync begins with the last state."""
    warehouse = Warehouse()
    workspace.simulator.options.page_caps = {"messages": 20, "newsletters": 2, "activities": 5}
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=503, skip=allowed, times=-1))
    first = workspace.sync(name, num_workers=1)
    warehouse.take(first)
    workspace.simulator.faults.clear()
    second = workspace.sync(name, state=first.all_states(), num_workers=1)
    warehouse.take(second)
    assert second.failures == {}
    assert warehouse.keys(name) == wanted(workspace, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGING)
def test_a_second_sync_of_nothing_new_emits_no_more_than_its_lookback(
    workspace: Workspace, clock: Callable[[], datetime], name: str
) -> None:
    first = workspace.sync(name)
    second = workspace.sync(name, state=first.all_states())
    assert second.state(name) == first.state(name)
    assert len(second.rows[name]) <= len(first.rows[name])
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
        assert synced.rows[name] == []
        assert synced.state(name) == {field: 33_000_000_000}
