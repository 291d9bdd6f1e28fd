"""Runs a connector's command line to its end, in this process or in another one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from test_kit.messages import Output


def arguments(
    folder: Path, verb: str, flags: Sequence[str], files: Mapping[str, Any], mounted: str | None = None
) -> list[str]:
    """The command line of a verb. `files` (`config`, `catalog`, `state`) become JSON files, one an option.

    A file whose content is None is not written, one that is text is written as it is. `mounted` is where a container
    sees the folder.
    """
    argv = [verb, *flags]
    for option, content in files.items():
        if content is not None:
            path = Path(written(folder / f"{option}.json", content))
            argv += [f"--{option}", f"{mounted}/{path.name}" if mounted else str(path)]
    return argv


def written(path: Path, content: Any) -> str:
    """A JSON file that any user of this machine can read, or raw text; its name."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(0o644)
    return str(path)


def run_here(main: Callable[[Sequence[str]], int], verb: str, *flags: str, **files: Any) -> Output:
    """One verb in this process: `main` gets the arguments and returns the exit code. See `arguments` for the files."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        argv = arguments(Path(folder), verb, flags, files)
        with outputs_into(out, err):
            try:
                code = main(argv)
            except SystemExit as stop:
                code = int(stop.code or 0)
        out.seek(0)
        err.seek(0)
        return Output(code, out.read(), err.read().decode("utf-8", "replace"))


@contextmanager
def specification_read_once(source: type[Any]) -> Iterator[None]:
    """Reading the YAML takes a third of a short run; a suite that runs the command hundreds of times does it once."""
    specification = source().spec(logging.getLogger("airbyte"))
    with patch.object(source, "spec", lambda self, logger: specification):
        yield


def run_process(command: Sequence[str], **settings: Any) -> Output:
    """A process, to its end; one that takes more than two minutes fails the test."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, **settings)
    return Output(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


@contextmanager
def outputs_into(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """What is written to file descriptors 1 and 2 goes into files; what a run changes in the process is undone."""
    loggers = [logging.getLogger(), logging.getLogger("airbyte")]
    hook, handlers, levels = sys.excepthook, loggers[0].handlers[:], [logger.level for logger in loggers]
    _flush()
    kept = [os.dup(1), os.dup(2)]
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    try:
        yield
    finally:
        _flush()
        for number, before in enumerate(kept, start=1):
            os.dup2(before, number)
            os.close(before)
        sys.excepthook, loggers[0].handlers[:] = hook, handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        assert stream is not None
        stream.flush()
