from event_rows import counted, truth_of
from simulators.faults import Fault

def test_a_day_that_fails_for_ever_keeps_no_later_day_from_being_read(pendo) -> None:
    """B11: the state stays before it, so the next sync asks for it again."""
    pendo.sim.faults.add(Fault("status", body=r"pageEvents.*date\(2026,3,10\)", status=500, times=-1))
    synced = pendo.read("page_events", start_date="2026-03-05T00:00:00Z")
    assert synced.statuses["page_events"][-1] == "INCOMPLETE"
    assert "2026-03-10" in synced.failures["page_events"].message
    assert synced.state("page_events")["day"] == "2026-03-09T00:00:00.000Z"
    days = set(synced.column("page_events", "read_day"))
    assert "2026-03-10" not in days and max(days) == "2026-03-20"
    pendo.sim.faults.clear()
    again = pendo.read("page_events", start_date="2026-03-05T00:00:00Z", state={"page_events": synced.state("page_events")})
    table = {r["record_id"]: r for s in (synced, again) for r in s.rows["page_events"]}
    assert counted(table.values()) == truth_of(pendo.truth("page_events", since="2026-03-05"))
