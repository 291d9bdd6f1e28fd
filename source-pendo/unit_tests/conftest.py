"""Fixtures of the unit tests; `pendo_reader` has what they are made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulators.pendo import PendoSimulator
from source_pendo import SourcePendo
from test_kit.command import specification_read_once

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests import `event_rows`, `pendo_reader` by their names

from pendo_reader import QUICK, Subscription, freeze_clock

__all__ = ["Subscription", "freeze_clock"]


@pytest.fixture
def sim() -> Iterator[PendoSimulator]:
    """A fresh tiny subscription; the test fails if the simulator itself does."""
    with PendoSimulator(seed=1, size="tiny") as running:
        yield running
    assert running.errors == []


@pytest.fixture
def pendo(sim: PendoSimulator, monkeypatch: pytest.MonkeyPatch) -> Subscription:
    """The connector on the fresh subscription, its clock frozen at the simulator's present until that is advanced."""
    freeze_clock(sim, monkeypatch)
    return Subscription(sim)


@pytest.fixture(scope="session", autouse=True)
def _specification_read_once() -> Iterator[None]:
    with specification_read_once(SourcePendo):
        yield


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated at once, except in tests that ask for the fixture `real_pace`."""
    if "real_pace" not in request.fixturenames:
        monkeypatch.setattr("source_pendo.client.RETRY_POLICY", QUICK)


@pytest.fixture
def real_pace() -> None:
    """The waits between attempts are the real ones."""
