"""Entry point of the command `source-heap`."""

from __future__ import annotations

from source_kit.command import command


def run() -> None:
    """Runs one of Airbyte's verbs and exits with its code."""
    command("source_heap.source", "SourceHeap")
