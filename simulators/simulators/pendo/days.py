"""Lets days pass: what one day changes beside the events, which the subscription holds for later days already.

Each day depends on the seed and its number alone. So the same subscription a day later keeps what it had, except what
this day changed. All of it is invented.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from simulators.pendo.activity import ActivityGenerator
from simulators.pendo.definitions import KINDS, Definition
from simulators.pendo.directory import ANONYMOUS_PREFIX
from simulators.pendo.mutations import Mutations
from simulators.pendo.periods import DAY_MS, HOUR_MS
from simulators.pendo.subscription import Subscription
from simulators.server import Row

_NEW_VISITORS = 2
_CHANGED = {"visitors": 4, "accounts": 2}
_EDITED_KINDS = 2
_RETURNING = 0.1
"""The share of the visitors whose history gets a visit."""


def pass_days(subscription: Subscription, mutations: Mutations, days: int) -> None:
    """Move the clock by whole days of 24 hours, one at a time, with what happens on each."""
    # Rows that are made later would be drawn for other visitors.
    _ = subscription.hourly_rows, subscription.events
    for number in range(1, days + 1):
        with subscription.lock:
            _Day(subscription, number).happen(mutations)
            subscription.clear_tables()


class _Day:
    """One day after the present."""

    def __init__(self, subscription: Subscription, number: int) -> None:
        self._subscription = subscription
        self._number = number
        self._rng = random.Random(f"{subscription.seed}/later/{number}")

    def happen(self, mutations: Mutations) -> None:
        before = dict(self._last_visits())
        mutations.run("advance", {"days": 1})
        for place in range(_NEW_VISITORS):
            self._arrive(mutations, f"new{self._number:03}{place}@example.com")
        self._return()
        self._update_who_was_there(before)
        self._change_directory(self._subscription.visitors, _CHANGED["visitors"])
        self._change_directory(self._subscription.accounts, _CHANGED["accounts"])
        for kind in self._rng.sample(KINDS, _EDITED_KINDS):
            self._edit(kind)
        mutations.run("touch_feedback", {"item_id": self._rng.choice(self._subscription.feedback.items).row["id"]})

    def _moment(self) -> int:
        """An instant of this day, early enough that it is processed."""
        return self._subscription.now - self._rng.randrange(2 * HOUR_MS, DAY_MS - HOUR_MS)

    def _arrive(self, mutations: Mutations, visitor_id: str) -> None:
        """A new visitor, who sees a guide at once."""
        mutations.run("add_visitor", {"visitor_id": visitor_id})
        visitors = self._subscription.visitors
        agent = {"email": visitor_id, "name": f"User {len(visitors)}", "language": "en-US", "trial": True}
        visitors[-1] = _with_metadata(visitors[-1], agent=agent, auto={"createdat": self._subscription.now})
        mutations.run("see_guide", {"visitor_id": visitor_id})

    def _last_visits(self) -> Iterator[tuple[str, int | None]]:
        for row in self._subscription.visitors:
            yield row["visitorId"], ((row["metadata"] or {}).get("auto") or {}).get("lastvisit")

    def _update_who_was_there(self, before: Mapping[str, int | None]) -> None:
        """Move `lastupdated`, where there is one, with `lastvisit`. It is not known whether Pendo does."""
        visitors = self._subscription.visitors
        for place, (visitor_id, last) in enumerate(self._last_visits()):
            if (
                visitor_id in before
                and last != before[visitor_id]
                and "lastupdated" in visitors[place]["metadata"]["auto"]
            ):
                visitors[place] = _with_metadata(visitors[place], auto={"lastupdated": self._moment()})

    def _return(self) -> None:
        subscription = self._subscription
        generator = ActivityGenerator(
            self._rng, subscription.calendar, (), subscription.definitions, subscription.first_now
        )
        for position, row in enumerate(subscription.visitors):
            auto = (row["metadata"] or {}).get("auto") or {}
            is_known = "firstvisit" in auto and not row["visitorId"].startswith(ANONYMOUS_PREFIX)
            if is_known and self._rng.random() < _RETURNING:
                visit = generator.visit(self._moment())
                subscription.visits.setdefault(row["visitorId"], []).append(visit)
                last = max(auto.get("lastvisit", 0), visit["ts"])
                subscription.visitors[position] = _with_metadata(row, auto={"lastvisit": last})

    def _change_directory(self, rows: list[Row], count: int) -> None:
        known = [place for place, row in enumerate(rows) if "agent" in (row["metadata"] or {})]
        known = [place for place in known if "lastupdated" in rows[place]["metadata"].get("auto", ())]
        for place in self._rng.sample(known, min(count, len(known))):
            agent = {"plan": "pro"} if "plan" in rows[place]["metadata"]["agent"] else {"trial": False}
            custom = {"score": self._rng.choice((1, 2.5, 4))} if "trial" in agent else {}
            changed: dict[str, Any] = {"auto": {"lastupdated": self._moment()}, "agent": agent, "custom": custom}
            rows[place] = _with_metadata(rows[place], **changed)

    def _edit(self, kind: str) -> None:
        subscription = self._subscription
        items = subscription.definitions[kind]
        place = self._rng.choice([at for at, item in enumerate(items) if item.row.get("shared", True)])
        old = items[place]
        name = old.row["name"].partition(" (v")[0]
        changed = {"name": f"{name} (v{self._number + 1})", "lastUpdatedAt": self._moment()}
        items[place] = Definition(old.row | changed, old.app)
        if kind == "guides":
            subscription.versions.edited(old.row, items[place].row)


def _with_metadata(row: Row, **changed: Row) -> Row:
    """The row with some members of some groups of its metadata replaced."""
    metadata = row["metadata"]
    groups = {group: {**metadata.get(group, {}), **members} for group, members in changed.items() if members}
    return {**row, "metadata": {**metadata, **groups}}
