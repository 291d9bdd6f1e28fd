"""Connectors as processes: started by their command line, read slowly or fast, killed on the way."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

#: A pipe of one page, so that a connector is never far ahead of its reader
SMALL_PIPE = 4096
_PIECE = 65_536
_NEVER = float("inf")
_BIN = Path(sys.executable).parent


@dataclass
class Outcome:
    """What came out of a run. `torn` is what followed the last whole line."""

    code: int
    lines: list[bytes]
    torn: bytes
    seconds: float
    stderr: str
    killed: bool
    peak_kilobytes: int = 0

    def messages(self) -> list[dict[str, Any]]:
        """The lines, decoded. Every one must be a JSON object with a type."""
        return [json.loads(line) for line in self.lines]

    def errors(self) -> list[dict[str, Any]]:
        """The error traces."""
        return [
            message["trace"]["error"]
            for message in self.messages()
            if message["type"] == "TRACE" and message["trace"]["type"] == "ERROR"
        ]

    def statuses(self) -> dict[str, str]:
        """The last status of every stream."""
        found = {}
        for message in self.messages():
            if message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
                status = message["trace"]["stream_status"]
                found[status["stream_descriptor"]["name"]] = status["status"]
        return found


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
        """See the two below."""


class CommandLine:
    """The console script, as it is installed."""

    def __init__(self, connector: str, **popen: Any) -> None:
        self._command = str(_BIN / connector)
        self._popen = popen

    def start(self, argv: Sequence[str], **settings: Any) -> Running:
        """Start it; there are no settings but the options that `subprocess.Popen` was to get."""
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `watch`
        process = subprocess.Popen(
            [self._command, *argv], stdout=subprocess.PIPE, stderr=stderr, **{**self._popen, **settings}
        )
        assert process.stdout is not None
        return Running(process.pid, process.stdout, stderr, process.wait)


class Preloaded:
    """Runs of one connector, forked from one process that has imported it (`preloaded.py`). One run at a time."""

    def __init__(self, connector: str, **environment: str) -> None:
        self._orders, theirs = socket.socketpair()
        script = str(Path(__file__).with_name("preloaded.py"))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, script, connector.replace("-", "_"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
            )
        self._answers = self._orders.makefile("rb")

    def start(self, argv: Sequence[str], **settings: Any) -> Running:
        """Fork a run; the settings are those of `preloaded.py`."""
        reading, writing = os.pipe()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `watch`
        order = json.dumps({"argv": list(argv), "settings": settings}).encode()
        socket.send_fds(self._orders, [order], [writing, stderr.fileno()])
        os.close(writing)
        pid = int(self._answers.readline())
        return Running(pid, os.fdopen(reading, "rb"), stderr, lambda: int(self._answers.readline()))

    def close(self) -> None:
        """End the process."""
        self._answers.close()
        self._orders.close()
        self._process.wait(timeout=10)


@dataclass(frozen=True)
class Crash:
    """When a run is ended from outside: after so many bytes of output or so many seconds, whichever comes first.

    `reads_on`: what the connector had written by then is still read, as a pipe keeps it; otherwise the reader dies with
    it, in the middle of a line.
    """

    after_bytes: float = _NEVER
    after_seconds: float = _NEVER
    reads_on: bool = True
    by: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Pace:
    """A reader that takes `piece` bytes and then rests for `rest` seconds. It closes its end after `close_after`."""

    piece: int = _PIECE
    rest: float = 0.0
    close_after: float = _NEVER


@dataclass
class Meanwhile:
    """Something to do once, when the first `after_bytes` of the output were read."""

    after_bytes: int
    action: Callable[[], None]
    done: bool = False

    def look(self, size: int) -> None:
        """Do it if it is time."""
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
    *lines, torn = bytes(output).split(b"\n")
    return Outcome(code, lines, torn, time.monotonic() - running.began, text, killed, peak)


def _read(running: Running, crash: Crash, pace: Pace, meanwhile: Meanwhile) -> tuple[bytearray, bool, int]:
    """The output, whether the run was crashed, and the most memory that was seen."""
    output = bytearray()
    killed, peak = False, 0
    number = running.stdout.fileno()
    while len(output) < pace.close_after:
        left = _NEVER if killed else running.began + crash.after_seconds - time.monotonic()
        room = _PIECE if killed or crash.after_bytes == _NEVER else int(crash.after_bytes) - len(output)
        if left <= 0 or room <= 0:
            os.kill(running.pid, crash.by)
            killed = True
            if not crash.reads_on:
                break
        elif _readable(number, min(left, 1.0)):
            piece = os.read(number, min(pace.piece, room))
            if not piece:
                break
            output += piece
            meanwhile.look(len(output))
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


def written(path: Path, document: Mapping[str, Any] | Sequence[Any]) -> str:
    """A JSON file for the command line; its name."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def _readable(number: int, seconds: float) -> bool:
    """Whether something can be read within `seconds`; `select` would refuse descriptors above 1,023."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
