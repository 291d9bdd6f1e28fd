"""Rows of events as text."""

from __future__ import annotations

import pytest
from source_pendo.event_rows import cut


def test_rows_are_cut_as_they_came() -> None:
    assert list(map(bytes, cut('[{"a": 1e5},\n{"é":"},{"}]'.encode()))) == [b'{"a": 1e5}', '{"é":"},{"}'.encode()]


@pytest.mark.parametrize("text", [b"[{}", b"[{},]", b'[{"a":"\xff"}]', b'[{"a":"\xed\xa0\x80"}]'])
def test_what_is_no_json_is_not_cut(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"utf-8|JSON|truncated"):
        cut(text)
