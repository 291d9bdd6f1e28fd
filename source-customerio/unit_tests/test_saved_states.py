"""A state that is not this stream's is an error with a sentence; one in the future is warned of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

UNREADABLE = (
    "The saved state of {} cannot be read: {}. Reset the stream, so that it is read from the beginning, or restore its "
    "last good state."
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "state", "why"),
    [
        ("campaigns", {"garbage": 1}, "it has no 'updated'"),
        ("campaigns", {"updated_at": 1_700_000_000}, "it has no 'updated'"),
        ("segments", {"updated": 1_700_000_000}, "it has no 'updated_at'"),
        ("messages", {"timestamp": 1_700_000_000}, "it has no 'created'"),
        ("messages", {"created": [1_700_000_000]}, "'created' must be a number of seconds"),
        ("activities", {"parents": {}}, "it has no 'timestamp'"),
        ("activities", {"timestamp": "2026-01-01T00:00:00Z"}, "'timestamp' must be a number of seconds"),
        ("campaign_actions", {"states": [{"cursor": {"updated": 1}}]}, "it has neither 'updated' nor 'parents'"),
        ("campaign_actions", {"parents": ["4"]}, "'parents' must be an object of cursors"),
        ("campaign_actions", {"parents": None}, "'parents' must be an object of cursors"),
        ("campaign_actions", {"parents": {"4": "soon"}}, "'4' must be a number of seconds"),
        ("broadcast_actions", {"parents": {"4": {"updated": 1}}}, "'4' must be a number of seconds"),
        ("campaign_actions", {"updated": None, "parents": {}}, "'updated' must be a number of seconds"),
    ],
)
def test_a_state_of_another_shape_fails_with_a_sentence_and_asks_nothing(
    workspace: Workspace, stream: str, state: dict[str, Any], why: str
) -> None:
    synced = workspace.sync(stream, state={stream: state})
    assert synced.failures[stream].message == UNREADABLE.format(stream, why)
    assert synced.failures[stream].failure_type == "config_error"
    assert len(workspace.simulator.requests) == 0
    assert synced.states[stream] == []


@pytest.mark.parametrize(
    ("stream", "state"),
    [
        ("campaigns", {"updated": 4_102_444_800}),
        ("messages", {"created": 4_102_444_800}),
        ("activities", {"timestamp": 1_722_340_000_000}),
        ("campaign_actions", {"updated": 1_700_000_000, "parents": {"4": 4_102_444_800}}),
        ("campaign_actions", {"updated": 4_102_444_800}),
    ],
)
def test_a_state_in_the_future_is_warned_of(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, state: dict[str, Any]
) -> None:
    synced = workspace.sync(stream, state={stream: state})
    assert synced.failures == {}
    assert synced.logged(f"Stream {stream}: the saved state lies in the future (")


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["campaigns", "messages", "activities", "campaign_actions"])
def test_the_states_of_the_last_sync_are_not_warned_of(
    workspace: Workspace, clock: Callable[[], datetime], stream: str
) -> None:
    first = workspace.sync(stream)
    second = workspace.sync(stream, state=first.last_states())
    assert second.failures == {}
    assert not second.logged("in the future")
