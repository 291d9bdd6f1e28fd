"""A drawing of what joins what: for each vendor a few tables and the columns by which they join.

Every join is one of the key diagrams of docs/pendo.md, docs/customerio.md and docs/heap.md, which have all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Join = tuple[str, str, str, str]

#: By schema: a table, its column, the table that refers to it, and the column there
JOINS: dict[str, list[Join]] = {
    "pendo": [
        ("accounts", "account_id", "page_events", "account_id"),
        ("visitors", "visitor_id", "page_events", "visitor_id"),
        ("pages", "id", "page_events", "page_id"),
        ("visitors", "visitor_id", "feature_events", "visitor_id"),
        ("features", "id", "feature_events", "feature_id"),
        ("visitors", "visitor_id", "guide_events", "visitor_id"),
        ("guides", "id", "guide_events", "guide_id"),
        ("guides", "id", "poll_events", "guide_id"),
    ],
    "customerio": [
        ("customers", "cio_id", "segment_memberships", "cio_id"),
        ("segments", "id", "segment_memberships", "segment_id"),
        ("customers", "cio_id", "messages", "customer_identifiers.cio_id"),
        ("campaigns", "id", "messages", "campaign_id"),
        ("newsletters", "id", "messages", "newsletter_id"),
        ("campaigns", "id", "campaign_metrics", "campaign_id"),
        ("newsletters", "id", "newsletter_metrics", "newsletter_id"),
    ],
    "heap": [
        ("users", "user_id", "user_migrations", "from_user_id"),
        ("users", "user_id", "user_migrations", "to_user_id"),
        ("users", "user_id", "pageviews", "user_id"),
        ("sessions", "session_id", "pageviews", "session_id"),
        ("users", "user_id", "events", "user_id"),
        ("sessions", "session_id", "events", "session_id"),
    ],
}
WIDTH = 360
_LEFT, _RIGHT = (1, 112), (194, 359)
_TITLE, _ROW, _GAP = 24, 18, 16


@dataclass(frozen=True)
class Box:
    """A table with the columns that take part, in pixels."""

    name: str
    x: int
    y: float
    width: int
    height: int
    columns: list[tuple[str, float]]
    """Each with the height of its middle."""


@dataclass(frozen=True)
class Drawing:
    """The boxes of one vendor, and the curves between columns."""

    schema: str
    height: float
    boxes: list[Box]
    curves: list[str]
    sentences: list[str]
    """The same in words, for those who do not see it."""


def drawings() -> list[Drawing]:
    """One for each vendor."""
    return [_drawing(schema, joins) for schema, joins in JOINS.items()]


def _drawing(schema: str, joins: Sequence[Join]) -> Drawing:
    parents: dict[str, list[str]] = {}
    children: dict[str, list[str]] = {}
    for parent, key, child, column in joins:
        _add(parents, parent, key)
        _add(children, child, column)
    height = max(_height(parents, _GAP), _height(children, _GAP))
    boxes = [*_column(parents, _LEFT, height), *_column(children, _RIGHT, height)]
    middles = {(box.name, column): y for box in boxes for column, y in box.columns}
    half = (_LEFT[1] + _RIGHT[0]) / 2
    curves = []
    for parent, key, child, column in joins:
        start, end = middles[parent, key], middles[child, column]
        curves.append(f"M{_LEFT[1]} {start:g}C{half:g} {start:g} {half:g} {end:g} {_RIGHT[0]} {end:g}")
    sentences = [f"{child}.{column} is {parent}.{key}" for parent, key, child, column in joins]
    return Drawing(schema, height, boxes, curves, sentences)


def _add(tables: dict[str, list[str]], table: str, column: str) -> None:
    columns = tables.setdefault(table, [])
    if column not in columns:
        columns.append(column)


def _height(tables: dict[str, list[str]], gap: float) -> float:
    return sum(_TITLE + _ROW * len(columns) + 4 for columns in tables.values()) + gap * (len(tables) - 1) + 2


def _column(tables: dict[str, list[str]], sides: tuple[int, int], height: float) -> list[Box]:
    """Boxes below each other, spread over the height."""
    free = height - _height(tables, 0)
    gap = free / (len(tables) - 1) if len(tables) > 1 else 0
    boxes, y = [], 1.0
    for name, columns in tables.items():
        size = _TITLE + _ROW * len(columns) + 4
        middles = [(column, y + _TITLE + _ROW * place + _ROW / 2) for place, column in enumerate(columns)]
        boxes.append(Box(name, sides[0], y, sides[1] - sides[0], size, middles))
        y += size + gap
    return boxes
