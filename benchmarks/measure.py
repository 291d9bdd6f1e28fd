"""Runs a command and says what it cost: CPU seconds, wall seconds, peak memory, lines of records."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from test_kit.memory import PeakMemory


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
    assert process.stdout is not None
    with PeakMemory(process.pid, every_seconds=0.1) as memory:
        records = count(process.stdout.fileno(), marker)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
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
    """Occurrences of `marker` in what a pipe delivers, read in large chunks so that the reader costs little."""
    found, tail = 0, b""
    while chunk := os.read(descriptor, 1 << 20):
        text = tail + chunk
        found += text.count(marker)
        tail = text[-(len(marker) - 1) :]
    return found
