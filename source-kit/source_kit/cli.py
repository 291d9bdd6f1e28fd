"""What a connector's command does. Imports only the standard library, since it looks after the imports of the rest."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

#: Container objects made and not freed, before the collector looks for cycles
_GARBAGE_OBJECTS = 50_000


def command(module: str, source: str) -> NoReturn:
    """Runs one of Airbyte's verbs with the process's arguments and ends with its exit code.

    `module` and `source` name the connector's class. Nothing that is imported is ever garbage, and the memory is given
    back as a whole at the end, so the collector need not look at either: 0.15 seconds of each command.
    """
    open_standard_descriptors()
    if os.getpid() == 1:
        # The kernel keeps from a container's first process what it has no handler for: the platform would wait in vain.
        signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell ignores it for what runs in its background
        signal.signal(signal.SIGINT, _leave)
    with rare_garbage_collection():
        make_source = getattr(import_module(module), source)
        launch = import_module("source_kit.run").launch
    gc.freeze()
    code = launch(make_source, sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def _leave(number: int, _: object) -> NoReturn:
    """Ends the process as a shell reports it. Nothing is left to tidy up: temporary files have no names."""
    os._exit(128 + number)


def open_standard_descriptors() -> None:
    """Opens the null device where stdin, stdout or stderr is closed, as some supervisors leave them (`<&-`).

    Else the next pipe or file gets the number 0, 1 or 2, and a child process's own stdin or stdout covers it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest free number, which is this
            stream = open(descriptor, "w" if descriptor else "r", closefd=False)  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Records are trees without cycles: looking through them for cycles took a tenth of the CPU time of a read."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
