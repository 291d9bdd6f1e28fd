"""Runs a command and measures CPU seconds, wall seconds, peak memory and the number of records."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from test_kit.memory import PeakMemory

_CHUNK_BYTES = 1 << 20


class ProgramFailed(RuntimeError):
    """A measured program ended with an error. The text has the last line of its stderr."""


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


def measure(
    name: str, command: Sequence[str], marker: bytes, env: dict[str, str] | None = None, keep: Path | None = None
) -> Cost:
    """Runs `command` and counts the occurrences of `marker` in its stdout, one for each record.

    All output is read from a pipe, as the platform does, and `keep` is where it is written too. CPU time comes from
    the kernel. Peak memory is sampled for the process and its children together. Raises ProgramFailed.
    """
    with Path(keep or os.devnull).open("wb") as copy, (Path("/tmp") / f"bench-{os.getpid()}.err").open("w+b") as errors:
        Path(errors.name).unlink()
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(env or {})})
        assert process.stdout is not None
        with PeakMemory(process.pid, every_seconds=0.1) as memory:
            records = count(process.stdout.fileno(), marker, copy if keep else None)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            last = (errors.read().decode(errors="replace").strip().splitlines() or ["no message on stderr"])[-1]
            msg = f"{name} ended with {process.returncode}: {last[:300]}"
            raise ProgramFailed(msg)
    peak = max(memory.peak, usage.ru_maxrss * 1024)
    return Cost(name, records, usage.ru_utime + usage.ru_stime, wall, peak)


def best(runs: Sequence[Cost]) -> Cost:
    """The run with the least CPU time, because other work on the machine can only add time."""
    return min(runs, key=lambda cost: cost.cpu)


def count(descriptor: int, marker: bytes, copy: BinaryIO | None = None) -> int:
    """Occurrences of `marker` in the output of a pipe. A reader that costs little: it shares the machine."""
    found, tail = 0, b""
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        found += chunk.count(marker) + (tail + chunk[: len(marker) - 1]).count(marker)
        tail = (tail + chunk[-len(marker) + 1 :])[-len(marker) + 1 :]
        if copy is not None:
            copy.write(chunk)
    return found
