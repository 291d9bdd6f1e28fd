"""Entry point of the command `source-heap`."""

from __future__ import annotations

import sys

from source_kit.run import launch

from source_heap.source import SourceHeap


def run() -> None:
    """Runs one of Airbyte's verbs and exits with its code."""
    sys.exit(launch(SourceHeap, sys.argv[1:]))
