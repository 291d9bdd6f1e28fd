"""A network that delays, drips, cuts, resets and refuses: a sync recovers, or fails in time with its sentence."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from resilience.proxy import FaultProxy, Trouble
from resilience.scenario import Scenario
from simulators.faults import Fault
from test_kit.destination import Destination
from test_kit.process import ConsoleScript, Outcome

READ_TIMEOUT = 1
TRIES = 4
SHORT_RETRIES = {
    "unlimited": True,
    "base_seconds": 0.02,
    "cap_seconds": 0.1,
    "tries": TRIES,
    "read_timeout": READ_TIMEOUT,
    "connect_timeout": 1.0,
}
#: The longest that one request takes to fail: each attempt waits for the answer, then for its end. Seconds.
LONGEST_REQUEST = TRIES * (2 * READ_TIMEOUT + 0.2)
#: Start, healthy requests and a busy machine. Seconds; what never gives up takes minutes.
MARGIN = 60.0


@pytest.fixture
def proxy(scenario: Scenario) -> Iterator[FaultProxy]:
    """Between the connector and its vendor; breaks nothing until a test adds trouble."""
    with FaultProxy(scenario.connector.simulator.url) as running:
        yield running


def expect_complete(scenario: Scenario, outcome: Outcome) -> None:
    """Every stream is complete."""
    assert outcome.code == 0, outcome.errors
    assert set(outcome.last_statuses.values()) == {"COMPLETE"}


def expect_failed(outcome: Outcome, sentences: tuple[str, ...]) -> None:
    """Every stream failed with one of these sentences, perhaps after the names of its parts, without a traceback."""
    assert outcome.code == 1
    for error in outcome.errors:
        assert any(sentence in error["message"] for sentence in sentences), error
        assert error["failure_type"] == "transient_error"
    assert set(outcome.last_statuses.values()) <= {"INCOMPLETE"}
    assert "Traceback" not in outcome.stderr


def sync_in_time(scenario: Scenario, destination: Destination, url: str | None = None) -> Outcome:
    """A sync that may meet one request that never succeeds. Raises TimeoutError if it takes longer than that allows."""
    limit = scenario.connector.levels * LONGEST_REQUEST + MARGIN
    options = scenario.connector.timeout_options(READ_TIMEOUT)
    return scenario.sync(destination, url=url, limit=limit, options=options, **SHORT_RETRIES)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("delay", after=2_000, seconds=READ_TIMEOUT / 2),
        Trouble("delay", after=2_000, seconds=READ_TIMEOUT * 1.5),
        Trouble("cut", after=5_000),
        Trouble("reset"),
        Trouble("hang"),
        Trouble("stall", after=6_000),
    ],
    ids=lambda trouble: f"{trouble.kind}-{trouble.after}-{trouble.seconds:g}",
)
def test_a_sync_recovers_from_trouble_on_the_first_two_connections(
    scenario: Scenario, proxy: FaultProxy, trouble: Trouble
) -> None:
    proxy.add(trouble, trouble)
    destination = scenario.destination()
    expect_complete(scenario, sync_in_time(scenario, destination, proxy.url))
    assert proxy.met
    assert scenario.connector.differences(destination.held) == {}


@pytest.mark.parametrize("kind_of_cut", ["cut", "cut_chunked", "cut_silent"])
def test_a_body_that_ends_early_is_requested_again_with_and_without_a_declared_length(
    scenario: Scenario, kind_of_cut: str
) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault(kind_of_cut, path=connector.long_path, times=2, skip=1))
    destination = scenario.destination()
    expect_complete(scenario, scenario.sync(destination, **SHORT_RETRIES))
    assert [line.fault for line in connector.simulator.requests if line.fault] == [kind_of_cut] * 2
    assert connector.differences(destination.held) == {}


def test_a_vendor_that_is_down_for_a_moment_is_tried_again(scenario: Scenario, proxy: FaultProxy) -> None:
    destination = scenario.destination()
    proxy.refuse_for(0.6)
    outcome = scenario.sync(
        destination, url=proxy.url, limit=MARGIN + 5, **{**SHORT_RETRIES, "base_seconds": 0.4, "cap_seconds": 1}
    )
    expect_complete(scenario, outcome)
    assert scenario.connector.differences(destination.held) == {}


@pytest.mark.parametrize("lasting", ["cut", "reset", "refused", "hang"])
def test_lasting_trouble_fails_every_stream_with_its_sentence_in_time_and_the_next_sync_is_whole(
    scenario: Scenario, proxy: FaultProxy, lasting: str
) -> None:
    connector = scenario.connector
    destination = scenario.destination(connector.long_stream)
    if lasting == "refused":
        proxy.refuse_for(3600)
    else:
        proxy.add(*[Trouble(lasting, after=150, seconds=0.1)] * 1000)
    outcome = sync_in_time(scenario, destination, proxy.url)
    sentences = connector.timeout_sentences if lasting == "hang" else connector.unreachable_sentences
    expect_failed(outcome, sentences)
    assert len(proxy.met) + (lasting == "refused") > 0
    expect_complete(scenario, scenario.sync(destination, **SHORT_RETRIES))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


def test_bodies_that_drip_are_given_up_in_time_and_requested_again(scenario: Scenario) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault("drip", path=connector.long_path, at=500, seconds=0.1, times=2, skip=1))
    destination = scenario.destination(connector.long_stream)
    expect_complete(scenario, sync_in_time(scenario, destination))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


def test_bodies_that_always_drip_fail_the_stream_in_time_and_the_next_sync_is_whole(scenario: Scenario) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault("drip", path=connector.long_path, at=200, seconds=0.1, times=-1, skip=1))
    destination = scenario.destination(connector.long_stream)
    expect_failed(sync_in_time(scenario, destination), connector.timeout_sentences)
    connector.simulator.faults.clear()
    expect_complete(scenario, scenario.sync(destination, **SHORT_RETRIES))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


@pytest.mark.parametrize("seed", range(2))
def test_after_syncs_with_random_trouble_an_undisturbed_one_completes_the_table(
    scenario: Scenario, proxy: FaultProxy, seed: int
) -> None:
    draw = Random(seed)
    destination = scenario.destination()
    kinds = ["cut", "reset", "cut", "reset", "stall", "hang", "delay"]
    troubles = [Trouble(draw.choice(kinds), draw.randint(0, 15_000), draw.uniform(0, 1.2)) for _ in range(15)]
    proxy.add(*troubles)
    options = scenario.connector.timeout_options(READ_TIMEOUT)
    for _ in range(5):
        outcome = scenario.sync(
            destination, url=proxy.url, limit=60, options=options, uncovered=draw.random() < 0.5, **SHORT_RETRIES
        )
        assert outcome.code in (0, 1)
        assert (outcome.code == 0) == (outcome.errors == [])
        scenario.connector.happen(draw)
        if len(proxy.met) >= len(troubles) - 3:
            break
    proxy.clear()
    expect_complete(scenario, scenario.sync(destination, url=proxy.url, options=options, **SHORT_RETRIES))
    assert len(proxy.met) > 2
    assert scenario.connector.differences(destination.held) == {}


def test_the_console_script_recovers_from_a_cut_a_reset_and_a_refusal_with_its_own_retries(
    unpaged_scenario: Scenario, console_script: ConsoleScript
) -> None:
    scenario = unpaged_scenario
    streams = scenario.connector.short_streams
    destination = scenario.destination(*streams)
    with FaultProxy(scenario.connector.simulator.url) as proxy:
        proxy.add(Trouble("cut", after=1_000), Trouble("reset", after=3_000), Trouble("cut"), Trouble("reset"))
        outcome = scenario.sync(destination, launcher=console_script, url=proxy.url)
    expect_complete(scenario, outcome)
    assert len(proxy.met) >= 2
    assert scenario.connector.differences(destination.held, streams) == {}
