"""A read starts no process, and one that is stopped during downloads leaves no file on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from heap_world import Heap, put_event
from simulators.faults import Fault
from test_kit.catalogs import configured_stream
from test_kit.command import arguments

_CODE = "from source_kit.cli import command; command('source_heap.source', 'SourceHeap')"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_read_starts_no_process_and_leaves_no_file_when_it_is_ended(
    heap: Heap, tmp_path: Path, number: signal.Signals
) -> None:
    put_event(heap, 1, range(20_000))
    catalog = {"streams": [configured_stream(heap.discover().stream("event"))]}
    heap.server.faults.add(Fault("drip", path=r"\.avro", seconds=0.1, at=50_000, times=-1))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    argv = arguments(tmp_path, "read", (), {"config": heap.config(num_workers=3), "catalog": catalog})
    with subprocess.Popen(
        [sys.executable, "-c", _CODE, *argv],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        within(120, lambda: _bytes_on_disk(child.pid, temporary) >= 50_000)
        assert _children(child.pid) == []
        os.killpg(child.pid, number)  # as a terminal does it
        _, errors = child.communicate(timeout=20)
    assert child.returncode in (-number, 128 + number)
    assert errors == b""
    assert list(temporary.rglob("*")) == []


def within(seconds: float, holds: Callable[[], bool]) -> None:
    """Waits until something holds; fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not come about within {seconds} s"
        time.sleep(0.05)


def _bytes_on_disk(pid: int, folder: Path) -> int:
    """What a process has written to files of a folder that have no name there."""
    size = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()).startswith(str(folder)):
                size += descriptor.stat().st_size
        except OSError:
            continue  # closed in the meantime
    return size


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
