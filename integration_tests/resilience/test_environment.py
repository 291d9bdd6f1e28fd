"""A full disk, a wrong clock, a slow or absent reader: no row is lost, and the error says what is wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from resilience.connectors_under_test import ConnectorUnderTest, Heap
from resilience.scenario import MakeScenario, Scenario
from test_kit.process import ConsoleScript, Outcome, Pace

FORKED = {"unlimited": True, "base_seconds": 0.01, "tries": 3}
DAY = 86_400
HOUR = 3_600
PAGE = 4_096
MEMORY_LIMIT_KILOBYTES = 300 * 1024
LARGE_ROWS = {"source-pendo": 12_000, "source-customerio": 15_000, "source-heap": 8_000}


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB with room for one page. Needs root, or sudo without a password."""
    folder = tmp_path / "full"
    folder.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size=64k,uid={os.getuid()},mode=700"
    subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    try:
        fill(folder)
        yield folder
    finally:
        subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Fill the file system up to one page."""
    filler = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(filler, bytes(PAGE))
    except OSError:
        os.ftruncate(filler, os.fstat(filler).st_size - PAGE)
    finally:
        os.close(filler)


def expect_no_room(outcome: Outcome, folder: Path) -> None:
    """Every error is a sentence about the temporary directory."""
    assert outcome.code == 1
    assert outcome.errors
    for error in outcome.errors:
        assert str(folder) in error["message"], error
        assert "larger" in error["message"] or "more space" in error["message"], error
    assert "Traceback" not in outcome.stderr


def test_a_full_disk_fails_with_a_sentence_and_with_room_the_next_sync_is_whole(
    scenario: Scenario, full_disk: Path
) -> None:
    destination = scenario.destination()
    outcome = scenario.sync(destination, temporary=str(full_disk), spool_bytes=1_000, **FORKED)
    expect_no_room(outcome, full_disk)
    assert scenario.sync(destination, **FORKED).code == 0
    assert scenario.connector.differences(destination.held) == {}


def test_a_limit_on_the_size_of_files_fails_with_a_sentence_and_without_it_the_next_sync_is_whole(
    scenario: Scenario, tmp_path: Path
) -> None:
    destination = scenario.destination()
    outcome = scenario.sync(destination, temporary=str(tmp_path), file_bytes=2_000, spool_bytes=1_000, **FORKED)
    expect_no_room(outcome, tmp_path)
    assert scenario.sync(destination, **FORKED).code == 0
    assert scenario.connector.differences(destination.held) == {}


def test_the_console_script_of_heap_says_when_its_temporary_directory_is_full(
    make_scenario: MakeScenario, full_disk: Path
) -> None:
    scenario = make_scenario(Heap)
    destination = scenario.destination()
    launcher = ConsoleScript(Heap.name, env={**os.environ, "TMPDIR": str(full_disk)})
    expect_no_room(scenario.sync(destination, launcher=launcher), full_disk)
    assert [path.name for path in full_disk.iterdir()] == ["filler"]
    assert scenario.sync(destination, launcher=ConsoleScript(Heap.name)).code == 0
    assert scenario.connector.differences(destination.held) == {}


@pytest.mark.parametrize(
    "clocks",
    [
        pytest.param([0, 2 * DAY, 0], id="two days ahead for one sync"),
        pytest.param([2 * DAY, 0, 0], id="two days ahead for the first sync"),
        pytest.param([0, -2 * DAY, 0], id="two days behind for one sync"),
        pytest.param([HOUR, -HOUR, HOUR, 0], id="an hour to and fro"),
        pytest.param([[0, 2 * DAY], [0, -2 * DAY], 0], id="jumps in the middle of syncs"),
    ],
)
def test_a_clock_that_jumps_hides_no_row_from_the_syncs_that_follow(
    scenario: Scenario, clocks: list[float | list[float]]
) -> None:
    draw = Random(7)
    destination = scenario.destination(*scenario.connector.streams)
    for clock in clocks:
        outcome = scenario.sync(destination, clock=clock, **FORKED)
        assert outcome.code == 0, outcome.errors
        for _ in range(4):
            scenario.connector.happen(draw)
    assert scenario.sync(destination, **FORKED).code == 0
    assert scenario.connector.differences(destination.held) == {}


def test_a_slow_reader_gets_every_row_and_the_connector_waits_for_it_in_little_memory(
    kind: type[ConnectorUnderTest], make_scenario: MakeScenario, console_script: ConsoleScript
) -> None:
    scenario = make_scenario(kind, rows=LARGE_ROWS[kind.name], paged=False)
    destination = scenario.destination(kind.long_stream)
    outcome = scenario.sync(destination, launcher=console_script, pace=Pace(rest=0.01))
    assert outcome.code == 0, outcome.errors
    assert outcome.torn == b""
    assert 0 < outcome.peak_kilobytes < MEMORY_LIMIT_KILOBYTES
    assert scenario.connector.differences(destination.held, [kind.long_stream]) == {}


def test_a_reader_that_closes_early_ends_the_connector_quietly_and_the_next_sync_is_whole(
    scenario: Scenario, console_script: ConsoleScript
) -> None:
    destination = scenario.destination(*scenario.connector.short_streams)
    outcome = scenario.sync(destination, launcher=console_script, pace=Pace(size=PAGE, close_after=20_000))
    assert outcome.code not in (0, -9)
    assert outcome.stderr == ""
    assert scenario.sync(destination, **FORKED).code == 0
    assert scenario.connector.differences(destination.held, scenario.connector.short_streams) == {}
