"""Rows of Pendo's event sources: hourly rows of the grouped sources, and single guide and poll events.

An hour's events are processed at the top of the next hour. They can be read a quarter of an hour later (certain:
vendor's support article).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import orjson

from simulators.server import Row

PROCESSING_MS = 75 * 60_000
"""Time from the start of an hour until its events can be read."""

GROUPED = {"events": "pageId", "pageEvents": "pageId", "featureEvents": "featureId", "trackEvents": "trackTypeId"}
"""The grouped sources, each with the column that holds the id of the page, feature or track type."""


@dataclass(frozen=True, slots=True)
class Growth:
    """From the instant `at` on, an hourly row counts more events, and its first and last time may move apart."""

    at: int
    events: int
    first: int
    last: int


@dataclass(slots=True)
class HourlyRow:
    """What one visitor did with one object in one hour of one session. A grouped source has no smaller unit.

    `identity` holds every column that is not a measure. Rows of `events` can be equal in all of these columns;
    `copy_number` keeps such rows apart.
    """

    identity: Row
    hour: int
    visible_at: int
    events: int
    minutes: int
    first: int
    last: int
    clicks: tuple[int, int, int, int] = (0, 0, 0, 0)
    copy_number: int = 0
    growth: tuple[Growth, ...] = ()

    def key(self) -> tuple[bytes, int]:
        """Rows of a longer period are merged from the hourly rows with the same key."""
        try:
            return orjson.dumps(self.identity), self.copy_number
        except orjson.JSONEncodeError:  # the visitor id ends with half a character, see `Mutations.cut_id`
            return json.dumps(self.identity).encode(), self.copy_number

    def measures(self, now: int) -> Row:
        """The measures as of an instant."""
        grown = [growth for growth in self.growth if growth.at <= now]
        last = max([self.last, *(growth.last for growth in grown)])
        rage, dead, error, turn = self.clicks
        return {
            "numEvents": self.events + sum(growth.events for growth in grown),
            "numMinutes": self.minutes,
            "firstTime": min([self.first, *(growth.first for growth in grown)]),
            "lastTime": last,
            "lastKeyFrameTimestamp": last if self.identity["recordingId"] else 0,
            "rageClickCount": rage,
            "deadClickCount": dead,
            "errorClickCount": error,
            "uTurnCount": turn,
        }


_SUMS = ("numEvents", "numMinutes", "rageClickCount", "deadClickCount", "errorClickCount", "uTurnCount")


def merge_measures(into: Row, other: Row) -> None:
    """Add another row's measures: counts are summed, first and last time span both rows."""
    for name in _SUMS:
        into[name] += other[name]
    into["firstTime"] = min(into["firstTime"], other["firstTime"])
    for name in ("lastTime", "lastKeyFrameTimestamp"):
        into[name] = max(into[name], other[name])


@dataclass(frozen=True, slots=True)
class Event:
    """One guide or poll event.

    `at` is when Pendo received the event. It decides the bucket. `browserTime` can be far from it.
    """

    row: Row
    at: int
    visible_at: int

    @property
    def facts(self) -> Row:
        """The columns that the filters of a query see."""
        return self.row

    def for_visitor(self, visitor_id: str) -> Event:
        """The same event of another visitor."""
        return replace(self, row=self.row | {"visitorId": visitor_id})

    def visible_from(self, at: int) -> Event:
        """The same event, visible from another instant on."""
        return replace(self, visible_at=at)
