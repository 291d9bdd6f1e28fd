"""Entry point of the command `source-customerio`."""

from __future__ import annotations

import sys

from source_kit.run import launch

from source_customerio.source import SourceCustomerio


def run() -> None:
    """Runs the verb on the command line and exits with its code."""
    sys.exit(launch(SourceCustomerio, sys.argv[1:]))
