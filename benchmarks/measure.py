"""Runs a command and measures CPU seconds, wall seconds, peak memory and the number of records."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from test_kit.memory import PeakMemory


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
    assert process.stdout is not None
    with PeakMemory(process.pid, every_seconds=0.1) as memory:
        records = count(process.stdout.fileno(), marker)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
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
