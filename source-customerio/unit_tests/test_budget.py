"""One request budget for the workspace: never exceeded, never wasted, fair."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from source_customerio.budget import REQUESTS_A_SECOND, RequestBudget
from source_kit.activity import Activities

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> dict[RequestBudget, list[float]]:
    """When the requests of each budget start, in seconds of a clock that stands still: nobody waits."""
    found: dict[RequestBudget, list[float]] = {}

    def acquire(budget: RequestBudget) -> None:
        with lock:
            budget._clock = lambda: 0.0
            found.setdefault(budget, []).append(budget.reserve().start)

    lock = threading.Lock()
    monkeypatch.setattr(RequestBudget, "acquire", acquire)
    return found


@pytest.mark.parametrize(("verb", "share"), [("read", REQUESTS_A_SECOND), ("check", 8), ("read", 1)])
def test_every_request_starts_in_the_one_budget_and_as_soon_as_the_share_allows(
    workspace: Workspace, starts: dict[RequestBudget, list[float]], verb: str, share: int
) -> None:
    """The other programs of the workspace have what this connection leaves."""
    options: dict[str, Any] = {"requests_per_second": share, "num_workers": 10}
    if verb == "check":
        assert workspace.check(workspace.config(**options))[0] == "SUCCEEDED"
    else:
        workspace.sync("campaign_actions", "newsletter_variants", "segment_usage", **options)
    (started,) = starts.values()
    assert len(started) == len(workspace.simulator.requests) > share + 1
    assert all(later - earlier >= 1.0 for earlier, later in zip(started, started[share:], strict=False))
    assert started[-1] <= 1.1 * len(started) / share


@pytest.mark.slow
def test_no_rolling_second_has_more_requests_than_allowed_where_they_leave(
    workspace: Workspace, real_pace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real clock, however late a thread wakes."""
    started: list[float] = []
    acquire = RequestBudget.acquire

    def noted(budget: RequestBudget) -> None:
        acquire(budget)
        started.append(time.monotonic())

    monkeypatch.setattr(RequestBudget, "acquire", noted)
    workspace.sync("segments", "topics", "snippets", requests_per_second=1, num_workers=10)
    started.sort()
    assert len(started) == len(workspace.simulator.requests) > 1
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(started))


@pytest.mark.parametrize(
    ("share", "named"),
    [
        (10, "the workspace's 10 requests a second"),
        (3, "this connection's 3 of the workspace's 10 requests a second"),
    ],
)
def test_the_wait_for_a_request_names_the_share(
    share: int, named: str, real_pace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the line that a sync logs while it writes nothing."""
    reasons: list[str] = []

    def wait(_activities: Activities, seconds: float, why: str) -> None:
        reasons.append(why)
        time.sleep(seconds)

    monkeypatch.setattr(Activities, "wait", wait)
    budget = RequestBudget(share, window=0.05, spacing=0.0)
    for _ in range(share + 1):
        budget.acquire()
    assert set(reasons) == {named}


@pytest.mark.slow
def test_a_throttled_answer_is_waited_for_as_long_as_the_server_says(workspace: Workspace, real_pace: None) -> None:
    workspace.simulator.faults.add(
        Fault("status", path="/v1/segments", status=429, headers={"Retry-After": "1"}, times=1)
    )
    synced = workspace.sync("segments")
    first, second = [request.started for request in workspace.requests_to("segments")]
    assert second - first >= 1.0
    assert synced.failures == {}


def test_callers_are_served_in_the_order_in_which_they_came() -> None:
    now = 0.0
    budget = RequestBudget(limit=2, window=1.0, spacing=0.0, clock=lambda: now)
    places = [budget.reserve().start for _ in range(7)]
    assert places == [0, 0, 1, 1, 2, 2, 3]


def test_a_request_that_starts_late_holds_up_the_one_a_window_after_it() -> None:
    """On a busy machine a thread wakes later than it asked to."""
    budget = RequestBudget(limit=2, window=1.0, spacing=0.0, clock=lambda: 0.0)
    first, second, third, fourth = [budget.reserve() for _ in range(4)]
    first.started(0.25)
    assert [slot.due() for slot in (second, third, fourth)] == [0.0, 1.25, 1.0]


def test_requests_do_not_start_all_at_once() -> None:
    budget = RequestBudget(limit=10, window=1.0, spacing=0.125, clock=lambda: 0.0)
    assert [budget.reserve().start for _ in range(4)] == [0.0, 0.125, 0.25, 0.375]


def test_the_limit_holds_under_many_threads() -> None:
    budget = RequestBudget(limit=5, window=1.0, spacing=0.0, clock=lambda: 0.0)
    places: list[float] = []
    threads = [threading.Thread(target=lambda: places.append(budget.reserve().start)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(list(group)) for _, group in itertools.groupby(sorted(places))] == [5] * 10


@pytest.mark.slow
def test_two_streams_advance_together(workspace: Workspace, real_pace: None) -> None:
    """Fair: neither stream's requests wait until the other's are through."""
    workspace.sync("newsletter_variants", "segment_usage", num_workers=2)
    kinds = [
        "variants" if "/contents" in request.path else "usage"
        for request in workspace.simulator.requests
        if "/contents" in request.path or "/used_by" in request.path
    ]
    last = {kind: len(kinds) - 1 - kinds[::-1].index(kind) for kind in ("variants", "usage")}
    assert kinds.index("variants") < last["usage"]
    assert kinds.index("usage") < last["variants"]
