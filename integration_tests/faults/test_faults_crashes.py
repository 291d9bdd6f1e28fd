"""Runs that end at any moment: what was read until then, and the state in it, are enough to go on."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest
from faults.ledger import Ledger, Row
from faults.processes import CommandLine, Crash, Meanwhile
from faults.scene import Scene
from faults.subjects import canonical
from warehouse import Warehouse

#: Kills in a chain of runs that go on from each other's states
KILLS = 10
FORKED = {"unlimited": True, "base_seconds": 0.01, "tries": 4}


def random_crash(draw: Random, size: int, seconds: float) -> Crash:
    """A moment between the start and the end of a run that would write `size` bytes in `seconds`."""
    if draw.random() < 0.3:
        return Crash(after_seconds=draw.uniform(0, seconds), reads_on=draw.random() < 0.5)
    return Crash(after_bytes=draw.randint(1, size), reads_on=draw.random() < 0.5)


def crash_again_and_again(scene: Scene, ledger: Ledger, seed: int, *, changes: bool) -> int:
    """A chain of runs that are killed; returns how many were killed before they had ended.

    Without changes nothing need be read again but what a crash cut, so there is no lookback that could mend a mistake.
    """
    subject, draw = scene.subject, Random(seed)
    whole = scene.sync(Ledger(ledger.catalog), **FORKED)
    size = sum(map(len, whole.lines))
    options = {} if changes else subject.no_lookback
    killed = 0
    for _ in range(KILLS):
        subject.shuffle(draw)
        meanwhile = Meanwhile(draw.randint(0, size // 2), lambda: subject.happen(draw)) if changes else None
        outcome = scene.sync(
            ledger,
            crash=random_crash(draw, size, whole.seconds),
            meanwhile=meanwhile,
            uncovered=draw.random() < 0.5,
            options=options,
            **FORKED,
        )
        killed += outcome.code == -signal.SIGKILL
        if changes:
            subject.happen(draw)
    subject.simulator.faults.clear()
    return killed


def expect_the_truth(scene: Scene, ledger: Ledger, options: Mapping[str, Any] | None = None) -> None:
    """After a run that nobody disturbs the destination holds the truth."""
    outcome = scene.sync(ledger, options=options, **FORKED)
    assert outcome.code == 0, outcome.errors()
    names = [item["stream"]["name"] for item in ledger.catalog["streams"]]
    assert outcome.statuses() == dict.fromkeys(names, "COMPLETE")
    assert scene.subject.differences(ledger.held, names) == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_sync_that_is_killed_again_and_again_ends_with_the_truth(scene: Scene, seed: int) -> None:
    ledger = scene.ledger()
    assert crash_again_and_again(scene, ledger, seed, changes=False) > 0
    expect_the_truth(scene, ledger, scene.subject.no_lookback)


@pytest.mark.parametrize("seed", range(3))
def test_a_sync_that_is_killed_while_the_data_change_ends_with_the_truth(scene: Scene, seed: int) -> None:
    ledger = scene.ledger()
    assert crash_again_and_again(scene, ledger, 100 + seed, changes=True) > 0
    expect_the_truth(scene, ledger)


@pytest.mark.parametrize("seed", range(2))
def test_a_full_refresh_that_is_killed_again_and_again_ends_with_the_truth(scene: Scene, seed: int) -> None:
    ledger = scene.ledger(full_refresh=True)
    assert crash_again_and_again(scene, ledger, 200 + seed, changes=False) > 0
    expect_the_truth(scene, ledger)


@pytest.mark.slow
def test_the_console_script_that_is_killed_goes_on_from_the_last_state_that_it_printed(
    unpaged_scene: Scene, command_line: CommandLine
) -> None:
    scene = unpaged_scene
    subject, draw = scene.subject, Random(300)
    streams = subject.short_streams
    whole = scene.sync(scene.ledger(*streams), **FORKED)
    size = sum(map(len, whole.lines))
    ledger = scene.ledger(*streams)
    killed = 0
    for _ in range(4):
        crash = Crash(after_bytes=draw.randint(1, size), reads_on=draw.random() < 0.5)
        outcome = scene.sync(ledger, launcher=command_line, crash=crash, uncovered=draw.random() < 0.5)
        killed += outcome.code == -signal.SIGKILL
        subject.happen(draw)
    assert killed > 0
    assert scene.sync(ledger, launcher=command_line).code == 0
    assert subject.differences(ledger.held, streams) == {}


def test_a_sync_that_is_asked_to_end_ends_at_once_with_whole_lines(
    unpaged_scene: Scene, command_line: CommandLine
) -> None:
    scene = unpaged_scene
    streams = scene.subject.short_streams
    whole = scene.sync(scene.ledger(*streams), **FORKED)
    ledger = scene.ledger(*streams)
    half = sum(map(len, whole.lines)) // 2
    outcome = scene.sync(ledger, launcher=command_line, crash=Crash(after_bytes=half, by=signal.SIGTERM), limit=20)
    assert outcome.code != 0
    assert "Traceback" not in outcome.stderr
    expect_the_truth(scene, ledger)


def test_a_warehouse_on_disk_that_dies_with_the_connector_holds_what_the_model_holds(scene: Scene) -> None:
    subject, draw = scene.subject, Random(400)
    ledger = scene.ledger()
    whole = scene.sync(Ledger(ledger.catalog), **FORKED)
    size = sum(map(len, whole.lines))
    warehouse = Warehouse(scene.folder / "warehouse.duckdb")
    try:
        for last in [False] * 4 + [True]:
            warehouse.begin(ledger.catalog)
            crash = None if last else random_crash(draw, size, whole.seconds)
            outcome = scene.sync(ledger, crash=crash, **FORKED)
            assert outcome.code == 0 or not last, outcome.errors()
            for _ in warehouse.load(outcome.lines):
                pass
            assert by_stream(warehouse.states()) == by_stream(ledger.states.values())
        assert subject.differences(ledger.held) == {}
        for item in ledger.catalog["streams"]:
            name, columns = item["stream"]["name"], item["stream"]["json_schema"]["properties"]
            declared = [{column: row.get(column) for column in columns} for row in ledger.held(name)]
            assert Counter(map(canonical, warehouse.rows(name))) == Counter(map(canonical, declared)), name
    finally:
        warehouse.close()


def by_stream(states: Iterable[Row]) -> dict[str, Row]:
    """States by the name of their stream."""
    return {state["stream"]["stream_descriptor"]["name"]: state["stream"]["stream_state"] for state in states}
