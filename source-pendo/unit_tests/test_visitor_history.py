"""What single visitors did: the number of requests is bounded, and Pendo may close the endpoint."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pendo_reader import Row, Subscription, as_json, instant, visitor_in
from simulators.faults import Fault

STREAM = "visitor_history"
DAY_MS = 86_400_000
#: The simulated history begins 23 days before the present
ALL_DAYS = "2026-02-24T00:00:00Z"


@pytest.fixture(autouse=True)
def _few_visitors(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request a visitor and day: the visitors with awkward ids and some anonymous ones are enough."""
    pendo.sim.subscription.visitors = pendo.sim.subscription.visitors[:16] + pendo.sim.subscription.visitors[-4:]
    monkeypatch.setattr("source_pendo.history_reader._VISITORS_A_SLICE", 5)


def histories(pendo: Subscription) -> list[Any]:
    """The requests for histories, oldest first."""
    return [request for request in pendo.sim.requests if request.path.endswith("/history")]


def activity(row: Row) -> str:
    """The values by which our record and Pendo's row are compared."""
    ours = {
        "visitor_id": "visitorId",
        "page_id": "pageId",
        "feature_id": "featureId",
        "track_type_id": "trackTypeId",
        "untagged_url": "untaggedUrl",
        "guide_step_id": "guideStepId",
        "type": "type",
    }
    at = row["ts"] if isinstance(row["ts"], str) else instant(row["ts"])
    return as_json([at, *(row.get(our, row.get(their)) or None for our, their in ours.items())])


def active(pendo: Subscription) -> list[str]:
    """Visitors whose history may be asked for."""
    rows = pendo.truth("visitors")
    return [r["visitorId"] for r in rows if not (r["metadata"].get("pendo") or {}).get("donotprocess")]


@pytest.mark.slow
def test_every_activity_arrives_once(pendo: Subscription) -> None:
    """Neighboring days answer some activities twice; ids with slashes and percent signs are encoded."""
    out = pendo.read(STREAM, start_date=ALL_DAYS)
    truth = Counter(activity(row) for row in pendo.truth(STREAM))
    assert Counter(map(activity, out.records[STREAM])) == truth
    keys = out.column(STREAM, "record_id")
    assert len(set(keys)) == len(keys) > 0


def test_who_must_not_be_processed_is_not_asked_for_and_anonymous_ones_only_on_demand(pendo: Subscription) -> None:
    """Rows without metadata do not crash the reading of their histories."""
    pendo.read(STREAM, start_date="2026-03-18T00:00:00Z")
    asked = {request.path for request in histories(pendo)}
    pendo.sim.requests.clear()
    wide = pendo.read(STREAM, start_date="2026-03-18T00:00:00Z", include_anonymous_visitors=True)
    assert not any("_PENDO_T_" in path for path in asked)
    assert any("_PENDO_T_" in request.path for request in histories(pendo))
    assert wide.statuses[STREAM][-1] == "COMPLETE"


def test_no_more_than_180_days_are_asked_for(pendo: Subscription) -> None:
    """An old start date costs the days that Pendo keeps, not the years before them."""
    pendo.sim.subscription.visitors = [
        row for row in pendo.sim.subscription.visitors if row["visitorId"] == "ann@example.com"
    ]
    pendo.sim.subscription.visitors[0]["metadata"]["auto"]["lastupdated"] = pendo.sim.subscription.now
    pendo.read(STREAM, start_date="2020-01-01T00:00:00Z")
    starts = [int(request.query["starttime"][0]) for request in histories(pendo)]
    assert len(starts) == 179
    assert min(starts) == pendo.sim.subscription.now - 179 * DAY_MS


@pytest.mark.slow
def test_a_second_sync_asks_only_for_visitors_that_were_active_since(pendo: Subscription) -> None:
    """And only for the days of the lookback window."""
    first = pendo.read(STREAM)
    assert first.state(STREAM) == {"modified_ts": instant(pendo.sim.subscription.now), "version": 1}
    pendo.sim.mutate("advance", days=4)
    pendo.sim.mutate("touch_visitor", visitor_id="ann@example.com")
    pendo.sim.requests.clear()
    second = pendo.read(STREAM, state={STREAM: first.state(STREAM)}, lookback_window=2)
    came = pendo.sim.subscription.now - 5 * DAY_MS
    autos = {row["visitorId"]: row["metadata"].get("auto", {}) for row in pendo.truth("visitors")}
    expected = {
        visitor for visitor, auto in autos.items() if max(auto.get("lastvisit", 0), auto.get("lastupdated", 0)) >= came
    }
    assert {visitor_in(request.path) for request in histories(pendo)} == expected
    assert "ann@example.com" in expected
    assert len(expected) < len(autos)
    of_ann = [request for request in histories(pendo) if "ann%40example" in request.path]
    assert len(of_ann) == 7
    assert second.state(STREAM)["modified_ts"] == instant(pendo.sim.subscription.now)


def test_an_activity_that_went_on_keeps_its_key(pendo: Subscription) -> None:
    """`lastTs` and `duration` grow; an upsert must replace the row."""
    pendo.sim.subscription.visitors = [
        row for row in pendo.sim.subscription.visitors if row["visitorId"] == "ann@example.com"
    ]
    keys = []
    for grown in (5, 9):
        row = {"type": "page", "ts": 1772341200000, "lastTs": 1772341200000 + grown, "duration": grown}
        pendo.sim.faults.clear()
        pendo.sim.faults.add(Fault("status", path="history", status=200, answer=as_json([row]), times=-1))
        out = pendo.read(STREAM)
        (record,) = out.records[STREAM]
        keys.append(record["record_id"])
        assert record["modified_ts"] == record["last_ts"]
    assert keys[0] == keys[1]


@pytest.mark.slow
def test_a_visitor_who_is_gone_is_skipped_and_counted(pendo: Subscription) -> None:
    """One 404 is no failure. It is logged, and all other visitors are read."""
    pendo.sim.mutate("remove_visitor", visitor_id="ann@example.com", history_only=True)
    pendo.sim.mutate("remove_visitor", visitor_id="team/lead@example.com", history_only=True)
    out = pendo.read(STREAM, start_date=ALL_DAYS)
    assert out.statuses[STREAM][-1] == "COMPLETE"
    assert out.logged("2 visitors were skipped because Pendo has no history for them (last status 404)")
    truth = {activity(row) for row in pendo.truth(STREAM)}
    assert set(map(activity, out.records[STREAM])) == truth


@pytest.mark.parametrize("status", [404, 422])
def test_an_endpoint_that_refuses_everybody_fails_and_the_others_go_on(pendo: Subscription, status: int) -> None:
    """A closed endpoint is not a complete stream without records."""
    pendo.sim.mutate("switch", history_status=status)
    out = pendo.read(STREAM, "pages", "visitors")
    failure = out.failures[STREAM]
    assert failure.message == (
        f"Pendo refuses the history of every visitor (status {status}): the endpoint is not open to this subscription. "
        "Deselect visitor_history and use the event streams, or ask Pendo to open it."
    )
    assert failure.failure_type == "config_error"
    assert out.states[STREAM] == []
    assert out.statuses["pages"][-1] == out.statuses["visitors"][-1] == "COMPLETE"


def test_a_closed_endpoint_is_noticed_before_every_visitor_was_asked(pendo: Subscription) -> None:
    """A hundred thousand refusals take a day and prove no more than fifty."""
    pendo.sim.mutate("switch", history_status=422)
    visitors = pendo.sim.subscription.visitors
    visitors += [{"visitorId": f"more{n}", "metadata": visitors[0]["metadata"]} for n in range(500)]
    pendo.read(STREAM)
    assert len(histories(pendo)) < 150


@pytest.mark.slow
def test_the_only_active_visitor_may_be_gone(pendo: Subscription) -> None:
    """A deleted visitor must not fail every later sync: others are asked before the endpoint is called closed."""
    for row in pendo.sim.subscription.visitors:
        if "auto" in row["metadata"]:
            row["metadata"]["auto"] |= {"lastvisit": pendo.sim.subscription.now - 5 * DAY_MS, "lastupdated": None}
    first = pendo.read(STREAM)
    pendo.sim.subscription.now += 3 * DAY_MS
    pendo.sim.mutate("touch_visitor", visitor_id="Ann@example.com")
    pendo.sim.mutate("remove_visitor", visitor_id="Ann@example.com", history_only=True)
    second = pendo.read(STREAM, state={STREAM: first.state(STREAM)})
    assert second.records[STREAM] == []
    assert second.statuses[STREAM][-1] == "COMPLETE"
    assert second.logged("visitors were skipped")


@pytest.mark.slow
def test_an_interrupted_reading_goes_on_behind_the_last_visitor_whose_batch_was_read(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupted half and the resumed half are together all rows."""
    monkeypatch.setattr("source_pendo.streams.visitor_history.VisitorHistory.state_interval", 0.0)
    pendo.sim.faults.add(Fault("status", path="long-.*history", times=-1, status=403))
    first = pendo.read(STREAM, start_date=ALL_DAYS, num_workers=1)
    assert first.statuses[STREAM][-1] == "INCOMPLETE"
    state = first.state(STREAM)
    assert state["resume"]["visitor_id"]
    pendo.sim.faults.clear()
    pendo.sim.requests.clear()
    second = pendo.read(STREAM, start_date=ALL_DAYS, state={STREAM: state})
    # not behind that visitor: Pendo may take another one, whose id differs in case only, for the same
    assert pendo.pipelines("visitors")[0][1] == {"filter": f'visitorId >= "{state["resume"]["visitor_id"]}"'}
    truth = {activity(row) for row in pendo.truth(STREAM)}
    assert {activity(row) for row in first.records[STREAM] + second.records[STREAM]} == truth
    assert second.state(STREAM) == {"modified_ts": instant(pendo.sim.subscription.now), "version": 1}


@pytest.mark.slow
def test_the_option_app_ids_restricts_the_activities(pendo: Subscription) -> None:
    """Rows carry their application, and Pendo does not filter them."""
    out = pendo.read(STREAM, start_date=ALL_DAYS, app_ids=["-323232"])
    assert set(out.column(STREAM, "app_id")) == {-323232}


@pytest.mark.slow
def test_names_of_visitors_are_in_no_progress_line(pendo: Subscription) -> None:
    """Ids are often addresses of people."""
    out = pendo.read(STREAM)
    assert not any("ann@example.com" in line for line in out.logs)


@pytest.mark.slow
def test_too_many_visitors_at_once_are_listed_in_smaller_pages(pendo: Subscription) -> None:
    """A page that is too much for Pendo is halved."""
    pendo.sim.faults.add(Fault("status", path="aggregation", body="visitor_history/visitors", status=408))
    out = pendo.read(STREAM, record_limit=2000)
    assert out.statuses[STREAM][-1] == "COMPLETE"
    assert [pipeline[-2]["limit"] for pipeline in pendo.pipelines("visitors")] == [2000, 1000]
