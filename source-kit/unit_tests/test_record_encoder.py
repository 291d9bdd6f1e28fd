"""Every record becomes one line of valid JSON, with any content."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from airbyte_cdk.models import StreamDescriptor
from hypothesis import given
from hypothesis import strategies as st
from source_kit.output import RecordEncoder, state_message

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), min_size=1, max_size=5))
def test_any_record_is_one_line_of_strict_json(rows: list[dict[str, Any]]) -> None:
    batch = RecordEncoder("s")(rows)
    lines = batch.lines.split(b"\n")
    assert lines.pop() == b""
    assert batch.count == len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        orjson.loads(line)
        message = json.loads(line)
        assert message["type"] == "RECORD"
        assert message["record"]["stream"] == "s"
        assert list(message["record"]["data"]) == list(row)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**70, str(2**70)),
        (float("nan"), "null"),
        ([2**70, float("inf")], f"[{2**70},null]"),
        ("\ud800x", '"\ufffdx"'),
        (Decimal("1.50"), '"1.50"'),
        (datetime(2026, 3, 1, tzinfo=UTC), '"2026-03-01T00:00:00+00:00"'),
        (date(2026, 3, 1), '"2026-03-01"'),
        ({1: "a"}, '{"1":"a"}'),
    ],
)
def test_what_orjson_refuses_is_written(value: Any, text: str) -> None:
    line = RecordEncoder("s")([{"v": value}]).lines.decode()
    assert line.endswith('"data":{"v":' + text + "}}}\n")


def test_a_state_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        state_message(StreamDescriptor(name="s"), {"at": object()})
