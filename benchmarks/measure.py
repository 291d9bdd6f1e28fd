"""Runs a command and measures CPU seconds, wall seconds, peak memory and the number of records."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from test_kit.memory import PeakMemory

_CHUNK_BYTES = 1 << 20
#: Enough for the message with which a connector ends
_END_BYTES = 64 * 1024


class ProgramFailed(RuntimeError):
    """A measured program ended with an error. The text has what it said last."""


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
    with Path(keep or os.devnull).open("wb") as copy, tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(env or {})})
        assert process.stdout is not None
        with PeakMemory(process.pid, every_seconds=0.1) as memory:
            records, end = count(process.stdout.fileno(), marker, copy if keep else None)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            msg = f"{name} ended with {process.returncode}: {last_words(end, errors)}"
            raise ProgramFailed(msg)
    peak = max(memory.peak, kernel_peak(usage))
    cost = Cost(name, records, usage.ru_utime + usage.ru_stime, wall, peak)
    print(f"  {name}: {cost.records:,} records, {cost.cpu:.2f} CPU s, {cost.wall:.2f} s", file=sys.stderr, flush=True)
    return cost


def kernel_peak(usage: resource.struct_rusage) -> int:
    """The peak that the kernel counted for a child, in bytes. 0 if it may be our own, which a child starts with."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(usage.ru_maxrss) * 1024 if usage.ru_maxrss > own else 0


def best(runs: Sequence[Cost]) -> Cost:
    """The run with the least CPU time, because other work on the machine can only add time."""
    return min(runs, key=lambda cost: cost.cpu)


def count(descriptor: int, marker: bytes, copy: BinaryIO | None = None) -> tuple[int, bytes]:
    """Occurrences of `marker` in the output of a pipe, and its end. A reader costs little: it shares the machine."""
    found, overlap, end = 0, len(marker) - 1, b""
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        found += chunk.count(marker)
        if overlap:
            found += (end[-overlap:] + chunk[:overlap]).count(marker)
        end = (end + chunk)[-_END_BYTES:] if len(chunk) < _END_BYTES else chunk[-_END_BYTES:]
        if copy is not None:
            copy.write(chunk)
    return found, end


def last_words(output: bytes, errors: IO[bytes]) -> str:
    """The message of the last TRACE of a connector, or else the last line of stderr."""
    for line in reversed(output.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["trace"]["error"]["message"])[:300]
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
