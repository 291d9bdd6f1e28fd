"""All streams of one subscription at a time, as Pendo's documentation has it and as clients in production see it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from event_rows import SINCE
from pendo_reader import PENDO_STREAMS, STREAM_NAMES, instant
from simulators.faults import Fault
from whole_truth import ACTIVITY, as_multiset, expected, held

if TYPE_CHECKING:
    from pendo_reader import Subscription
    from test_kit.messages import Output


def assert_equal_to_the_truth(pendo: Subscription, syncs: list[Output], period: str, since: str = SINCE) -> None:
    """Every column and every value of every stream is the truth's, under keys that are all different."""
    catalog = {stream.name: stream for stream in pendo.discover(period=period).streams}
    assert list(catalog) == STREAM_NAMES
    for name, stream in catalog.items():
        key = [path[0] for path in stream.source_defined_primary_key or []]
        incremental = bool(stream.default_cursor_field)
        options = {"since": since} if name in ACTIVITY else {}
        truth = pendo.truth(name, **options, **({"period": period} if name in ACTIVITY else {}))
        if name == "visitor_history":
            truth = [row for row in truth if instant(row["ts"]) >= since]
        rows = held(name, key, incremental, syncs)
        wanted = as_multiset(expected(name, row, stream.json_schema) for row in truth)
        found = as_multiset(rows)
        assert not wanted - found, name
        assert not found - wanted, name
        assert len(rows) == len(truth) > 0, name
        if rows[0].get("raw") is not None:
            assert as_multiset(row["raw"] for row in rows) == as_multiset(truth), name


def change_everything(pendo: Subscription) -> None:
    pass


@pytest.mark.slow
@pytest.mark.parametrize("period", ["day", "hour"])
@pytest.mark.parametrize("rules", ["documented", "observed"])
def test_a_warehouse_of_all_streams_ends_equal_to_the_truth(pendo: Subscription, rules: str, period: str) -> None:
    pendo.sim.mutate("switch", rules=rules)
    syncs = [pendo.read(*STREAM_NAMES, period=period)]
    assert syncs[0].failures == {}
    assert_equal_to_the_truth(pendo, syncs, period)
