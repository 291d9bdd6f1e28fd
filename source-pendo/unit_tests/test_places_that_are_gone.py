"""An interrupted reading goes on at an id only where Pendo has it: else everything is read anew."""

from __future__ import annotations

from typing import Any

import pytest
from pendo_reader import Subscription

#: Behind every id, between two ids, and one that was cut in the middle of a letter
ELSEWHERE = ["~~~", "b-nobody", "ann@example\ufffd"]
STATES: dict[str, dict[str, Any]] = {
    "accounts": {"newest": 1_772_500_000_000, "until": 1_772_600_000_000},
    "visitors": {"newest": 4_102_444_799_999, "until": 1_772_600_000_000},
    "visitor_history": {"until": 1_772_600_000_000},
}


@pytest.mark.slow
@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("stream", STATES)
def test_a_state_of_another_subscription_skips_nobody(pendo: Subscription, stream: str, place: str) -> None:
    whole = pendo.read(stream)
    key = "account_id" if stream == "accounts" else "visitor_id"
    state = {"resume": {key: place, **STATES[stream]}, "version": 1}
    out = pendo.read(stream, state={stream: state})
    assert out.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]
    assert sorted(map(str, out.column(stream, key))) == sorted(map(str, whole.column(stream, key)))
    assert out.state(stream) == whole.state(stream)
    assert bool(out.logged("everything is read anew")) is ("\ufffd" not in place)


def test_a_visitor_that_was_deleted_meanwhile_costs_a_reading_and_no_row(pendo: Subscription) -> None:
    """The last place of an interrupted reading may be the last visitor of all, who is gone by now."""
    last = max((row["visitorId"] for row in pendo.truth("visitors")), key=lambda key: key.encode())
    pendo.sim.mutate("remove_visitor", visitor_id=last)
    state = {"resume": {"visitor_id": last, **STATES["visitors"]}, "version": 1}
    out = pendo.read("visitors", state={"visitors": state})
    assert set(out.column("visitors", "visitor_id")) == {row["visitorId"] for row in pendo.truth("visitors")}
    assert out.statuses["visitors"][-1] == "COMPLETE"
