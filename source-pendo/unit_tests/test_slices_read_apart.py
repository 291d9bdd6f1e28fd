"""Slices that other processes read: pickled, by instances on which only `start` was called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pendo_reader import PENDO_STREAMS, STREAM_NAMES, as_json
from source_pendo import SourcePendo
from source_pendo.config import Config
from test_kit.slices import read_apart, read_together

if TYPE_CHECKING:
    from pendo_reader import Subscription
    from source_kit.stream import BatchStream

CHOSEN = ("report_results", "segment_memberships")


def opener(pendo: Subscription, name: str) -> Callable[[], BatchStream]:
    """Opens a stream anew, with connections of its own."""
    chosen = {
        "report_ids": [pendo.truth("reports")[0]["id"]],
        "segment_ids": [segment["id"] for segment in pendo.truth("segments")[:2]],
    }
    config = Config.parse(pendo.config(start_date="2026-03-16T00:00:00Z", **chosen))

    def opened() -> BatchStream:
        stream: Any = next(one for one in SourcePendo().all_streams(config) if one.name == name)
        return stream

    return opened


def test_every_slice_of_every_stream_gives_the_same_rows_apart(pendo: Subscription) -> None:
    several = set()
    for name in (*STREAM_NAMES, *CHOSEN):
        opened = opener(pendo, name)
        together = sorted(map(as_json, read_together(opened, pendo.sim.now)))
        assert together, name
        assert sorted(map(as_json, read_apart(opened, pendo.sim.now))) == together, name
        planner = opened()
        planner.start({}, True, pendo.sim.now)
        if not planner.whole and len(list(planner.slices())) > 1:
            several.add(name)
    # what `finish` of any other stream with several slices says of all of them must come from one instance
    of_days = {"events", "page_events", "feature_events", "track_events", "guide_events", "poll_events", "email_events"}
    assert several == of_days | {"segment_memberships"}


@pytest.mark.slow
def test_every_slice_of_a_later_sync_gives_the_same_rows_apart(pendo: Subscription) -> None:
    states = pendo.read(*STREAM_NAMES).last_states()
    pendo.sim.mutate("advance", days=2)
    pendo.sim.mutate("grow", source="pageEvents", day="2026-03-16", rows=4)
    for stream in PENDO_STREAMS:
        state = {name: value for name, value in states[stream.name].items() if not name.startswith("__")}
        opened = opener(pendo, stream.name)
        together = sorted(map(as_json, read_together(opened, pendo.sim.now, state)))
        assert sorted(map(as_json, read_apart(opened, pendo.sim.now, state))) == together, stream.name


@pytest.mark.parametrize("period", ["day", "hour"])
def test_the_known_end_of_a_day_is_what_reading_it_gives_and_is_unknown_while_the_day_may_stay_open(
    pendo: Subscription, period: str
) -> None:
    """An application is two days behind, so the days of the last three days have no known end."""
    pendo.sim.mutate("lag", app_id=pendo.truth("apps")[0]["id"], days=2)
    config = Config.parse(pendo.config(start_date="2026-03-10T00:00:00Z", period=period))
    for name in ("page_events", "guide_events"):
        stream: Any = next(one for one in SourcePendo().all_streams(config) if one.name == name)
        stream.start({}, True, pendo.sim.now)
        days = list(stream.slices())
        known = [stream.end_of(day) for day in days]
        read = [[item.update for item in stream.read_slice(day) if hasattr(item, "update")] for day in days]
        # the time zone is learned from answers only
        without_midnight = [[{**one, "midnight": None} for one in updates] for updates in read]
        for end, updates in zip(known, without_midnight, strict=True):
            assert end is None or updates == [{**end, "midnight": None}]
        last = max(day for day, end in zip(days, known, strict=True) if end is not None)
        assert 4 <= (pendo.sim.now.date() - last).days <= 5
