"""Without the compiled module a sync of events says once that it is slow and what to do; its rows are the same."""

from __future__ import annotations

import pytest
from pendo_reader import Subscription
from source_pendo import native_records

SLOW = "Events are read slowly, by Python, since the connector's compiled module cannot be loaded"
TO_DO = "Install source-pendo from a wheel for this system, or again where there is a C compiler."


def test_a_sync_of_events_without_the_module_says_so_once(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_records, "MISSING", "no module\n named native " + "x" * 500)
    [line] = pendo.read("page_events", "feature_events").logged(SLOW)
    assert line.startswith(f"WARN: {SLOW} (no module named native xxx")
    assert line.endswith(TO_DO)
    assert len(line) < 500
    assert pendo.read("accounts", "guide_events").logged(SLOW) == []


def test_rows_and_states_are_the_same_either_way(pendo: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pendo.read("page_events", num_workers=1)
    monkeypatch.setattr(native_records, "MISSING", "not installed")
    second = pendo.read("page_events", num_workers=1)
    assert second.records == first.records
    assert second.records["page_events"]
    assert second.states == first.states
