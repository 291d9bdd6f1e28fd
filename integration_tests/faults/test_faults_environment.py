"""A full disk, a wrong clock, a reader that is slow or gone: no row is lost, and what is said is to the point."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from faults.processes import CommandLine, Outcome, Pace
from faults.scene import Scene, SceneMaker
from faults.subjects import Heap, Subject

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
    """Leave room for one page."""
    filler = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(filler, bytes(PAGE))
    except OSError:
        os.ftruncate(filler, os.fstat(filler).st_size - PAGE)
    finally:
        os.close(filler)


def expect_no_room(outcome: Outcome, folder: Path) -> None:
    """Streams failed with a sentence about the temporary directory, and nothing but that."""
    assert outcome.code == 1
    assert outcome.errors()
    for error in outcome.errors():
        assert str(folder) in error["message"], error
        assert "larger" in error["message"] or "more space" in error["message"], error
    assert "Traceback" not in outcome.stderr


def test_a_full_disk_fails_with_a_sentence_and_with_room_the_next_sync_is_whole(scene: Scene, full_disk: Path) -> None:
    ledger = scene.ledger()
    outcome = scene.sync(ledger, temporary=str(full_disk), spool_bytes=1_000, **FORKED)
    expect_no_room(outcome, full_disk)
    assert scene.sync(ledger, **FORKED).code == 0
    assert scene.subject.differences(ledger.held) == {}


def test_a_limit_on_the_size_of_files_fails_with_a_sentence_and_without_it_the_next_sync_is_whole(
    scene: Scene, tmp_path: Path
) -> None:
    ledger = scene.ledger()
    outcome = scene.sync(ledger, temporary=str(tmp_path), file_bytes=2_000, spool_bytes=1_000, **FORKED)
    expect_no_room(outcome, tmp_path)
    assert scene.sync(ledger, **FORKED).code == 0
    assert scene.subject.differences(ledger.held) == {}


def test_the_console_script_of_heap_says_when_its_temporary_directory_is_full(
    make_scene: SceneMaker, full_disk: Path
) -> None:
    scene = make_scene(Heap)
    ledger = scene.ledger()
    launcher = CommandLine(Heap.connector, env={**os.environ, "TMPDIR": str(full_disk)})
    expect_no_room(scene.sync(ledger, launcher=launcher), full_disk)
    assert [path.name for path in full_disk.iterdir()] == ["filler"]
    assert scene.sync(ledger, launcher=CommandLine(Heap.connector)).code == 0
    assert scene.subject.differences(ledger.held) == {}


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
    scene: Scene, clocks: list[float | list[float]]
) -> None:
    draw = Random(7)
    ledger = scene.ledger(*scene.subject.streams)
    for clock in clocks:
        outcome = scene.sync(ledger, clock=clock, **FORKED)
        assert outcome.code == 0, outcome.errors()
        for _ in range(4):
            scene.subject.happen(draw)
    assert scene.sync(ledger, **FORKED).code == 0
    assert scene.subject.differences(ledger.held) == {}


def test_a_slow_reader_gets_every_row_and_the_connector_waits_for_it_in_little_memory(
    kind: type[Subject], make_scene: SceneMaker, command_line: CommandLine
) -> None:
    scene = make_scene(kind, rows=LARGE_ROWS[kind.connector], paged=False)
    ledger = scene.ledger(kind.long_stream)
    outcome = scene.sync(ledger, launcher=command_line, pace=Pace(rest=0.01))
    assert outcome.code == 0, outcome.errors()
    assert outcome.torn == b""
    assert 0 < outcome.peak_kilobytes < MEMORY_LIMIT_KILOBYTES
    assert scene.subject.differences(ledger.held, [kind.long_stream]) == {}


def test_a_reader_that_closes_early_ends_the_connector_quietly_and_the_next_sync_is_whole(
    scene: Scene, command_line: CommandLine
) -> None:
    ledger = scene.ledger(*scene.subject.short_streams)
    outcome = scene.sync(ledger, launcher=command_line, pace=Pace(piece=PAGE, close_after=20_000), limit=20)
    assert outcome.code not in (0, -9)
    assert outcome.stderr == ""
    assert scene.sync(ledger, **FORKED).code == 0
    assert scene.subject.differences(ledger.held, scene.subject.short_streams) == {}
