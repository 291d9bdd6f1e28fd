"""UNKNOWN-AGE-IS-EMITTED: a row without its cursor arrives with every sync, moves no state, and is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

#: No field of an answer is required by the vendor's specification. 0 is how an unset time is written.
NO_TIMES: list[dict[str, Any]] = [{}, {"updated": None}, {"updated": "soon"}, {"updated": 0}, {"updated": -62135596800}]


@pytest.mark.slow
@pytest.mark.parametrize("broken", NO_TIMES)
@pytest.mark.parametrize("full_refresh", [False, True])
def test_a_list_with_a_row_without_its_time_is_read_whole(
    workspace: Workspace, clock: Callable[[], datetime], broken: dict[str, Any], full_refresh: bool
) -> None:
    row = workspace.simulator.workspace.lists["campaigns"][3]
    row.pop("updated")
    row.update(broken)
    first = workspace.sync("campaigns", full_refresh=full_refresh)
    assert first.statuses["campaigns"][-1] == "COMPLETE"
    assert sorted(first.column("campaigns", "id")) == sorted(one["id"] for one in workspace.truth("campaigns"))
    assert first.logged("Stream campaigns: 1 rows have no usable 'updated'. They are emitted at every sync and do not")
    times = [one["updated"] for one in workspace.truth("campaigns") if one["id"] != row["id"]]
    assert first.state("campaigns") == {"updated": max(times)}
    second = workspace.sync("campaigns", state=first.last_states(), start_date="2026-01-01")
    assert row["id"] in second.column("campaigns", "id")
    assert second.state("campaigns") == first.state("campaigns")


def test_a_list_in_which_no_row_has_its_time_keeps_its_state(workspace: Workspace) -> None:
    for row in workspace.simulator.workspace.lists["campaigns"]:
        del row["updated"]
    synced = workspace.sync("campaigns", state={"campaigns": {"updated": 1_700_000_000}})
    assert len(synced.records["campaigns"]) == len(workspace.truth("campaigns"))
    assert synced.state("campaigns") == {"updated": 1_700_000_000}


@pytest.mark.parametrize("write", [str, float])
def test_a_time_that_is_written_otherwise_is_a_time(workspace: Workspace, write: Callable[[int], Any]) -> None:
    row = workspace.simulator.workspace.lists["campaigns"][3]
    seconds = row["updated"]
    row["updated"] = write(seconds)
    synced = workspace.sync("campaigns")
    assert {one["updated"] for one in synced.records["campaigns"] if one["id"] == row["id"]} == {seconds}
    assert not synced.logged("no usable")


def test_an_action_and_a_delivery_without_a_time_arrive(workspace: Workspace, clock: Callable[[], datetime]) -> None:
    message = {"id": "without", "type": "email", "created": None}
    actions = json.dumps({"actions": [{"id": "1", "campaign_id": 4}, {"id": "2", "updated": 1_700_000_000}]})
    workspace.simulator.faults.add(Fault("status", path="/campaigns/4/actions", status=200, answer=actions, times=-1))
    answer = json.dumps({"messages": [message], "next": ""})
    workspace.simulator.faults.add(Fault("status", path="/v1/messages", status=200, answer=answer, times=1))
    first = workspace.sync("campaign_actions", "messages", start_date=workspace.simulator.start_date)
    assert first.failures == {}
    assert "without" in first.column("messages", "id")
    assert first.state("campaign_actions")["parents"]["4"] == 1_700_000_000
    assert first.logged("Stream messages: 1 rows have no usable 'created'")
    second = workspace.sync("campaign_actions", state=first.last_states())
    assert (4, "1") in second.column("campaign_actions", "campaign_id", "id")


def test_activities_without_a_time_neither_end_the_reading_nor_keep_it_going(workspace: Workspace) -> None:
    """A page of such alone says nothing of what lies behind; beside old entries they are no reason to go on."""
    now = workspace.simulator.now
    pages = [
        (r"activities\?(?!.*start=)", [{"id": "a", "timestamp": None}], "A"),
        (r"start=A", [{"id": "b", "timestamp": now}, {"id": "c"}], "B"),
        (r"start=B", [{"id": "d", "timestamp": now - 90_000}, {"id": "e", "timestamp": 0}], "C"),
    ]
    for path, rows, token in pages:
        document = json.dumps({"activities": rows, "next": token})
        workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=document, times=-1))
    synced = workspace.sync("activities", state={"activities": {"timestamp": now}})
    assert synced.column("activities", "id") == ["a", "b", "c", "e"]
    assert len(workspace.requests_to("activities")) == 3
    assert synced.logged("Stream activities: 3 rows have no usable 'timestamp'")
