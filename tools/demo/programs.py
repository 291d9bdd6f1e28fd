"""Programs that the demo runs: connectors and webhook-inlet from the virtual environment, and the simulators."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

BIN = Path(sys.executable).parent


class Program(Protocol):
    """A program that runs."""

    @property
    def lines(self) -> Iterable[bytes]:
        """What it writes to stdout."""

    def wait(self) -> int:
        """Its exit code, when it has ended."""


class Place(Protocol):
    """Where connectors and webhook-inlet run. `name` ends the sentence "Connectors run ..."."""

    name: str

    def start(
        self, package: str, arguments: Sequence[str], folders: Mapping[Path, str]
    ) -> AbstractContextManager[Program]:
        """Starts a package's command, and stops it at the end. `folders` are those it needs, with a mode: ro or rw."""

    def path(self, file: Path) -> str:
        """What a file in one of the folders is called there."""


class _Process:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self.lines: Iterable[bytes] = process.stdout

    def wait(self) -> int:
        return self._process.wait()


class Environment:
    """The virtual environment of the workspace."""

    name = "from the virtual environment"

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log

    @contextmanager
    def start(self, package: str, arguments: Sequence[str], folders: Mapping[Path, str]) -> Iterator[Program]:
        """See `Place`. The command may use every folder."""
        with process([str(BIN / package), *arguments], self._log) as started:
            yield started

    def path(self, file: Path) -> str:
        """Its own name."""
        return str(file)


@contextmanager
def process(command: Sequence[str], log: IO[bytes] | None) -> Iterator[_Process]:
    """A process that is stopped at the end. Its stderr goes to the log, if there is one."""
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        yield _Process(started)
    finally:
        started.terminate()
        assert started.stdout is not None
        started.stdout.close()
        started.wait()


def address(program: Program, what: str, *, posts: bool = False) -> str:
    """The address that a server prints when it is ready. With `posts` its webhooks are accepted by then."""
    said: list[str] = []
    for line in program.lines:
        said.append(line.decode())
        found = [text.split("listening on ")[1].strip() for text in said if "listening on " in text]
        if found and (not posts or any("webhooks: " in text for text in said)):
            return found[0]
    sys.exit(f"{what} did not start. The log beside the DuckDB file says why. {''.join(said)}".rstrip())


def simulators(vendor: str, *arguments: str) -> list[str]:
    """The command line of a simulator."""
    return [sys.executable, "-m", "simulators", vendor, *arguments]


@contextmanager
def simulator(*arguments: str) -> Iterator[str]:
    """Runs a simulator in its own process. Yields its address."""
    with process(simulators(*arguments, "--port", "0"), None) as server:
        yield address(server, "the simulator")
