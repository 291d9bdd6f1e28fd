"""Rows that are passed on as they came."""

from __future__ import annotations

import orjson
from source_kit.raw_rows import RawRows, joined


def rows_from(first: int, count: int) -> RawRows:
    rows = [{"id": str(n), "created": n} for n in range(first, first + count)]
    columns = {name: [row[name] for row in rows] for name in ("id", "created")}
    return RawRows(list(map(orjson.dumps, rows)), columns)


def test_rows_are_chosen() -> None:
    chosen = rows_from(1, 5).where([True, False, False, True, False])
    assert len(chosen) == 2
    assert chosen.columns == {"id": ["1", "4"], "created": [1, 4]}
    assert chosen.decoded() == [{"id": "1", "created": 1}, {"id": "4", "created": 4}]


def test_parts_are_joined() -> None:
    both = joined([rows_from(1, 2), rows_from(3, 1)])
    assert isinstance(both, RawRows)
    assert both.columns == {"id": ["1", "2", "3"], "created": [1, 2, 3]}
    assert both.decoded() == rows_from(1, 3).decoded()
    mixed = joined([rows_from(1, 1), [{"other": 1}], rows_from(2, 1)])
    assert mixed == [{"id": "1", "created": 1}, {"other": 1}, {"id": "2", "created": 2}]
