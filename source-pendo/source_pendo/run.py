"""Entry point of the command line."""

from __future__ import annotations

import sys

from source_kit.run import launch

from source_pendo.source import SourcePendo


def run() -> None:
    """Run one of Airbyte's verbs with the process's arguments."""
    sys.exit(launch(SourcePendo, sys.argv[1:]))
