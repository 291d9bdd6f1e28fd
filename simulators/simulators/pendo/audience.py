"""Who does something on a day: how engaged each visitor is, how far each one comes, and how busy a day is.

All of it is invented. Few visitors do much and many do little. Whoever comes to a later step has taken the ones before:
everybody sees pages, fewer use features, fewer still see guides, and fewest answer polls. Nobody does anything before
the first or after the last visit, as long as that can be had. On weekends less happens.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from datetime import date
from itertools import accumulate
from typing import Any, TypeVar

from simulators.pendo.periods import DAY_MS
from simulators.server import Row

_REACH = {"trackEvents": 0.8, "featureEvents": 0.7, "guideEvents": 0.5, "pollEvents": 0.25}
"""The share of the visitors who ever do something in a source; all of them in the others."""

_WEEKDAYS = (1.0, 1.12, 1.08, 1.02, 0.86, 0.38, 0.32)
"""Sessions of a day in relation to a Monday, from Monday on."""

_STILL_ACTIVE = 20 * DAY_MS
"""Who was there so long before the simulated present comes again after it."""

_TRIES = 30
T = TypeVar("T")


def distance(visitor_id: str) -> float:
    """From 0 for the most engaged visitor to 1. It depends on the id alone, so it is the same in every source."""
    return zlib.crc32(visitor_id.encode("utf-8", "surrogatepass")) / (1 << 32)


def busyness(day: date) -> float:
    """Sessions of a day in relation to a usual Monday. It varies a little from week to week."""
    return _WEEKDAYS[day.weekday()] * (0.9 + zlib.crc32(day.isoformat().encode()) % 21 / 100)


def popular(rng: random.Random, items: Sequence[T]) -> T:
    """One of the items. The first ones are chosen more often than the last ones."""
    return rng.choices(items, [1 / (3 + place) for place in range(len(items))])[0]


class Audience:
    """The visitors of a subscription, from whom the activity of a day is drawn. `now` is the first present."""

    def __init__(self, visitors: Sequence[Row], now: int) -> None:
        self._now = now
        self._lives = {row["visitorId"]: _life(row) for row in visitors}
        self._by_reach: dict[float, tuple[list[str], list[float]]] = {}

    def pick(self, rng: random.Random, source: str, day: int) -> str:
        """The id of a visitor who does something in a source on a day (its local midnight)."""
        ids, weights = self._reached(_REACH.get(source, 1.0))
        visitor = ids[0]
        for _ in range(_TRIES):
            visitor = rng.choices(ids, cum_weights=weights)[0]
            if self._is_there(visitor, day):
                break
        return visitor

    def _reached(self, reach: float) -> tuple[list[str], list[float]]:
        found = self._by_reach.get(reach)
        if found is None:
            ids = [visitor for visitor in self._lives if distance(f"reach/{visitor}") < reach] or list(self._lives)
            found = ids, list(accumulate(1 / (0.08 + distance(visitor)) for visitor in ids))
            self._by_reach[reach] = found
        return found

    def _is_there(self, visitor: str, day: int) -> bool:
        first, last = self._lives[visitor]
        if day > self._now:
            return last > self._now - _STILL_ACTIVE
        return first < day + DAY_MS and day <= last


def _life(visitor: Row) -> tuple[int, int]:
    """The first and the last visit; without metadata the visitor may always have been there."""
    auto: dict[str, Any] = (visitor["metadata"] or {}).get("auto") or {}
    return int(auto.get("firstvisit", 0)), int(auto.get("lastvisit", 1 << 62))
