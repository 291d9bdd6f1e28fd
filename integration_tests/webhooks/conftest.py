"""Inlets that end with the test, each with a volume of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "s3"))  # `s3_servers` is imported by its name

from s3_servers import MotoServer, moto_server
from webhooks.inlet_process import Inlet, MakeInlet, write_config

BROKEN_CALLS = Path(__file__).resolve().parent / "broken_calls"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def config(tmp_path: Path, volume: Path) -> Path:
    """A configuration with that volume and an inlet for each source."""
    return write_config(tmp_path, {"type": "volume", "path": str(volume)})


@pytest.fixture
def make_inlet(config: Path) -> Iterator[MakeInlet]:
    """`make_inlet(port=..., config=..., broken={...})` starts a process; all are killed at the end."""
    made: list[Inlet] = []

    def make(*, broken: dict[str, str] | None = None, **options: Any) -> Inlet:
        path = os.pathsep.join(filter(None, (str(BROKEN_CALLS), os.environ.get("PYTHONPATH"))))
        environment = {"PYTHONPATH": path, **broken} if broken else {}
        inlet = Inlet(config=options.pop("config", config), environment=environment, **options)
        made.append(inlet.start())
        return inlet

    yield make
    for inlet in made:
        if not inlet.ended():
            inlet.kill()


@pytest.fixture(scope="session")
def webhook_moto() -> Iterator[MotoServer]:
    """A server of buckets for these tests."""
    with moto_server() as server:
        yield server


@pytest.fixture
def bucket(webhook_moto: MotoServer) -> str:
    """An empty bucket."""
    return webhook_moto.new_bucket()
