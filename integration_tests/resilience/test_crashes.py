"""Runs that are killed at any moment: the next run continues from the last state and loses nothing."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest
from resilience.connectors_under_test import canonical
from resilience.scenario import Scenario
from test_kit.catalogs import Row
from test_kit.destination import Destination
from test_kit.process import ConsoleScript, Crash, Meanwhile
from test_kit.warehouse import Warehouse

#: Kills in a chain of runs, each of which continues from the state before it
KILLS = 10
FORKED = {"unlimited": True, "base_seconds": 0.01, "tries": 4}


def seeds(first: int, all_of_them: int) -> list[Any]:
    """The first few are for `make test`, the others for `make soak`."""
    return [*range(first), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(first, all_of_them))]


def random_crash(draw: Random, size: int, seconds: float) -> Crash:
    """A moment between the start and the end of a run that would write `size` bytes in `seconds`."""
    if draw.random() < 0.3:
        return Crash(after_seconds=draw.uniform(0, seconds), reads_on=draw.random() < 0.5)
    return Crash(after_bytes=draw.randint(1, size), reads_on=draw.random() < 0.5)


def crash_repeatedly(scenario: Scenario, destination: Destination, seed: int, *, changes: bool) -> int:
    """A chain of runs that are killed; returns how many were killed before they had ended.

    Without changes no lookback is needed, and there is none, so that it cannot hide a mistake.
    """
    connector, draw = scenario.connector, Random(seed)
    whole = scenario.sync(Destination(destination.catalog), **FORKED)
    size = sum(map(len, whole.lines))
    options = {} if changes else connector.no_lookback
    killed = 0
    for _ in range(KILLS):
        connector.shuffle(draw)
        meanwhile = Meanwhile(draw.randint(0, size // 2), lambda: connector.happen(draw)) if changes else None
        outcome = scenario.sync(
            destination,
            crash=random_crash(draw, size, whole.seconds),
            meanwhile=meanwhile,
            uncovered=draw.random() < 0.5,
            options=options,
            **FORKED,
        )
        killed += outcome.code == -signal.SIGKILL
        if changes:
            connector.happen(draw)
    connector.simulator.faults.clear()
    return killed


def expect_the_truth(scenario: Scenario, destination: Destination, options: Mapping[str, Any] | None = None) -> None:
    """After an undisturbed run the destination holds the truth."""
    outcome = scenario.sync(destination, options=options, **FORKED)
    assert outcome.code == 0, outcome.errors
    names = [item["stream"]["name"] for item in destination.catalog["streams"]]
    assert outcome.last_statuses == dict.fromkeys(names, "COMPLETE")
    assert scenario.connector.differences(destination.held, names) == {}


@pytest.mark.parametrize("seed", seeds(2, 10))
def test_a_sync_that_is_killed_again_and_again_ends_with_the_truth(scenario: Scenario, seed: int) -> None:
    destination = scenario.destination()
    assert crash_repeatedly(scenario, destination, seed, changes=False) > 0
    expect_the_truth(scenario, destination, scenario.connector.no_lookback)


@pytest.mark.parametrize("seed", seeds(2, 6))
def test_a_sync_that_is_killed_while_the_data_change_ends_with_the_truth(scenario: Scenario, seed: int) -> None:
    destination = scenario.destination()
    assert crash_repeatedly(scenario, destination, 100 + seed, changes=True) > 0
    expect_the_truth(scenario, destination)


@pytest.mark.parametrize("seed", seeds(1, 4))
def test_a_full_refresh_that_is_killed_again_and_again_ends_with_the_truth(scenario: Scenario, seed: int) -> None:
    destination = scenario.destination(full_refresh=True)
    assert crash_repeatedly(scenario, destination, 200 + seed, changes=False) > 0
    expect_the_truth(scenario, destination)


@pytest.mark.slow
def test_the_console_script_continues_after_a_kill_from_the_last_state_that_it_wrote(
    unpaged_scenario: Scenario, console_script: ConsoleScript
) -> None:
    scenario = unpaged_scenario
    connector, draw = scenario.connector, Random(300)
    streams = connector.short_streams
    whole = scenario.sync(scenario.destination(*streams), **FORKED)
    size = sum(map(len, whole.lines))
    destination = scenario.destination(*streams)
    killed = 0
    for _ in range(4):
        crash = Crash(after_bytes=draw.randint(1, size), reads_on=draw.random() < 0.5)
        outcome = scenario.sync(destination, launcher=console_script, crash=crash, uncovered=draw.random() < 0.5)
        killed += outcome.code == -signal.SIGKILL
        connector.happen(draw)
    assert killed > 0
    assert scenario.sync(destination, launcher=console_script).code == 0
    assert connector.differences(destination.held, streams) == {}


def test_a_sync_that_is_asked_to_end_ends_at_once_with_whole_lines(
    unpaged_scenario: Scenario, console_script: ConsoleScript
) -> None:
    scenario = unpaged_scenario
    streams = scenario.connector.short_streams
    whole = scenario.sync(scenario.destination(*streams), **FORKED)
    destination = scenario.destination(*streams)
    half = sum(map(len, whole.lines)) // 2
    outcome = scenario.sync(destination, launcher=console_script, crash=Crash(after_bytes=half, by=signal.SIGTERM))
    assert outcome.code != 0
    assert "Traceback" not in outcome.stderr
    expect_the_truth(scenario, destination)


def test_a_warehouse_on_disk_that_dies_with_the_connector_holds_what_the_model_holds(scenario: Scenario) -> None:
    connector, draw = scenario.connector, Random(400)
    destination = scenario.destination()
    whole = scenario.sync(Destination(destination.catalog), **FORKED)
    size = sum(map(len, whole.lines))
    warehouse = Warehouse(scenario.folder / "warehouse.duckdb")
    try:
        for last in [False] * 4 + [True]:
            warehouse.begin(destination.catalog)
            crash = None if last else random_crash(draw, size, whole.seconds)
            outcome = scenario.sync(destination, crash=crash, **FORKED)
            assert outcome.code == 0 or not last, outcome.errors
            for _ in warehouse.load(outcome.lines):
                pass
            assert by_stream(warehouse.states()) == by_stream(destination.states.values())
        assert connector.differences(destination.held) == {}
        for item in destination.catalog["streams"]:
            name, columns = item["stream"]["name"], item["stream"]["json_schema"]["properties"]
            declared = [{column: row.get(column) for column in columns} for row in destination.held(name)]
            assert Counter(map(canonical, warehouse.rows(name))) == Counter(map(canonical, declared)), name
    finally:
        warehouse.close()


def by_stream(states: Iterable[Row]) -> dict[str, Row]:
    """States by the name of their stream."""
    return {state["stream"]["stream_descriptor"]["name"]: state["stream"]["stream_state"] for state in states}
