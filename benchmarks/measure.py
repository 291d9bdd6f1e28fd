"""Runs a command and says what it cost: CPU seconds, wall seconds, peak memory, lines of records."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What a process, with all its children, used. Seconds; bytes."""

    name: str
    records: int
    cpu: float
    wall: float
    peak_memory: int

    @property
    def records_per_cpu_second(self) -> float:
        """The figure to compare: it does not depend on what else the machine does."""
        return self.records / self.cpu if self.cpu else 0.0


def measure(name: str, command: Sequence[str], marker: bytes, env: dict[str, str] | None = None) -> Cost:
    """Runs `command`, counts the lines of its stdout that hold `marker`, and takes its usage from the kernel.

    Peak memory is sampled over the process and its children, so a pool of workers counts whole.
    Raises RuntimeError when the command fails.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
    memory = PeakMemory(process.pid)
    memory.start()
    assert process.stdout is not None
    records = count(process.stdout.fileno(), marker)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    memory.stop()
    if process.returncode != 0:
        msg = f"{name} ended with {process.returncode}"
        raise RuntimeError(msg)
    peak = max(memory.peak, usage.ru_maxrss * 1024)
    return Cost(name, records, usage.ru_utime + usage.ru_stime, wall, peak)


def wall_alone(command: Sequence[str]) -> float:
    """Wall seconds of a command whose output is thrown away, so that no reader of it takes part of the processors."""
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def count(descriptor: int, marker: bytes) -> int:
    """Occurrences of `marker` in what a pipe delivers, read in large pieces so that the reader costs little."""
    found, tail = 0, b""
    while piece := os.read(descriptor, 1 << 20):
        text = tail + piece
        found += text.count(marker)
        tail = text[-(len(marker) - 1) :]
    return found


class PeakMemory(threading.Thread):
    """Samples the resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        """Samples ten times a second until stopped."""
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, sum(map(resident, family(self._pid))))

    def stop(self) -> None:
        """Ends the sampling."""
        self._ended.set()
        self.join()


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    pids = [pid]
    for parent in pids:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        if children.exists():
            pids.extend(map(int, children.read_text().split()))
    return pids


def resident(pid: int) -> int:
    """Resident bytes of a process that nobody shares with it, plus what it shares; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
