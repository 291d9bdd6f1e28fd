"""An interrupted reading goes on at an id only if Pendo still has it; otherwise everything is read anew."""

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
    "poll_responses": {"until": 1_772_600_000_000},
    "guides_seen": {"until": 1_772_600_000_000},
}


@pytest.mark.slow
@pytest.mark.parametrize("resume_at", ELSEWHERE)
@pytest.mark.parametrize("stream", STATES)
def test_a_state_of_another_subscription_skips_nobody(pendo: Subscription, stream: str, resume_at: str) -> None:
    whole = pendo.read(stream)
    key = "account_id" if stream == "accounts" else "visitor_id"
    state = {"resume": {key: resume_at, **STATES[stream]}, "version": 1}
    out = pendo.read(stream, state={stream: state})
    assert out.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]
    assert sorted(map(str, out.column(stream, key))) == sorted(map(str, whole.column(stream, key)))
    assert out.state(stream) == whole.state(stream)
    assert bool(out.logged("everything is read anew")) is ("\ufffd" not in resume_at)


def test_a_visitor_that_was_deleted_meanwhile_costs_a_reading_and_no_row(pendo: Subscription) -> None:
    """The id to resume at may be that of the last visitor, who was deleted meanwhile."""
    last = max((row["visitorId"] for row in pendo.truth("visitors")), key=lambda key: key.encode())
    pendo.sim.mutate("remove_visitor", visitor_id=last)
    state = {"resume": {"visitor_id": last, **STATES["visitors"]}, "version": 1}
    out = pendo.read("visitors", state={"visitors": state})
    assert set(out.column("visitors", "visitor_id")) == {row["visitorId"] for row in pendo.truth("visitors")}
    assert out.statuses["visitors"][-1] == "COMPLETE"
