"""Runs a command and measures CPU seconds, wall seconds, peak memory and the number of records."""

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
    """What a process and all its children used, in seconds and bytes."""

    name: str
    records: int
    cpu: float
    wall: float
    peak_memory: int

    @property
    def records_per_cpu_second(self) -> float:
        """The number to compare. Other work on the machine changes it little."""
        return self.records / self.cpu if self.cpu else 0.0


def measure(name: str, command: Sequence[str], marker: bytes, env: dict[str, str] | None = None) -> Cost:
    """Runs `command` and counts the occurrences of `marker` in its stdout, one for each record.

    CPU time comes from the kernel. Peak memory is sampled for the process and its children together. Raises
    RuntimeError if the command fails.
    """
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
    memory = PeakMemory(process.pid)
    memory.start()
    assert process.stdout is not None
    records = count(process.stdout.fileno(), marker)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    memory.stop()
    if process.returncode != 0:
        msg = f"{name} ended with {process.returncode}"
        raise RuntimeError(msg)
    peak = max(memory.peak, usage.ru_maxrss * 1024)
    return Cost(name, records, usage.ru_utime + usage.ru_stime, wall, peak)


def wall_seconds(command: Sequence[str]) -> float:
    """Wall seconds of a command with its output to /dev/null, so that no reader of the output uses CPU time."""
    start = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start


def count(descriptor: int, marker: bytes) -> int:
    """Occurrences of `marker` in the output of a pipe. Large chunks keep the cost of reading low."""
    found, tail = 0, b""
    while chunk := os.read(descriptor, 1 << 20):
        text = tail + chunk
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
            self.peak = max(self.peak, sum(map(resident, process_tree(self._pid))))

    def stop(self) -> None:
        """Ends the sampling."""
        self._ended.set()
        self.join()


def process_tree(pid: int) -> list[int]:
    """A process and its descendants."""
    pids = [pid]
    for parent in pids:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        if children.exists():
            pids.extend(map(int, children.read_text().split()))
    return pids


def resident(pid: int) -> int:
    """Resident bytes of a process, including memory that it shares with others; 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
