"""A connector as a process: started by its command line, read slowly or fast, killed or interrupted on the way."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from test_kit.messages import Output

#: A pipe of one page, so that a connector is never far ahead of its reader
SMALL_PIPE = 4096
_READ_BYTES = 65_536
_NEVER = float("inf")
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome(Output):
    """What a run wrote that may have been killed: `stdout` has the whole lines, `torn` the bytes after them."""

    torn: bytes = b""
    seconds: float = 0.0
    killed: bool = False
    peak_kilobytes: int = 0

    @property
    def lines(self) -> list[bytes]:
        """The whole lines, without their ends."""
        return self.stdout.split(b"\n")[:-1]


@dataclass
class Running:
    """A run. `wait` blocks for its exit code, negative for a signal."""

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes]
    wait: Callable[[], int]
    began: float = field(default_factory=time.monotonic)

    def peak_kilobytes(self) -> int:
        """The most memory that the process has had; 0 once it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Launcher(Protocol):
    """Starts a connector with a command line."""

    def start(self, argv: Sequence[str], **settings: Any) -> Running:
        """Start it; the settings are those of the launcher."""


class ConsoleScript:
    """The installed console script of a connector."""

    def __init__(self, connector: str, **popen: Any) -> None:
        self._command = str(_BIN / connector)
        self._popen = popen

    def start(self, argv: Sequence[str], **settings: Any) -> Running:
        """Start it; the settings are options of `subprocess.Popen`."""
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `watch`
        process = subprocess.Popen(
            [self._command, *argv], stdout=subprocess.PIPE, stderr=stderr, **{**self._popen, **settings}
        )
        assert process.stdout is not None
        return Running(process.pid, process.stdout, stderr, process.wait)


@dataclass(frozen=True)
class Crash:
    """When a run is ended from outside: after so many bytes of output or so many seconds, whichever comes first.

    With `reads_on` the reader still reads what the pipe holds; without, it stops with the connector, in the middle of a
    line.
    """

    after_bytes: float = _NEVER
    after_seconds: float = _NEVER
    reads_on: bool = True
    by: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Pace:
    """A reader that takes `size` bytes and then rests `rest` seconds; it closes its end after `close_after` bytes."""

    size: int = _READ_BYTES
    rest: float = 0.0
    close_after: float = _NEVER


@dataclass
class Meanwhile:
    """Something to do once, when the first `after_bytes` of the output were read."""

    after_bytes: int
    action: Callable[[], None]
    done: bool = False

    def check(self, size: int) -> None:
        """Do it once enough was read."""
        if not self.done and size >= self.after_bytes:
            self.done = True
            self.action()


def watch(
    running: Running,
    crash: Crash | None = None,
    pace: Pace | None = None,
    meanwhile: Meanwhile | None = None,
    limit: float = 60.0,
) -> Outcome:
    """Read a run's output to its end, or crash it. It is killed, and TimeoutError raised, after `limit` seconds."""
    crash, pace, meanwhile = crash or Crash(), pace or Pace(), meanwhile or Meanwhile(0, lambda: None)
    if crash.after_bytes < _NEVER:
        fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    with running.stderr as stderr:
        with killed_after(running, limit):
            with running.stdout:
                output, killed, peak = _read(running, crash, pace, meanwhile)
            code = running.wait()
        stderr.seek(0)
        text = stderr.read().decode("utf-8", "replace")
    whole = output.rfind(b"\n") + 1
    seconds = time.monotonic() - running.began
    return Outcome(code, bytes(output[:whole]), text, bytes(output[whole:]), seconds, killed, peak)


def _read(running: Running, crash: Crash, pace: Pace, meanwhile: Meanwhile) -> tuple[bytearray, bool, int]:
    """The output, whether the run was crashed, and the most memory that was seen."""
    output = bytearray()
    killed, peak = False, 0
    number = running.stdout.fileno()
    while len(output) < pace.close_after:
        left = _NEVER if killed else running.began + crash.after_seconds - time.monotonic()
        room = _READ_BYTES if killed or crash.after_bytes == _NEVER else int(crash.after_bytes) - len(output)
        if left <= 0 or room <= 0:
            os.kill(running.pid, crash.by)
            killed = True
            if not crash.reads_on:
                break
        elif _readable(number, min(left, 1.0)):
            data = os.read(number, min(pace.size, room))
            if not data:
                break
            output += data
            meanwhile.check(len(output))
            if pace.rest:
                peak = max(peak, running.peak_kilobytes())
                time.sleep(pace.rest)
    return output, killed, peak


@contextmanager
def killed_after(running: Running, seconds: float) -> Iterator[None]:
    """A run that lasts longer is a failed test, not a test run that hangs."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, give_up)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        msg = f"the connector did not end within {seconds:.0f} seconds"
        raise TimeoutError(msg)


def _readable(number: int, seconds: float) -> bool:
    """Whether something can be read within `seconds`; `select` would refuse descriptors above 1,023."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
