"""A network that delays, drips, cuts, resets, refuses and forgets: a sync heals, or fails with its sentence in time."""

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
PATIENCE = {
    "unlimited": True,
    "base_seconds": 0.02,
    "cap_seconds": 0.1,
    "tries": TRIES,
    "read_timeout": READ_TIMEOUT,
    "connect_timeout": 1.0,
}
#: One request fails for good after each attempt has waited for its answer and once more for the answer's end
LONGEST_REQUEST = TRIES * (2 * READ_TIMEOUT + 0.2)
#: Start, healthy requests and a busy machine. Seconds.
MARGIN = 8.0


@pytest.fixture
def proxy(scenario: Scenario) -> Iterator[FaultProxy]:
    """Between the connector and its vendor; nothing goes wrong yet."""
    with FaultProxy(scenario.connector.simulator.url) as running:
        yield running


def expect_complete(scenario: Scenario, outcome: Outcome) -> None:
    """Every stream ended well."""
    assert outcome.code == 0, outcome.errors
    assert set(outcome.last_statuses.values()) == {"COMPLETE"}


def expect_failed(outcome: Outcome, sentences: tuple[str, ...]) -> None:
    """Every stream failed, with one of these sentences, perhaps behind the names of its parts, and quietly."""
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
    return scenario.sync(destination, url=url, limit=limit, options=options, **PATIENCE)


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
def test_trouble_on_the_first_two_connections_heals_within_the_sync(
    scenario: Scenario, proxy: FaultProxy, trouble: Trouble
) -> None:
    proxy.add(trouble, trouble)
    destination = scenario.destination()
    expect_complete(scenario, sync_in_time(scenario, destination, proxy.url))
    assert proxy.met
    assert scenario.connector.differences(destination.held) == {}


@pytest.mark.parametrize("kind_of_cut", ["cut", "cut_chunked", "cut_silent"])
def test_a_body_that_ends_early_is_asked_for_again_however_its_length_was_told(
    scenario: Scenario, kind_of_cut: str
) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault(kind_of_cut, path=connector.long_path, times=2, skip=1))
    destination = scenario.destination()
    expect_complete(scenario, scenario.sync(destination, **PATIENCE))
    assert [line.fault for line in connector.simulator.requests if line.fault] == [kind_of_cut] * 2
    assert connector.differences(destination.held) == {}


def test_a_vendor_that_is_gone_for_a_moment_is_asked_again(scenario: Scenario, proxy: FaultProxy) -> None:
    destination = scenario.destination()
    proxy.refuse_for(0.6)
    outcome = scenario.sync(
        destination, url=proxy.url, limit=MARGIN + 5, **{**PATIENCE, "base_seconds": 0.4, "cap_seconds": 1}
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
    expect_complete(scenario, scenario.sync(destination, **PATIENCE))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


def test_bodies_that_drip_are_given_up_in_time_and_asked_for_again(scenario: Scenario) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault("drip", path=connector.long_path, at=500, seconds=0.1, times=2, skip=1))
    destination = scenario.destination(connector.long_stream)
    expect_complete(scenario, sync_in_time(scenario, destination))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


def test_bodies_that_drip_for_ever_fail_the_stream_in_time_and_the_next_sync_is_whole(scenario: Scenario) -> None:
    connector = scenario.connector
    connector.simulator.faults.add(Fault("drip", path=connector.long_path, at=200, seconds=0.1, times=-1, skip=1))
    destination = scenario.destination(connector.long_stream)
    expect_failed(sync_in_time(scenario, destination), connector.timeout_sentences)
    connector.simulator.faults.clear()
    expect_complete(scenario, scenario.sync(destination, **PATIENCE))
    assert connector.differences(destination.held, [connector.long_stream]) == {}


@pytest.mark.parametrize("seed", range(2))
def test_syncs_through_a_storm_are_whole_once_it_is_over(scenario: Scenario, proxy: FaultProxy, seed: int) -> None:
    draw = Random(seed)
    destination = scenario.destination()
    kinds = ["cut", "reset", "cut", "reset", "stall", "hang", "delay"]
    troubles = [Trouble(draw.choice(kinds), draw.randint(0, 15_000), draw.uniform(0, 1.2)) for _ in range(15)]
    proxy.add(*troubles)
    options = scenario.connector.timeout_options(READ_TIMEOUT)
    for _ in range(5):
        outcome = scenario.sync(
            destination, url=proxy.url, limit=60, options=options, uncovered=draw.random() < 0.5, **PATIENCE
        )
        assert outcome.code in (0, 1)
        assert (outcome.code == 0) == (outcome.errors == [])
        scenario.connector.happen(draw)
        if len(proxy.met) >= len(troubles) - 3:
            break
    proxy.clear()
    expect_complete(scenario, scenario.sync(destination, url=proxy.url, options=options, **PATIENCE))
    assert len(proxy.met) > 2
    assert scenario.connector.differences(destination.held) == {}


def test_the_console_script_heals_a_cut_a_reset_and_a_refusal_with_its_own_patience(
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
