"""Draws email events: what Pendo's mails (NPS surveys by mail, campaigns) did at each visitor.

Documented: the source's parameters, the eight event types, and five columns (`type`, `visitorId`, `accountIds`,
`browserTime`, `eventId`). A row has no address, server or URL. The documentation may leave columns out, so a real row
may have more columns; here it has none, not even `appId`. Invented: which mails there are, and the form of `eventId`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulators.pendo.audience import Audience, popular
from simulators.pendo.definitions import Definition, new_id
from simulators.pendo.directory import APPS, CROWD_VISITOR, EXCLUDED_VISITOR
from simulators.pendo.events import PROCESSING_MS, Event
from simulators.pendo.periods import DAY_MS, HOUR_MS
from simulators.server import Row

EVENT_TYPES = ("sent", "delivered", "opened", "clicked", "bounced", "unsubscribed", "complaint", "subscribed")
_WEIGHTS = (40, 38, 16, 4, 2, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class EmailEvent(Event):
    """An email event. `target` holds what only the filters of a query see: app, target and event type."""

    target: Row = field(default_factory=dict)

    @property
    def facts(self) -> Row:
        """The columns and the target together."""
        return self.row | self.target


class EmailGenerator:
    """Generates email events from a seeded random generator."""

    def __init__(self, rng: random.Random, visitors: Sequence[Row], guides: Sequence[Definition], now: int) -> None:
        self._rng = rng
        self._accounts = {row["visitorId"]: _accounts_of(row) for row in visitors}
        self._audience = Audience(visitors, now)
        self._targets = [
            {"appId": guide.app, "targetType": "guide", "targetId": guide.row["id"]}
            for guide in guides
            if guide.row["polls"]
        ]
        self._targets += [{"appId": app["id"], "targetType": "campaign", "targetId": new_id(rng)} for app in APPS]

    def events_of_day(self, day: int, count: int) -> list[Event]:
        """The email events of one day. `day` is the local midnight."""
        events = [self._event(day, self._audience.pick(self._rng, "emailEvents", day)) for _ in range(count)]
        return [*events, self._event(day, EXCLUDED_VISITOR)]

    def events_of_one_visitor(self, day: int, rows: int) -> list[Event]:
        """This many events of one visitor in one day. Half of them share one millisecond."""
        instant = day + 10 * HOUR_MS
        return [self._event(day, CROWD_VISITOR, instant if row % 2 else None) for row in range(rows)]

    def _event(self, day: int, visitor: str, instant: int | None = None) -> Event:
        rng = self._rng
        at = day + rng.randrange(23 * HOUR_MS) if instant is None else instant
        event_type = rng.choices(EVENT_TYPES, _WEIGHTS)[0]
        row: Row = {
            "type": f"email:pendo:{event_type}",
            "visitorId": visitor,
            "accountIds": self._accounts.get(visitor, []),
            "browserTime": at,
            "eventId": new_id(rng),
        }
        late = rng.randrange(1, 7) * DAY_MS if rng.random() < 0.06 else 0
        target = popular(rng, self._targets) | {"eventType": event_type}
        return EmailEvent(row, at, at - at % HOUR_MS + PROCESSING_MS + late, target)


def _accounts_of(visitor: Row) -> list[str]:
    auto = (visitor["metadata"] or {}).get("auto") or {}
    return list(auto.get("accountids", []))
