"""A state that lies in the future is warned of by every stream that has a state, whatever its shape."""

from __future__ import annotations

from typing import Any

import pytest
from source_customerio import SourceCustomerio

CONFIG = {"app_api_key": "key", "esp_suppression_domains": ["example.com"]}
STREAMS = {stream.name: stream for stream in SourceCustomerio().streams(CONFIG) if stream.cursor_field}
CENTURY = 4102444800


@pytest.mark.parametrize("name", sorted(STREAMS))
@pytest.mark.parametrize("far", [CENTURY, str(CENTURY), float(CENTURY)])
def test_the_cursor_of_every_stream_is_understood(name: str, far: Any) -> None:
    stream: Any = STREAMS[name]
    assert max(stream.reached({stream.cursor_field: far})).year == 2100
    assert max(stream.reached({stream.cursor_field: 1, "parents": {"7": far}})).year == 2100
    assert list(stream.reached({})) == []
