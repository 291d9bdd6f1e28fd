"""Mutations that move rows of a simulated subscription to other ids or days, and ids that were cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from simulators.pendo import PendoSimulator

ANN = "ann@example.com"


def events_of(rows: Iterable[dict[str, Any]], visitor_id: str) -> int:
    return sum(row["numEvents"] for row in rows if row["visitorId"] == visitor_id)


def test_identity_mapping_moves_events_and_makes_none() -> None:
    with PendoSimulator() as sim:
        before = sim.truth("page_events")
        sim.mutate("map_identity", visitor_id=ANN, to="Ann@example.com")
        after = sim.truth("page_events")
    assert sum(row["numEvents"] for row in before) == sum(row["numEvents"] for row in after)
    assert events_of(after, ANN) == 0
    both = events_of(before, ANN) + events_of(before, "Ann@example.com")
    assert events_of(after, "Ann@example.com") == both > 0


def test_a_change_of_the_time_zone_moves_days_and_makes_no_events() -> None:
    with PendoSimulator() as sim:
        before = sim.truth("page_events")
        sim.mutate("time_zone", zone="America/Los_Angeles")
        after = sim.truth("page_events")
    assert sum(row["numEvents"] for row in before) == sum(row["numEvents"] for row in after)
    assert {row["day"] % 86_400_000 // 3_600_000 for row in after} == {7, 8}


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["page_events", "guide_events", "visitors", "visitor_history"])
def test_an_id_that_was_cut_is_answered_with_a_replacement_character(stream: str) -> None:
    with PendoSimulator() as sim:
        cut = sim.mutate("cut_id", visitor_id=ANN)
        found = {row["visitorId"] for row in sim.truth(stream)}
    assert cut in found
    assert cut.endswith("\ufffd")
    assert ANN not in found


def test_histories_hold_two_activities_of_one_millisecond_and_pages_that_are_not_tagged() -> None:
    with PendoSimulator() as sim:
        rows = sim.truth("visitor_history")
    moments = [(row["visitorId"], row["ts"]) for row in rows]
    assert len(set(moments)) < len(moments)
    assert all(("uri" in row) != ("untaggedUrl" in row) for row in rows)
    assert any("trackTypeId" in row for row in rows)
