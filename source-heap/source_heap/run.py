"""Entry point of the command `source-heap`."""

from __future__ import annotations

import signal


def run() -> None:
    """Runs one of Airbyte's verbs and exits with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the command is imported Ctrl-C makes no stack trace

    from source_kit.cli import command

    command("source_heap.source", "SourceHeap")
