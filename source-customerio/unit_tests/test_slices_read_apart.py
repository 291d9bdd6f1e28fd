"""Slices that other processes read: pickled, by instances on which only `start` was called."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from source_customerio import SourceCustomerio
from source_customerio.config import Config
from source_kit.output import rows_of
from source_kit.stream import BatchStream, Checkpoint
from test_kit.slices import read_apart, read_together

if TYPE_CHECKING:
    from conftest import Workspace

NAMES = [stream.name for stream in SourceCustomerio().streams({"app_api_key": "key"})]


def opener(workspace: Workspace, name: str) -> Callable[[], BatchStream]:
    """Opens a stream anew, with connections of its own."""
    config = Config.parse(workspace.config(start_date=workspace.simulator.start_date))

    def opened() -> BatchStream:
        stream: Any = next(one for one in SourceCustomerio().all_streams(config) if one.name == name)
        return stream

    return opened


def assert_same_apart(workspace: Workspace, now: datetime, states: Mapping[str, Any]) -> None:
    """Every stream has the same rows, read both ways, and only windows of deliveries are read by several instances."""
    several = set()
    for name in NAMES:
        opened, state = opener(workspace, name), states.get(name)
        together = sorted(json.dumps(row, sort_keys=True) for row in read_together(opened, now, state))
        apart = sorted(json.dumps(row, sort_keys=True) for row in read_apart(opened, now, state))
        assert apart == together, name
        assert together or states, name
        planner = opened()
        planner.start(state or {}, not state, now)
        if not planner.whole and len(list(planner.slices())) > 1:
            several.add(name)
    assert several == {"messages"}


def test_every_slice_of_every_stream_gives_the_same_rows_apart(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    assert_same_apart(workspace, clock(), {})


@pytest.mark.slow
def test_every_slice_of_a_later_sync_gives_the_same_rows_apart(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    states = workspace.sync(*NAMES, start_date=workspace.simulator.start_date).last_states()
    workspace.simulator.mutate("advance", seconds=86_400)
    plain = {
        name: {key: value for key, value in state.items() if not key.startswith("__")} for name, state in states.items()
    }
    assert_same_apart(workspace, clock(), plain)


def test_the_known_end_of_a_window_is_what_reading_it_gives(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    stream = opener(workspace, "messages")()
    stream.start({}, True, clock())
    rows = 0
    for window in stream.slices():
        items = list(stream.read_slice(window))
        rows += sum(len(rows_of(item)) for item in items)
        assert [item.update for item in items if isinstance(item, Checkpoint)] == [stream.end_of(window)]
    assert rows > 0


def test_readers_share_the_requests_a_second_and_more_readers_than_requests_are_refused() -> None:
    source = SourceCustomerio()
    config = Config.parse({"app_api_key": "key", "requests_per_second": 7})
    assert [source.divided(config, readers).requests_per_second for readers in (1, 2, 3, 7)] == [7, 3, 2, 1]
    with pytest.raises(Exception, match="concurrency must not be larger than requests_per_second, which is 7"):
        source.divided(config, 8)
