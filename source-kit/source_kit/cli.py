"""A connector's command: Airbyte's verbs, exit codes, signals, descriptors.

It imports only the standard library until `command` runs: signals are handled before the rest is imported, `spec` does
without the CDK, and the other commands import the CDK lazily.
"""

from __future__ import annotations

import codecs
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from source_kit.source import Source

#: The garbage collector runs when this many more objects were made than freed.
_GARBAGE_OBJECTS = 50_000
#: glibc's `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD`, and the bytes from which on it returns a freed block, and what is
#: free at the end of a heap, to the system
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _LARGE_BLOCK = -3, -1, 4 * 1024 * 1024


def command(module: str, source: str) -> NoReturn:
    """Runs one of Airbyte's verbs with the arguments of the process, and ends with its exit code.

    `module` and `source` name the connector's class. The garbage collector does not run while modules are imported,
    which leave little for it, and ignores them and what is left at the end: that saves 0.15 seconds of each command.
    """
    open_standard_descriptors()
    if os.getpid() == 1:
        # The first process of a container gets only signals with a handler: without one, the platform waits in vain.
        signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # which shells set for commands in the background
        signal.signal(signal.SIGINT, _leave)
    args = sys.argv[1:]
    if args[:1] == ["--"]:  # Meltano's tap-airbyte puts it before the verb, and argparse of Python 3.11 refuses it
        args = args[1:]
    # Any further argument, such as --debug and --help, is the CDK's.
    code = _print_specification(module.partition(".")[0]) if args == ["spec"] else None
    if code is None:
        gc.disable()
        try:
            import_module("source_kit.cdk.lazy_import").import_lazily()
            make_source = getattr(import_module(module), source)
            import_module("source_kit.cdk.entry_point")
            gc.freeze()
        finally:
            gc.enable()
        code = launch(make_source, args)
    gc.freeze()
    sys.exit(code)


def _print_specification(package: str) -> int | None:
    """Prints the package's specification without the CDK and returns the exit code; None if that needs the CDK."""
    if os.environ.get("LOG_LEVEL", "").lower() == "debug":  # Airbyte's variable: there is a debug log, too
        return None
    line = import_module("source_kit.specification").specification_line(package)
    if line is None:
        return None
    try:
        stdout = open(1, "wb", closefd=False)  # noqa: SIM115 - what could not be written must not fail again
        stdout.write(line)
        stdout.flush()
    except OSError as error:
        return _output_lost(error)
    return 0


def launch(make_source: Callable[[], Source[Any]], args: Sequence[str]) -> int:
    """Runs one of Airbyte's verbs and returns the exit code.

    Every failure is a TRACE with a sentence, also for files that cannot be read. What a library prints goes to stderr,
    since stdout belongs to the protocol.
    """
    import logging

    from airbyte_cdk.exception_handler import init_uncaught_exception_handler
    from airbyte_cdk.logger import init_logger

    from source_kit.cdk.entry_point import BatchEntrypoint
    from source_kit.output import OutputLost

    _use_utf8()
    _give_back_large_blocks()
    logging.raiseExceptions = False  # a log line that nobody can read any more needs no stack trace
    logger = init_logger("airbyte")
    init_uncaught_exception_handler(logger)
    entrypoint = BatchEntrypoint(make_source())
    parsed = BatchEntrypoint.parse_args(list(args))
    if not parsed.command:
        with redirect_stdout(sys.stderr), suppress(SystemExit):
            BatchEntrypoint.parse_args(["--help"])
        return 2  # as argparse answers any other wrong command line
    try:
        with redirect_stdout(sys.stderr), rare_garbage_collection():
            return entrypoint.launch(parsed)
    except OutputLost as lost:
        return _output_lost(lost.__cause__)


def _output_lost(error: BaseException | None) -> int:
    """Says on stderr why nothing more can be written to stdout, and returns the exit code."""
    # The reader has no state for rows that it did not get. What is buffered must not fail again at the exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    message = (
        f"The messages cannot be written to stdout ({getattr(error, 'strerror', None) or error}), so the connector "
        "stopped. Give the file or device behind stdout more room, and run it again."
    )
    if not isinstance(error, BrokenPipeError):  # a closed pipe: nobody reads stderr either
        with suppress(OSError):
            sys.stderr.write(f"{message}\n")
    return 1


def _leave(number: int, _: object) -> NoReturn:
    """Ends the process with a shell's exit code for the signal. Temporary files have no names, so none stays."""
    os._exit(128 + number)


def open_standard_descriptors() -> None:
    """Opens the null device if stdin, stdout or stderr is closed, as with some supervisors (`<&-`).

    Else the next pipe or file gets the number 0, 1 or 2, and the stdin or stdout of a child process replaces it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number: this one
            stream = open(descriptor, "w" if descriptor else "r", closefd=False)  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _use_utf8() -> None:
    """Messages are UTF-8 under any locale, also if the process was started with stdout closed."""
    if sys.__stdout__ is None or codecs.lookup(sys.__stdout__.encoding).name != "utf-8":
        with suppress(OSError):
            # not `reconfigure`, which seeks, and stdout may be a pipe by now
            sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Records hold no cycles, and the search for them took a tenth of the CPU time of a read."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _give_back_large_blocks() -> None:
    """Fixes the size from which on glibc returns freed blocks to the system; glibc itself raises it, up to 32 MB.

    Then the heap of each thread keeps the room of large rows: four workers with rows of 15 MB took 346 MB, and 230 MB
    with this (measured, glibc 2.36). Once that size is fixed, glibc returns the end of a heap from 128 KB on, and a
    page's memory is then taken from the system and cleared again for each page. Other C libraries have no such setting.
    """
    with suppress(Exception):
        import ctypes

        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        libc.mallopt(_TRIM_THRESHOLD, _LARGE_BLOCK)
