"""A state that lies in the future is warned of by every stream that has a state, by day and by hour."""

from __future__ import annotations

from typing import Any

import pytest
from source_pendo import SourcePendo


@pytest.mark.parametrize("period", ["day", "hour"])
def test_the_cursor_of_every_stream_is_understood(period: str) -> None:
    streams = SourcePendo().streams({"api_key": "key", "period": period})
    incremental: list[Any] = [stream for stream in streams if stream.cursor_field]
    assert len(incremental) > 10
    for stream in incremental:
        for far in ("2100-01-01", "2100-01-01T00:00:00.000Z"):
            state = {stream.cursor_field: far, "version": 1, "period": period}
            assert max(stream.reached(state)).year == 2100, stream.name
        assert list(stream.reached({stream.cursor_field: None, "resume": {"visitor_id": "2100-01-01"}})) == []
