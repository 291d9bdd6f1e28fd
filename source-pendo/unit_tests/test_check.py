"""The check: what is wrong in one sentence, without long waits."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
from pendo_reader import STREAM_NAMES, Subscription
from simulators.faults import HTML_PAGE, Fault
from source_kit.activity import Activities
from source_pendo.client import BROKEN, NOT_FOUND, THROTTLED, TOO_BIG, WRONG_KEY, WRONG_REGION, PendoClient

pytestmark = pytest.mark.usefixtures("real_pace")


def failed_check(pendo: Subscription, **options: Any) -> str:
    """The sentence of a check that fails; no thread waits for more than five seconds in all."""
    waits: Counter[int] = Counter()
    wait = Activities.wait

    def counted(activities: Activities, seconds: float, why: str) -> None:
        waits[threading.get_ident()] += seconds
        wait(activities, seconds, why)

    with patch.object(Activities, "wait", counted):
        succeeded, sentence = pendo.check(**options)
    assert max(waits.values(), default=0) < 5
    assert not succeeded
    return sentence


def test_a_good_connection_passes_and_every_kind_of_object_was_asked_for(pendo: Subscription) -> None:
    """The key, the region and each endpoint are proved, with single rows of the expensive ones."""
    assert pendo.check() == (True, "")
    paths = {request.path.removeprefix("/api/v1/") for request in pendo.sim.requests}
    assert {"aggregation", "page", "feature", "guide", "tracktype", "report", "segment"} < paths
    pipelines = [request.json()["request"]["pipeline"] for request in pendo.asked("aggregation")]
    assert all({"limit": 1} in pipeline for pipeline in pipelines)


def test_a_wrong_key_is_named(pendo: Subscription) -> None:
    """Also what a subscription without API access looks like."""
    assert failed_check(pendo, api_key="wrong") == WRONG_KEY


def test_a_key_of_another_region_is_named(pendo: Subscription) -> None:
    """Pendo answers 400 for a valid key on another region's host."""
    assert failed_check(pendo, api_key="simulated-integration-key.eu") == WRONG_REGION


def test_a_400_of_unknown_text_everywhere_is_the_region_too(pendo: Subscription) -> None:
    """The status is certain, the text is from one write-up."""
    pendo.sim.faults.add(Fault("status", status=400, answer="who are you?", times=-1))
    assert failed_check(pendo) == WRONG_REGION


def test_a_host_without_this_interface_is_named(pendo: Subscription) -> None:
    """A 404 from everywhere is a wrong api_url."""
    assert failed_check(pendo, api_url=pendo.sim.url + "/elsewhere") == NOT_FOUND


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 502])
def test_an_html_page_is_reported_in_a_sentence(pendo: Subscription, status: int) -> None:
    """From a proxy or a sign-on. The sentence quotes no part of the page."""
    pendo.sim.faults.add(Fault("html", status=status, answer=HTML_PAGE, times=-1))
    sentence = failed_check(pendo)
    assert "<" not in sentence
    assert ("not JSON" in sentence) if status == 200 else (sentence == BROKEN)


@pytest.mark.parametrize(("seconds", "most"), [("1", 15.0 * 4), ("3600", 0.0)])
def test_throttling_that_goes_on_fails_within_seconds(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, seconds: str, most: float
) -> None:
    """A check does not wait for half an hour, and for a rate limit only once, however many streams there are."""
    waits: list[float] = []
    monkeypatch.setattr("source_kit.activity.Activities.wait", lambda self, seconds, why: waits.append(seconds))
    pendo.sim.faults.add(Fault("status", status=429, headers={"Retry-After": seconds}, times=-1))
    assert pendo.check() == (False, THROTTLED)
    assert sum(waits) <= most


@pytest.mark.slow
def test_the_wait_that_pendo_asks_of_a_check_is_kept(pendo: Subscription) -> None:
    """A sync that uses the key at the same time must not make the connection look broken."""
    pendo.sim.faults.add(Fault("status", path="page", status=429, headers={"Retry-After": "2"}))
    assert pendo.check() == (True, "")


@pytest.mark.slow
@pytest.mark.parametrize(("num_workers", "at_a_time"), [(1, 1), (3, 3), (20, 6)])
def test_a_check_makes_no_more_requests_at_a_time_than_the_option_allows(
    pendo: Subscription, monkeypatch: pytest.MonkeyPatch, num_workers: int, at_a_time: int
) -> None:
    """Never more than the option allows, and at most six, because more are no faster."""
    lock, running, most = threading.Lock(), 0, 0
    send = PendoClient.call

    def counted(client: PendoClient, *arguments: Any, **options: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        try:
            return send(client, *arguments, **options)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(PendoClient, "call", counted)
    assert pendo.check(num_workers=num_workers) == (True, "")
    assert most == at_a_time


@pytest.mark.slow
def test_throttling_that_the_check_itself_causes_does_not_fail_it(pendo: Subscription) -> None:
    """The check sends many probes, and the rate limit of a subscription may be low."""
    pendo.sim.faults.add(Fault("status", status=429, skip=5, times=3))
    assert pendo.check() == (True, "")


@pytest.mark.slow
def test_a_server_that_is_not_there_is_reported(pendo: Subscription) -> None:
    """Nothing listens at this port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sentence = failed_check(pendo, api_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert sentence.startswith("The connection to Pendo could not be made")


@pytest.mark.slow
def test_one_failure_of_the_server_is_tried_again(pendo: Subscription) -> None:
    """A single 503 is no reason to call a connection broken."""
    pendo.sim.faults.add(Fault("status", status=503, path="segment"))
    assert pendo.check() == (True, "")


def test_forbidden_objects_are_named_and_missing_in_the_catalog(pendo: Subscription) -> None:
    """A key without rights to some kinds of objects is good for the others."""
    pendo.sim.mutate("forbid", kinds=["segments", "pollEvents", "visitorHistory"])
    succeeded, sentence = pendo.check()
    assert succeeded
    assert sentence.startswith("Pendo refuses visitor_history, segments, poll_events to this integration key")
    names = {stream.name for stream in pendo.discover().streams}
    assert len(names) == len(STREAM_NAMES) - 3
    assert not names & {"segments", "poll_events", "visitor_history"}


@pytest.mark.slow
def test_a_403_is_never_tried_again(pendo: Subscription) -> None:
    """Unless it says that it is a rate limit."""
    pendo.sim.mutate("forbid", kinds=["features"])
    pendo.check()
    assert len(pendo.asked("feature")) == 1


def test_an_endpoint_that_the_subscription_lacks_does_not_fail_the_check(pendo: Subscription) -> None:
    """Otherwise nobody could deselect the stream."""
    pendo.sim.faults.add(Fault("status", status=404, path="segment", times=-1))
    succeeded, sentence = pendo.check()
    assert succeeded
    assert "Pendo refuses segments" in sentence
    assert "segments" in {stream.name for stream in pendo.discover().streams}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=500, path="segment", times=-1),
        Fault("status", status=400, answer="who knows", path="segment", times=-1),
        Fault("status", status=429, headers={"Retry-After": "3600"}, path="segment", times=-1),
        Fault("status", status=200, answer='{"error":"no"}', path="metadata/schema/account", times=-1),
        Fault("reset", path="segment", times=-1),
    ],
    ids=["500", "400", "429", "another shape", "no connection"],
)
def test_one_endpoint_that_fails_is_named_and_costs_no_more_than_itself(pendo: Subscription, fault: Fault) -> None:
    """The others prove the key, the region and the network; discovery offers the stream, it may work tomorrow."""
    pendo.sim.faults.add(fault)
    name = "segments" if fault.path == "segment" else "metadata_accounts"
    succeeded, sentence = pendo.check()
    assert succeeded
    assert sentence.startswith(f"Pendo did not answer as it should for {name}, everything else can be read")
    assert len(pendo.discover().streams) == len(STREAM_NAMES)


@pytest.mark.slow
def test_streams_that_are_refused_and_streams_that_fail_are_both_named(pendo: Subscription) -> None:
    """One sentence for each kind."""
    pendo.sim.mutate("forbid", kinds=["features"])
    pendo.sim.faults.add(Fault("status", status=502, path="segment", times=-1))
    succeeded, sentence = pendo.check()
    assert succeeded
    assert sentence.index("refuses features to") < sentence.index("answer as it should for segments")


@pytest.mark.slow
def test_a_query_that_is_too_big_does_not_fail_the_check(pendo: Subscription) -> None:
    """It is split when it is read."""
    pendo.sim.faults.add(Fault("status", status=408, body="visitors", times=-1))
    assert pendo.check() == (True, "")


@pytest.mark.slow
def test_a_server_to_which_every_query_is_too_big_fails_the_check(pendo: Subscription) -> None:
    """A gateway that answers 408 to everything is no Pendo."""
    pendo.sim.faults.add(Fault("status", status=408, times=-1))
    assert failed_check(pendo) == TOO_BIG


@pytest.mark.slow
@pytest.mark.parametrize(("key", "message"), [("wrong", WRONG_KEY), ("simulated-integration-key.eu", WRONG_REGION)])
def test_a_discovery_without_any_answer_fails(pendo: Subscription, key: str, message: str) -> None:
    """A catalog without the subscription's own columns would be taken for a change of the schema."""
    with pytest.raises(Exception, match="integration key") as caught:
        pendo.discover(api_key=key)
    assert caught.value.message == message  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
def test_a_pendo_that_answers_hours_for_single_objects_only_passes_and_is_discovered(
    pendo: Subscription, period: str
) -> None:
    """Its documentation says so: the probes ask by day."""
    pendo.sim.mutate("switch", hours_need_ids=True)
    assert pendo.check(period=period) == (True, "")
    assert "page_events" in {stream.name for stream in pendo.discover(period=period).streams}
    assert pendo.read("page_events", start_date="2026-03-19T00:00:00Z").failures == {}
