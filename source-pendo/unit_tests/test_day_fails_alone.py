"""A day that Pendo never answers costs only that day: the others are read, and the state stays before it."""

from __future__ import annotations

import pytest
from event_rows import counted, truth_of
from pendo_reader import Subscription
from simulators.faults import Fault


@pytest.mark.slow
def test_a_day_that_fails_for_ever_keeps_no_later_day_from_being_read(pendo: Subscription) -> None:
    pendo.sim.faults.add(Fault("status", body=r"pageEvents.*date\(2026,3,10\)", status=500, times=-1))
    synced = pendo.read("page_events", start_date="2026-03-05T00:00:00Z")
    assert synced.statuses["page_events"][-1] == "INCOMPLETE"
    assert "2026-03-10" in synced.failures["page_events"].message
    state = synced.state("page_events")
    assert state["day"] == "2026-03-09T00:00:00.000Z"
    days = set(synced.column("page_events", "read_day"))
    assert "2026-03-10" not in days
    assert max(days) == "2026-03-20"

    pendo.sim.faults.clear()
    again = pendo.read("page_events", start_date="2026-03-05T00:00:00Z", state={"page_events": state})
    table = {row["record_id"]: row for part in (synced, again) for row in part.records["page_events"]}
    assert counted(table.values()) == truth_of(pendo.truth("page_events", since="2026-03-05"))
