"""Draws what visitors did: hourly rows of the grouped event sources, guide and poll events, and visitor histories.

Some rows become visible days late, under their old day. Some rows keep growing. Data of the future are made at the
start too. They become visible when the clock is advanced.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from simulators.pendo.audience import Audience, popular
from simulators.pendo.definitions import PICKS, Definition
from simulators.pendo.directory import CROWD_VISITOR, DEFAULT_APP, EXCLUDED_VISITOR, MOBILE_APP
from simulators.pendo.events import GROUPED, PROCESSING_MS, Event, Growth, HourlyRow
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar
from simulators.server import Row

_AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Companion/4.2 (iPhone; iOS 17.5)",
)
_SCORES = (1, 1, 1, 1, 1, 2, 3, 6, 9, 8, 6)
"""How often each answer from 0 to 10 is given: promoters outnumber detractors."""
_COMMENTS = ('It is "fine" \\o/', "Saves us an hour a week", "The search is slow", "Please add dark mode", "")
_PLACES = (("US", "ny", 40.7, -74.0), ("DE", "be", 52.5, 13.4), ("JP", "13", 35.7, 139.7), ("", "", 0.0, 0.0))


class ActivityGenerator:
    """Generates activity from a seeded random generator."""

    def __init__(
        self,
        rng: random.Random,
        calendar: Calendar,
        visitors: Sequence[Row],
        definitions: dict[str, list[Definition]],
        now: int,
    ) -> None:
        """`now` is the first simulated present. A visitor's history needs no `visitors`."""
        self._rng = rng
        self._calendar = calendar
        self._audience = Audience(visitors, now)
        self._accounts = {row["visitorId"]: _account_of(row) for row in visitors}
        self._objects = {
            "pageEvents": definitions["pages"],
            "featureEvents": definitions["features"],
            "trackEvents": definitions["trackTypes"],
            "guideEvents": definitions["guides"],
            "pollEvents": [guide for guide in definitions["guides"] if guide.row["polls"]],
        }

    def hourly_rows_of_day(self, source: str, day: int, sessions: int) -> list[HourlyRow]:
        """The rows of one day of a grouped source. `day` is the local midnight."""
        hourly_rows: list[HourlyRow] = []
        for _ in range(sessions):
            hourly_rows += self._session(source, day, self._audience.pick(self._rng, source, day))
        if source == "events":
            # Rows of `events` can be equal in all columns that are not measures (observed on a real account), so each
            # day has one such pair.
            twin = self._session(source, day, self._audience.pick(self._rng, source, day), hours=1)[0]
            events = twin.events + self._rng.choice((0, 1))
            same = HourlyRow(
                twin.identity, twin.hour, twin.visible_at, events, twin.minutes, twin.first, twin.last, copy_number=1
            )
            hourly_rows += [twin, same]
        hourly_rows += self._session(source, day, EXCLUDED_VISITOR, hours=1)
        return hourly_rows

    def hourly_rows_of_one_visitor(self, source: str, day: int, rows: int) -> list[HourlyRow]:
        """This many rows of one visitor in one day. No two of them merge."""
        return [self._session(source, day, CROWD_VISITOR, hours=1)[0] for _ in range(rows)]

    def _session(self, source: str, day: int, visitor: str, hours: int = 0) -> list[HourlyRow]:
        rng = self._rng
        identity = self._identity(source, visitor)
        length = self._calendar.add("day", day, 1) - day
        start = rng.randrange(length // HOUR_MS)
        count = hours or rng.choice((1, 1, 2, 3))
        late = rng.randrange(1, 7) * DAY_MS if rng.random() < 0.06 else 0
        return [
            self._hourly_row(identity, day + hour * HOUR_MS, late)
            for hour in range(start, min(start + count, length // HOUR_MS))
        ]

    def _hourly_row(self, identity: Row, hour: int, late: int) -> HourlyRow:
        rng = self._rng
        first = hour + rng.randrange(HOUR_MS // 2)
        last = first + rng.randrange(HOUR_MS // 3)
        visible_at = hour + PROCESSING_MS + late
        growth: tuple[Growth, ...] = ()
        if rng.random() < 0.12:
            at = visible_at + rng.randrange(1, 7) * DAY_MS
            growth = (Growth(at, 3, rng.randrange(hour, first + 1), rng.randrange(last, hour + HOUR_MS)),)
        clicks = (0, rng.choice((0, 0, 1)), 0, rng.choice((0, 0, 2)))
        return HourlyRow(
            identity, hour, visible_at, rng.randrange(1, 30), rng.randrange(1, 9), first, last, clicks, growth=growth
        )

    def _identity(self, source: str, visitor: str) -> Row:
        rng = self._rng
        id_column = GROUPED[source]
        if source == "events":
            app = rng.choice((DEFAULT_APP, DEFAULT_APP, MOBILE_APP))
            # Both forms are documented. Which rows have which one is not.
            object_id = "allevents" if app == DEFAULT_APP else f"allevents-{app}"
        else:
            definition = popular(rng, self._objects[source])
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
        if source == "trackEvents" and identity["properties"]["size"] == 0:
            identity["server"] = "__apitrackevent__"  # sent by a server (documented)
        if rng.random() < 0.15:
            # Pendo has three forms of "no value": "", null and no column at all (certain). These are the last two.
            identity["accountId"] = None
            del identity["server"]
        return identity

    def _free_form(self, source: str) -> Row:
        """Only page events have page parameters. Only track events have the properties of a `pendo.track` call."""
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

    def events_of_day(self, source: str, day: int, count: int) -> list[Event]:
        """The guide or poll events of one day."""
        events = [self._event(source, day, self._audience.pick(self._rng, source, day)) for _ in range(count)]
        return [*events, self._event(source, day, EXCLUDED_VISITOR)]

    def events_of_one_visitor(self, source: str, day: int, rows: int) -> list[Event]:
        """This many events of one visitor in one day. Half of them share one millisecond."""
        instant = day + 10 * HOUR_MS
        return [self._event(source, day, CROWD_VISITOR, instant if row % 2 else None) for row in range(rows)]

    def _event(self, source: str, day: int, visitor: str, instant: int | None = None) -> Event:
        rng = self._rng
        guide = popular(rng, self._objects[source])
        at = day + rng.randrange(23 * HOUR_MS) if instant is None else instant
        browser_time = at - rng.randrange(2000)
        if instant is None and rng.random() < 0.02:
            # the clock of the visitor's device is wrong: years behind, or days ahead
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
        kind = self._rng.choices(("guideSeen", "guideAdvanced", "guideDismissed", "guideActivity"), (6, 3, 2, 1))[0]
        return {"type": kind, "guideSeenReason": self._rng.choice(("auto", "launcher", "badge"))}

    def _poll_part(self, guide: Row) -> Row:
        poll = self._rng.choice(guide["polls"])
        kind = poll["attributes"]["type"]
        response: Any = {
            "NPSRating": self._rng.choices(range(11), _SCORES)[0],
            "FreeForm": self._rng.choice(_COMMENTS),
            "PickList": self._rng.choices(PICKS, (3, 1))[0],
        }[kind]
        return {"type": "ui:web:pollResponse", "pollId": poll["id"], "pollType": kind, "pollResponse": response}

    def history(self, first: int, last: int, at_most: int) -> list[Row]:
        """What one visitor did, in the form of the history endpoint, oldest first.

        The values of `type` are inferred from one sample. Some activities are followed by a second one in the same
        millisecond that differs in its object only.
        """
        count = self._rng.randrange(at_most + 1)
        rows = [self._history_row(first, last) for _ in range(count)]
        twins = [self._history_row(row["ts"], row["ts"] + 1) for row in rows if self._rng.random() < 0.2]
        return sorted(rows + twins, key=lambda row: int(row["ts"]))

    def visit(self, ts: int) -> Row:
        """One activity of a visitor's history at an instant."""
        return self._history_row(ts, ts + 1)

    def _history_row(self, first: int, last: int) -> Row:
        """One activity. It names its object by id and API call (`uri`), or the address of a page that is not tagged."""
        rng = self._rng
        ts = rng.randrange(first, last)
        seconds = rng.randrange(120)
        row: Row = {"type": "page", "ts": ts, "lastTs": ts + seconds * 1000, "duration": seconds}
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
