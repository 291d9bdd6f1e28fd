"""What the visitors did: hourly cells behind the grouped event sources, single guide and poll events, and visitor
histories.

Everything has an instant at which it becomes visible. An hour's events are processed at the top of the next hour and
visible a quarter of an hour later (certain: vendor's support article); some come days late, under their old day, and
some cells keep growing. Whatever lies after the simulated present is already made and comes to light as the clock is
advanced.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from simulators.pendo.definitions import Definition
from simulators.pendo.directory import CROWD_VISITOR, DEFAULT_APP, EXCLUDED_VISITOR, MOBILE_APP
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar
from simulators.server import Row

PROCESSING_MS = 75 * 60_000
"""From the start of an hour to the moment at which its events can be read."""

GROUPED = {"events": "pageId", "pageEvents": "pageId", "featureEvents": "featureId", "trackEvents": "trackTypeId"}
"""The grouped sources and the column that holds their object."""

_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Companion/4.2 (iPhone; iOS 17.5)",
)
_PLACES = (("US", "ny", 40.7, -74.0), ("DE", "be", 52.5, 13.4), ("JP", "13", 35.7, 139.7), ("", "", 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Growth:
    """From `at` on a cell has more events, and may reach further back or forth."""

    at: int
    events: int
    first: int
    last: int


@dataclass(slots=True)
class Cell:
    """What one visitor did to one object in one hour of one session: the finest grain of a grouped source.

    `identity` holds all columns but the measures. `twin` keeps apart cells that are equal in all of them, as occurs in
    `events`.
    """

    identity: Row
    hour: int
    visible_at: int
    events: int
    minutes: int
    first: int
    last: int
    clicks: tuple[int, int, int, int] = (0, 0, 0, 0)
    twin: int = 0
    growth: tuple[Growth, ...] = ()

    def key(self) -> tuple[bytes, int]:
        """What two cells must share to be one row of a longer period."""
        try:
            return orjson.dumps(self.identity), self.twin
        except orjson.JSONEncodeError:  # half a letter, see `Mutations.cut_id`
            return json.dumps(self.identity).encode(), self.twin

    def measures(self, now: int) -> Row:
        """The measures as they stand at an instant."""
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
    """Add another cell's measures: counts add up, the times span both."""
    for name in _SUMS:
        into[name] += other[name]
    into["firstTime"] = min(into["firstTime"], other["firstTime"])
    for name in ("lastTime", "lastKeyFrameTimestamp"):
        into[name] = max(into[name], other[name])


@dataclass(frozen=True, slots=True)
class Event:
    """One guide or poll event.

    `at` is when Pendo received it, which decides its bucket; `browserTime` may be far from it.
    """

    row: Row
    at: int
    visible_at: int

    def of(self, visitor_id: str) -> Event:
        """The same event of another visitor."""
        return replace(self, row=self.row | {"visitorId": visitor_id})

    def visible(self, at: int) -> Event:
        """The same event, come to light at another instant."""
        return replace(self, visible_at=at)


class ActivityMaker:
    """Draws activity from a seeded source of chance."""

    def __init__(
        self, rng: random.Random, calendar: Calendar, visitors: Sequence[Row], definitions: dict[str, list[Definition]]
    ) -> None:
        self._rng = rng
        self._calendar = calendar
        self._visitors = [row["visitorId"] for row in visitors]
        self._accounts = {row["visitorId"]: _account_of(row) for row in visitors}
        self._objects = {
            "pageEvents": definitions["pages"],
            "featureEvents": definitions["features"],
            "trackEvents": definitions["trackTypes"],
            "guideEvents": definitions["guides"],
            "pollEvents": [guide for guide in definitions["guides"] if guide.row["polls"]],
        }

    def day_of_cells(self, source: str, day: int, sessions: int) -> list[Cell]:
        """A day of a grouped source. `day` is a local midnight."""
        cells: list[Cell] = []
        for _ in range(sessions):
            cells += self._session(source, day, self._rng.choice(self._visitors))
        if source == "events":
            # the columns of `events` do not tell its rows apart (observed on a real account), so one pair a day shares
            # them all
            twin = self._session(source, day, self._rng.choice(self._visitors), hours=1)[0]
            events = twin.events + self._rng.choice((0, 1))
            same = Cell(twin.identity, twin.hour, twin.visible_at, events, twin.minutes, twin.first, twin.last, twin=1)
            cells += [twin, same]
        cells += self._session(source, day, EXCLUDED_VISITOR, hours=1)
        return cells

    def crowd_of_cells(self, source: str, day: int, rows: int) -> list[Cell]:
        """One visitor with this many rows in a day, none of which merge."""
        return [self._session(source, day, CROWD_VISITOR, hours=1)[0] for _ in range(rows)]

    def _session(self, source: str, day: int, visitor: str, hours: int = 0) -> list[Cell]:
        rng = self._rng
        identity = self._identity(source, visitor)
        length = self._calendar.add("day", day, 1) - day
        start = rng.randrange(length // HOUR_MS)
        count = hours or rng.choice((1, 1, 2, 3))
        late = rng.randrange(1, 7) * DAY_MS if rng.random() < 0.06 else 0
        return [
            self._cell(identity, day + hour * HOUR_MS, late)
            for hour in range(start, min(start + count, length // HOUR_MS))
        ]

    def _cell(self, identity: Row, hour: int, late: int) -> Cell:
        rng = self._rng
        first = hour + rng.randrange(HOUR_MS // 2)
        last = first + rng.randrange(HOUR_MS // 3)
        visible_at = hour + PROCESSING_MS + late
        growth: tuple[Growth, ...] = ()
        if rng.random() < 0.12:
            at = visible_at + rng.randrange(1, 7) * DAY_MS
            growth = (Growth(at, 3, rng.randrange(hour, first + 1), rng.randrange(last, hour + HOUR_MS)),)
        clicks = (0, rng.choice((0, 0, 1)), 0, rng.choice((0, 0, 2)))
        return Cell(
            identity, hour, visible_at, rng.randrange(1, 30), rng.randrange(1, 9), first, last, clicks, growth=growth
        )

    def _identity(self, source: str, visitor: str) -> Row:
        rng = self._rng
        id_column = GROUPED[source]
        if source == "events":
            app, object_id = rng.choice((DEFAULT_APP, DEFAULT_APP, MOBILE_APP)), "allevents"
        else:
            definition = rng.choice(self._objects[source])
            app, object_id = definition.app, definition.row["id"]
        identity: Row = {
            "visitorId": visitor,
            "accountId": self._account(visitor),
            "appId": app,
            id_column: object_id,
            **self._surroundings("server", app),
            "analyticsSessionId": f"s-{rng.getrandbits(32):08x}",
            "tabId": f"t-{rng.getrandbits(32):08x}",
            "recordingId": f"r-{rng.getrandbits(32):08x}" if rng.random() < 0.1 else "",
            "recordingSessionId": "",
            "signatureAgent": "",
        }
        identity |= self._free_form(source)
        if rng.random() < 0.15:
            # empty comes in three forms: "", null and not at all (certain); here the last two
            identity["accountId"] = None
            del identity["server"]
        return identity

    def _free_form(self, source: str) -> Row:
        """Page parameters exist in page events only, the properties of a `pendo.track` call in track events only."""
        rng = self._rng
        if source == "pageEvents":
            return {"parameters": rng.choice(({}, {"parameter": "invoices"}, {"parameter": 'it\'s "new"'}))}
        properties: Row = {"__sg__": {"visitormetadata.agent__plan": "gold"}, "__utm__": {"channel": "Referral"}}
        if source == "trackEvents":
            properties |= {"widgetname": "Save", "size": rng.randrange(5), "Size": "L", "nested": {"a": [1]}}
        return {"properties": properties}

    def _account(self, visitor: str) -> str:
        return self._accounts.get(visitor, "") if self._rng.random() < 0.9 else ""

    def _surroundings(self, server_column: str, app: int) -> Row:
        country, region, latitude, longitude = self._rng.choice(_PLACES)
        return {
            server_column: "" if app == MOBILE_APP else "app.example.com",
            "remoteIp": f"203.0.113.{self._rng.randrange(1, 255)}",
            "userAgent": _AGENTS[2] if app == MOBILE_APP else self._rng.choice(_AGENTS[:2]),
            "country": country,
            "region": region,
            "latitude": latitude,
            "longitude": longitude,
        }

    def day_of_events(self, source: str, day: int, count: int) -> list[Event]:
        """A day of guide or poll events."""
        events = [self._event(source, day, self._rng.choice(self._visitors)) for _ in range(count)]
        return [*events, self._event(source, day, EXCLUDED_VISITOR)]

    def crowd_of_events(self, source: str, day: int, rows: int) -> list[Event]:
        """One visitor with this many events in a day, half of them in one millisecond."""
        instant = day + 10 * HOUR_MS
        return [self._event(source, day, CROWD_VISITOR, instant if row % 2 else None) for row in range(rows)]

    def _event(self, source: str, day: int, visitor: str, instant: int | None = None) -> Event:
        rng = self._rng
        guide = rng.choice(self._objects[source])
        at = day + rng.randrange(23 * HOUR_MS) if instant is None else instant
        browser_time = at - rng.randrange(2000)
        if instant is None and rng.random() < 0.04:
            # the client's clock: years ago, or days ahead
            browser_time = rng.choice((1546300800000, at + 3 * DAY_MS))
        account = self._account(visitor)
        row: Row = {
            "visitorId": visitor,
            "accountId": account,
            "accountIds": [account] if account else [],
            "appId": guide.app,
            "guideId": guide.row["id"],
            "guideStepId": rng.choice(guide.row["steps"])["id"],
            "browserTime": browser_time,
            "guideTimestamp": browser_time,
            "receivedTime": at,
            "loadTime": rng.randrange(3000),
            "url": f"https://app.example.com/home?tab={rng.randrange(1_000_000)}",
            "title": "",
            "language": "en-US",
            **self._surroundings("serverName", guide.app),
            **_EVENT_CONSTANTS,
            "analyticsSessionId": f"s-{rng.getrandbits(32):08x}",
            "tabId": f"t-{rng.getrandbits(32):08x}",
        }
        row |= self._guide_part() if source == "guideEvents" else self._poll_part(guide.row)
        late = rng.randrange(1, 7) * DAY_MS if rng.random() < 0.06 else 0
        return Event(row, at, at - at % HOUR_MS + PROCESSING_MS + late)

    def _guide_part(self) -> Row:
        kind = self._rng.choice(("guideSeen", "guideAdvanced", "guideDismissed", "guideActivity"))
        return {"type": kind, "guideSeenReason": self._rng.choice(("auto", "launcher", "badge"))}

    def _poll_part(self, guide: Row) -> Row:
        poll = self._rng.choice(guide["polls"])
        kind = poll["attributes"]["type"]
        response: Any = {
            "NPSRating": self._rng.randrange(11),
            "FreeForm": 'It is "fine" \\o/',
            "PickList": "003isdx53ctwpf",
        }[kind]
        return {"type": "ui:web:pollResponse", "pollId": poll["id"], "pollType": kind, "pollResponse": response}

    def history(self, first: int, last: int, at_most: int) -> list[Row]:
        """What one visitor did, as the history endpoint tells it, oldest first.

        Values of `type` are inferred from one sample. Some activities have a twin of the same millisecond that differs
        in its object only.
        """
        count = self._rng.randrange(at_most + 1)
        rows = [self._history_row(first, last) for _ in range(count)]
        twins = [self._history_row(row["ts"], row["ts"] + 1) for row in rows if self._rng.random() < 0.2]
        return sorted(rows + twins, key=lambda row: int(row["ts"]))

    def _history_row(self, first: int, last: int) -> Row:
        """An activity: its object by id and API call (`uri`), or the address of a page that is not tagged."""
        rng = self._rng
        ts = rng.randrange(first, last)
        row: Row = {"type": "page", "ts": ts, "lastTs": ts + rng.randrange(2 * HOUR_MS), "duration": rng.randrange(120)}
        chance = rng.random()
        if chance < 0.2:
            row |= {"untaggedUrl": f"https://app.example.com/untagged/{rng.randrange(1000)}", "appId": DEFAULT_APP}
        else:
            kind, source, column = rng.choice(_HISTORY_KINDS)
            definition = rng.choice(self._objects[source])
            object_id = definition.row["id"]
            row |= {"type": kind, column: object_id, "appId": definition.app}
            row["uri"] = f"https://app.pendo.io/api/v1/{kind}?id={object_id}"
            if kind != "page":
                row["lastTs"] = None
        row["parsedUserAgent"] = {"name": "Chrome", "version": "126.0", "os": "Mac OS X"}
        return row


_HISTORY_KINDS = (
    ("page", "pageEvents", "pageId"),
    ("feature", "featureEvents", "featureId"),
    ("tracktype", "trackEvents", "trackTypeId"),
)
_EVENT_CONSTANTS: Row = {
    "elementPath": "BODY",
    "eventId": "",
    "fragment": "",
    "oldVisitorId": "",
    "uiElementId": "",
    "uiElementType": "BUTTON",
    "uiElementText": "",
    "uiElementActions": '[{"action":"advanceGuide"}]',
    "destinationStepId": "",
    "guideStepPollTypes": [],
    "properties": {},
}


def _account_of(visitor: Row) -> str:
    auto = (visitor["metadata"] or {}).get("auto") or {}
    return str(auto.get("accountid", ""))
