"""Without the compiled module a sync of lists says once that it is slow and what to do; its rows are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from source_customerio import raw_decoder

if TYPE_CHECKING:
    from conftest import Workspace

SLOW = "Lists are read slowly, by Python, since the connector's compiled module cannot be loaded"
TO_DO = "Install source-customerio from a wheel for this system, or again where there is a C compiler."


def test_a_sync_of_lists_without_the_module_says_so_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_decoder, "MISSING", "no module\n named native " + "x" * 500)
    [line] = workspace.sync("messages", "campaigns", "activities").logged(SLOW)
    assert line.startswith(f"WARN: {SLOW} (no module named native xxx")
    assert line.endswith(TO_DO)
    assert len(line) < 500
    assert workspace.sync("customers", "campaign_actions").logged(SLOW) == []


def test_rows_and_states_are_the_same_either_way(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = workspace.sync("messages", "campaigns", "activities", "collections", num_workers=1)
    monkeypatch.setattr(raw_decoder, "MISSING", "not installed")
    second = workspace.sync("messages", "campaigns", "activities", "collections", num_workers=1)
    assert second.records == first.records
    assert all(second.records[name] for name in ("messages", "campaigns", "activities", "collections"))
    assert second.states.keys() == first.states.keys()
    assert second.states["campaigns"] == first.states["campaigns"]  # the others end at the clock
