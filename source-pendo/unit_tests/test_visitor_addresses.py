"""How the id of a visitor stands in the address of its history."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from pendo_reader import Row, Subscription, instant, visitor_in
from simulators.faults import Fault

STREAM = "visitor_history"
ALL_DAYS = "2026-02-24T00:00:00Z"
PLAIN = "ann.lee-2_x@example.com"
#: Ids that a proxy, a client or a server may take for something else
AWKWARD = [".", "..", ".a", "a.", "a/b", "100%", "a b", "\U0001f600", "x?y#z", "b64_YQ=="]


@pytest.fixture(autouse=True)
def _few_visitors(pendo: Subscription) -> None:
    some = next(row for row in pendo.sim.subscription.visitors if row["visitorId"] == "ann@example.com")
    pendo.sim.subscription.visitors = [{**some, "visitorId": visitor} for visitor in [PLAIN, *AWKWARD]]


def asked(pendo: Subscription) -> Counter[str]:
    """How often each visitor was asked for."""
    return Counter(visitor_in(request.path) for request in pendo.sim.requests if request.path.endswith("/history"))


def activity(row: Row) -> tuple[str, str]:
    at = row["ts"] if isinstance(row["ts"], str) else instant(row["ts"])
    return row.get("visitor_id", row.get("visitorId")), at


@pytest.mark.slow
@pytest.mark.parametrize("form", ["any", "padded", "unpadded"])
def test_every_id_leads_to_its_visitor(pendo: Subscription, form: str) -> None:
    """Whether base64 has padding is not documented. Plain ids need neither base64 nor its header."""
    pendo.sim.mutate("switch", base64_ids=form)
    out = pendo.read(STREAM, start_date=ALL_DAYS)
    truth = Counter(map(activity, pendo.truth(STREAM)))
    assert Counter(map(activity, out.records[STREAM])) == truth
    assert {visitor for visitor, _ in truth} == {PLAIN, *AWKWARD}
    plain = [request for request in pendo.sim.requests if PLAIN.replace("@", "%40") in request.path]
    assert plain
    assert not any("x-pendo-base64-encoded-params" in request.headers for request in plain)


@pytest.mark.parametrize("refusal", [400, 404, 422])
def test_a_server_without_base64_is_asked_by_percent_encoded_ids(pendo: Subscription, refusal: int) -> None:
    """All visitors but those whose ids mean another address are read, and the other forms are not tried again."""
    pendo.sim.faults.add(Fault("status", path="/visitor/b64_[^%]*/history", status=refusal, times=-1))
    out = pendo.read(STREAM, start_date="2026-03-15T00:00:00Z", num_workers=1)
    first = int(datetime(2026, 3, 15, tzinfo=UTC).timestamp() * 1000)
    reachable = {activity(row) for row in pendo.truth(STREAM) if row["visitorId"] not in (".", "..")}
    assert {(visitor, at) for visitor, at in reachable if at >= instant(first)} <= set(
        map(activity, out.records[STREAM])
    )
    usual = asked(pendo)[PLAIN]
    more = sorted(count - usual for visitor, count in asked(pendo).items() if visitor in AWKWARD[2:])
    assert usual > 1
    assert more == [*[0] * (len(more) - 1), more[-1]]  # the first of them was asked for in other forms, too
    assert more[-1] in (1, 2)
