"""A volume, and how the tests read a store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_inlet.stores.volume import Volume

sys.path.insert(0, str(Path(__file__).parent))  # tests import `store_reading` by its name


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """An open volume in a new folder."""
    opened = Volume(tmp_path / "data")
    opened.open()
    yield opened
    opened.close()
