"""Makes the toys importable and ends their processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests share kit_toys, and a test folder is no package

from kit_toys import CommandLine


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[CommandLine]:
    """The toy connector's command line."""
    line = CommandLine(tmp_path)
    yield line
    for child in line.children:
        child.close()
