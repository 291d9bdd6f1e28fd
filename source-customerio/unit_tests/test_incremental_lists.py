"""Lists that are filtered here by their time of change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from source_customerio.streams import STREAMS
from source_customerio.streams.deliveries import Activities
from source_customerio.streams.lists import ChangingList

if TYPE_CHECKING:
    from conftest import Workspace

HOUR = 3_600
CHANGING = [stream for stream in STREAMS if issubclass(stream, ChangingList) and stream is not Activities]
NAMES = [
    "campaigns",
    "broadcasts",
    "newsletters",
    "transactional_messages",
    "segments",
    "snippets",
    "exports",
]


def test_these_are_all_the_lists_with_a_time_of_change() -> None:
    assert len(CHANGING) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_cursor_field_is_on_every_row(workspace: Workspace, name: str) -> None:
    """A wrong name would switch filtering off without an error."""
    synced = workspace.sync(name)
    (field,) = synced.state(name)
    assert all(isinstance(row[field], int) for row in synced.records[name])
    assert synced.state(name)[field] == max(row[field] for row in synced.records[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_second_sync_emits_what_changed_since_and_the_hour_before(workspace: Workspace, name: str) -> None:
    first = workspace.sync(name)
    (field,) = first.state(name)
    second = workspace.sync(name, state=first.last_states())
    floor = first.state(name)[field] - HOUR
    assert second.records[name] == [row for row in first.records[name] if row[field] >= floor]
    assert second.state(name) == first.state(name)


def test_a_row_exactly_an_hour_before_the_cursor_is_emitted_and_one_a_second_older_is_not(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    saved = workspace.simulator.now - 10 * HOUR
    ids = [row["id"] for row in workspace.truth("campaigns")]
    for number, updated in zip(ids[:2], (saved - HOUR, saved - HOUR - 1), strict=True):
        workspace.simulator.mutate("edit", stream="campaigns", id=number, fields={"updated": updated})
    for number in ids[2:]:
        workspace.simulator.mutate("edit", stream="campaigns", id=number, fields={"updated": saved - 100 * HOUR})
    synced = workspace.sync("campaigns", state={"campaigns": {"updated": saved}})
    assert synced.column("campaigns", "id") == [ids[0]]
    assert synced.state("campaigns") == {"updated": saved}


def test_an_edit_on_a_page_that_was_already_read_arrives_with_the_next_sync(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """The list is unsorted, so an edit may land on a page that is behind."""
    simulator = workspace.simulator
    simulator.mutate("after", path="newsletters", mutation="edit", arguments={"stream": "newsletters", "id": 1})
    first = workspace.sync("newsletters")
    seen = next(row["updated"] for row in first.records["newsletters"] if row["id"] == 1)
    assert seen < simulator.now
    simulator.mutate("advance", seconds=6 * HOUR)
    second = workspace.sync("newsletters", state=first.last_states())
    assert 1 in second.column("newsletters", "id")


def test_an_edit_while_the_list_is_paged_does_not_carry_the_cursor_past_the_start_of_the_sync(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """What changes after the start must still be younger than the cursor next time."""
    start = workspace.simulator.now
    late = {"stream": "newsletters", "id": 7, "fields": {"updated": start + 2 * HOUR}}
    workspace.simulator.mutate("after", path="newsletters", mutation="edit", arguments=late)
    synced = workspace.sync("newsletters")
    assert max(synced.column("newsletters", "updated")) == start + 2 * HOUR
    assert synced.state("newsletters") == {"updated": start}


def test_the_start_date_filters_older_rows_out_in_both_modes(workspace: Workspace) -> None:
    rows = workspace.truth("segments")
    middle = sorted(row["updated_at"] for row in rows)[2]
    start = datetime.fromtimestamp(middle).astimezone().isoformat()
    wanted = {row["id"] for row in rows if row["updated_at"] >= middle}
    for full_refresh in (False, True):
        synced = workspace.sync("segments", start_date=start, full_refresh=full_refresh)
        assert set(synced.column("segments", "id")) == wanted


def test_a_start_date_in_the_future_emits_nothing_and_leaves_a_state_that_loses_nothing(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """The cursor never goes past the start of the sync."""
    synced = workspace.sync("campaigns", "messages", start_date="2100-01-01T00:00:00Z")
    assert synced.records == {}
    assert synced.state("messages") == {"created": workspace.simulator.now}
    assert synced.state("campaigns")["updated"] <= workspace.simulator.now
    assert synced.statuses["messages"] == ["STARTED", "COMPLETE"]


def test_a_state_far_in_the_future_emits_nothing(workspace: Workspace) -> None:
    future = {"updated": 9_999_999_999}
    states = dict.fromkeys(("campaigns", "campaign_actions", "broadcast_actions"), future)
    synced = workspace.sync(*states, state=states)
    assert synced.records == {}


def test_an_empty_list_ends_with_a_state_before_it_counts_as_complete(workspace: Workspace) -> None:
    workspace.simulator.mutate("clear", stream="campaigns")
    synced = workspace.sync("campaigns")
    assert [kind for kind, _ in synced.order][-2:] == ["state", "COMPLETE"]
    assert synced.records == {}
    assert synced.state("campaigns") == {"updated": 0}


@pytest.mark.parametrize(
    "state", [{"updated": "yesterday"}, {"updated": True}, {"updated": {"at": 1}}, {"updated": 1.5}, {"updated": None}]
)
def test_an_unreadable_state_fails_with_a_sentence_and_asks_nothing(
    workspace: Workspace, state: dict[str, Any]
) -> None:
    synced = workspace.sync("campaigns", state={"campaigns": state})
    assert synced.failures["campaigns"].message == (
        "The saved state of campaigns cannot be read: 'updated' must be a number of seconds. Reset the stream, so that "
        "it is read from the beginning, or restore its last good state."
    )
    assert synced.failures["campaigns"].failure_type == "config_error"
    assert workspace.requests_to("campaigns") == []


def test_the_state_moves_only_when_the_list_was_read_to_its_end(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="start=NQ", status=500, times=-1))
    synced = workspace.sync("newsletters")
    assert len(synced.records["newsletters"]) == 5
    assert synced.states["newsletters"] == []
    assert synced.failures["newsletters"].failure_type == "transient_error"


def test_deleted_objects_leave_with_a_full_refresh_and_stay_with_an_incremental_sync(workspace: Workspace) -> None:
    """An incremental sync cannot see a deletion."""
    first = workspace.sync("campaigns")
    gone = workspace.simulator.mutate("delete", stream="campaigns")
    assert gone in first.column("campaigns", "id")
    assert gone not in workspace.sync("campaigns", full_refresh=True).column("campaigns", "id")
    assert workspace.sync("campaigns", state=first.last_states()).state("campaigns") == first.state("campaigns")
