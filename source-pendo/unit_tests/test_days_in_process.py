"""Days that have ended and that Pendo has not processed yet: the state stays before them, for three days at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from event_rows import counted, truth_of, upserted
from simulators.faults import Fault
from simulators.pendo import simulator

if TYPE_CHECKING:
    from pendo_reader import Subscription

#: The default application is read by every query, the other one by those for all applications
APP, OTHER_APP = -323232, 6304859583021056
STREAMS = ("page_events", "guide_events")
#: Columns that a day lacks that was read by hours
ABSENT = ("record_id", "week", "month", "quarter")
OPTIONS: dict[str, Any] = {"start_date": "2026-03-12T00:00:00Z", "lookback_window": 0}


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_what_is_processed_late_is_read_by_the_next_sync_even_without_a_lookback(
    pendo: Subscription, period: str
) -> None:
    """Page events are behind, also by hour and by ids; guide events say it by a question for events."""
    pendo.sim.mutate("switch", hours_need_ids=True, ids_without_app=True)
    pendo.sim.mutate("lag", app_id=OTHER_APP, days=2)
    options = {**OPTIONS, "period": period}
    first = pendo.read(*STREAMS, num_workers=8, **options)
    assert first.state("page_events")[period] == "2026-03-17T00:00:00.000Z"
    assert first.state("guide_events")["browser_time"] == "2026-03-17T00:00:00.000Z"
    for stream in STREAMS:
        said = first.text.count(f"Stream {stream}: Pendo has processed application {OTHER_APP} up to 2026-03-18T")
        assert said == 1
    pendo.sim.mutate("lag", app_id=OTHER_APP)
    pendo.sim.mutate("advance", hours=1)
    second = pendo.read(*STREAMS, state=first.last_states(), **options)
    for stream in STREAMS:
        held = upserted(first.records[stream], second.records[stream])
        assert counted(held) == truth_of(pendo.truth(stream, since="2026-03-12", period=period))


@pytest.mark.slow
def test_an_application_that_makes_no_progress_holds_the_state_back_for_three_days(pendo: Subscription) -> None:
    pendo.sim.mutate("freeze", app_id=OTHER_APP)
    pendo.sim.mutate("advance", days=10)
    synced = pendo.read(*STREAMS, **OPTIONS)
    assert synced.state("page_events")["day"] == "2026-03-26T00:00:00.000Z"
    assert synced.logged("Days stay open for 3 days at most")
    others = pendo.read("page_events", app_ids=[str(APP)], **OPTIONS)
    assert others.state("page_events")["day"] == "2026-03-29T00:00:00.000Z"


def test_days_are_read_where_pendo_does_not_take_the_question_how_far_it_is(pendo: Subscription) -> None:
    pendo.sim.faults.add(Fault("status", path="details=true", status=400, answer="unexpected parameters", times=-1))
    synced = pendo.read(*STREAMS, num_workers=1, **OPTIONS)
    assert synced.failures == {}
    assert synced.state("page_events")["day"] == "2026-03-19T00:00:00.000Z"
    assert counted(synced.records["page_events"]) == truth_of(pendo.truth("page_events", since="2026-03-12"))
    assert sum("details" in request.query for request in pendo.sim.requests) == len(STREAMS)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 8])
def test_no_later_day_passes_one_that_is_held_back(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """The answer for one day comes from a server that is behind; those for later days do not."""
    answered = simulator.aggregate

    def behind(body: bytes, *rest: Any, **more: Any) -> bytes:
        answer = answered(body, *rest, **more)
        if b"date(2026,3,17)" not in body:
            return answer
        document = orjson.loads(answer)
        document["details"]["validThrough"][str(OTHER_APP)] -= 3 * 86_400_000
        return orjson.dumps(document)

    monkeypatch.setattr(simulator, "aggregate", behind)
    synced = pendo.read("page_events", num_workers=workers, **OPTIONS)
    assert {"2026-03-17", "2026-03-18", "2026-03-19"} <= set(synced.column("page_events", "read_day"))
    assert max(state["day"] for state in synced.states["page_events"]) == "2026-03-16T00:00:00.000Z"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["absent", "empty", "null", "no_apps", "seconds", "texts", "dates", "zero", "list"])
def test_details_of_another_form_change_nothing(pendo: Subscription, form: str) -> None:
    pendo.sim.mutate("switch", details=form)
    pendo.sim.mutate("lag", app_id=OTHER_APP, days=2)
    synced = pendo.read(*STREAMS, **OPTIONS)
    assert synced.failures == {}
    assert synced.state("page_events")["day"] == "2026-03-19T00:00:00.000Z"
    assert synced.state("guide_events")["browser_time"] == "2026-03-19T00:00:00.000Z"
    assert not synced.logged("Pendo has processed")


def test_guide_events_are_read_where_the_key_may_not_read_events(pendo: Subscription) -> None:
    """How far they are processed is not known then."""
    pendo.sim.mutate("forbid", kinds=["events"])
    synced = pendo.read("guide_events", **OPTIONS)
    assert synced.failures == {}
    assert synced.state("guide_events")["browser_time"] == "2026-03-19T00:00:00.000Z"


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_ids_of_a_list_keep_the_state_before_the_day_because_deleted_pages_are_missing(
    pendo: Subscription, period: str
) -> None:
    """Pendo answers neither hours without ids nor which pages have rows.

    One worker: what another learns about its day would divide this one by application, which is enough here.
    """
    pendo.sim.mutate("switch", hours_need_ids=True, ids_without_app=True, sort_rows=35)
    pendo.sim.faults.add(Fault("status", body='pageEvents.*"group"', status=400, answer="no", times=-1))
    options = {"start_date": "2026-03-15T00:00:00Z", "period": period, "num_workers": 1}
    synced = pendo.read("page_events", **options)
    assert synced.failures == {}
    assert synced.logged("rows of 2026-03-16 may be missing")
    assert synced.state("page_events")[period] <= "2026-03-15T00:00:00.000Z"
    truth = truth_of(pendo.truth("page_events", since="2026-03-15", period=period), ABSENT)
    assert counted(synced.records["page_events"], ABSENT) == truth
