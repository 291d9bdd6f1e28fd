"""Changes to a subscription between two syncs. `POST /_sim/mutate` takes the same names and arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from simulators.pendo.definitions import KINDS, Definition
from simulators.pendo.directory import APPS, iso
from simulators.pendo.events import GROUPED, HourlyRow
from simulators.pendo.object_mutations import ObjectMutations
from simulators.pendo.parents import switch_on_parents
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar
from simulators.pendo.subscription import Subscription
from simulators.pendo.tables import as_answered
from simulators.server import Row


class Mutations:
    """Changes to one subscription. Each change holds its lock and clears the tables built so far."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._runs = 0
        self._known: Mapping[str, Callable[..., Any]] = {
            "advance": self.advance,
            "touch_visitor": self.touch_visitor,
            "touch_account": self.touch_account,
            "touch_definition": self.touch_definition,
            "remove_visitor": self.remove_visitor,
            "grow": self.grow,
            "late": self.late,
            "retag": self.retag,
            "map_identity": self.map_identity,
            "cut_id": self.cut_id,
            "time_zone": self.time_zone,
            **ObjectMutations(subscription).known,
            "lag": self.lag,
            "freeze": self.freeze,
            "parent_accounts": self.parent_accounts,
        }

    def run(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run a mutation by name. KeyError for an unknown name, TypeError or ValueError for wrong arguments."""
        with self._subscription.lock:
            result = self._known[name](**arguments)
            self._runs += 1
            self._subscription.clear_tables()
            return result

    def advance(self, hours: float = 0, days: float = 0, to: str | None = None) -> str:
        """Move the clock forward, by a duration or to an instant (RFC 3339). Returns the new present.

        Visitors who did something in between get a later `lastvisit`. It is not known whether `lastupdated` moves too;
        here it does not.
        """
        subscription = self._subscription
        target = subscription.now + int(hours * HOUR_MS + days * DAY_MS)
        if to is not None:
            target = int(datetime.fromisoformat(to).astimezone(UTC).timestamp() * 1000)
        if target < subscription.now:
            message = "the clock does not go back"
            raise ValueError(message)
        before, subscription.now = subscription.now, target
        subscription.update_last_visits(before)
        return iso(target)

    def touch_visitor(self, visitor_id: str) -> Row:
        """Change a visitor's metadata. `lastupdated` becomes the present. Returns the row."""
        return self._touch(self._subscription.visitors, "visitorId", visitor_id)

    def touch_account(self, account_id: str) -> Row:
        """Change an account's metadata. `lastupdated` becomes the present. Returns the row."""
        return self._touch(self._subscription.accounts, "accountId", account_id)

    def _touch(self, rows: list[Row], column: str, wanted: str) -> Row:
        for position, row in enumerate(rows):
            if row[column] == wanted:
                metadata = row["metadata"] or {}
                auto = {**metadata.get("auto", {}), "id": wanted, "lastupdated": self._subscription.now}
                custom = {**metadata.get("custom", {}), "touched": self._runs}
                rows[position] = {**row, "metadata": {**metadata, "auto": auto, "custom": custom}}
                return rows[position]
        raise KeyError(wanted)

    def touch_definition(self, kind: str, object_id: str | None = None) -> Row:
        """Rename a page, feature, guide, ...; by default the first one. `lastUpdatedAt` becomes the present.

        Returns the row.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        items = self._subscription.definitions[kind]
        for position, item in enumerate(items):
            if object_id in (None, item.row["id"]):
                changed = {"name": f"{item.row['name']} (renamed)", "lastUpdatedAt": self._subscription.now}
                items[position] = Definition(item.row | changed, item.app)
                if kind == "guides":
                    self._subscription.versions.edited(item.row, items[position].row)
                return items[position].row
        raise KeyError(object_id)

    def remove_visitor(self, visitor_id: str, history_only: bool = False) -> str:
        """Delete a visitor. With `history_only` the aggregation still lists it, but its own endpoints answer 404."""
        subscription = self._subscription
        if subscription.visitor(visitor_id) is None:
            raise KeyError(visitor_id)
        subscription.deleted_visitors.add(visitor_id)
        if not history_only:
            subscription.visitors = [row for row in subscription.visitors if row["visitorId"] != visitor_id]
        return visitor_id

    def _day(self, day: str) -> int:
        return self._subscription.calendar.midnight(date.fromisoformat(day))

    def grow(self, source: str = "pageEvents", day: str | None = None, rows: int = 3) -> int:
        """Give the first visible rows of a day (default: today) one more event each. Returns how many rows grew."""
        subscription = self._subscription
        start = subscription.calendar.start_of("day", subscription.now) if day is None else self._day(day)
        grown = [
            hourly_row
            for hourly_row in subscription.hourly_rows[source].get(start, [])
            if hourly_row.visible_at <= subscription.now
        ][:rows]
        for hourly_row in grown:
            hourly_row.events += 1
            hourly_row.first = max(hourly_row.hour, hourly_row.first - 1000)
            hourly_row.last = min(hourly_row.hour + HOUR_MS - 1, hourly_row.last + 1000)
        return len(grown)

    def late(self, source: str, day: str, rows: int = 3) -> int:
        """Add rows that belong to an old day and become visible now. Returns how many."""
        subscription = self._subscription
        start = self._day(day)
        generator = subscription.generator(f"late/{self._runs}")
        if source in GROUPED:
            made = generator.hourly_rows_of_one_visitor(source, start, rows)
            for hourly_row in made:
                hourly_row.visible_at = subscription.now
            subscription.hourly_rows[source].setdefault(start, []).extend(made)
            return len(made)
        if source == "emailEvents":
            drawn = subscription.email_generator(f"late/{self._runs}").events_of_one_visitor(start, rows)
        else:
            drawn = generator.events_of_one_visitor(source, start, rows)
        events = [event.visible_from(subscription.now) for event in drawn]
        subscription.events[source].setdefault(start, []).extend(events)
        return len(events)

    def retag(self, page_id: str | None = None) -> str:
        """Edit the rules of a page (default: the first one). Pendo then matches its past events again.

        On every past day a third of its rows disappear. On every second day three other rows appear. Returns the id.
        """
        subscription = self._subscription
        page = self.touch_definition("pages", page_id)
        generator = subscription.generator(f"retag/{self._runs}")
        for number, (day, hourly_rows) in enumerate(subscription.hourly_rows["pageEvents"].items()):
            if day > subscription.now:
                continue
            matched = [hourly_row for hourly_row in hourly_rows if hourly_row.identity["pageId"] == page["id"]]
            vanished = {id(hourly_row) for hourly_row in matched[::3]}
            kept = [hourly_row for hourly_row in hourly_rows if id(hourly_row) not in vanished]
            subscription.hourly_rows["pageEvents"][day] = kept + (
                self._matched(generator, day, page) if number % 2 else []
            )
        return str(page["id"])

    def _matched(self, generator: Any, day: int, page: Row) -> list[HourlyRow]:
        hourly_rows: list[HourlyRow] = generator.hourly_rows_of_one_visitor("pageEvents", day, 3)
        for hourly_row in hourly_rows:
            hourly_row.identity |= {"pageId": page["id"], "appId": page["appId"]}
            hourly_row.visible_at = max(hourly_row.hour, self._subscription.now)
        return hourly_rows

    def map_identity(self, visitor_id: str, to: str) -> int:
        """Identity mapping, or a merge of visitors: all activity of one id, past included, becomes that of another.

        Returns how many stored hourly rows and events moved.
        """
        moved = self._rename(visitor_id, to)
        self._subscription.visitors = [row for row in self._subscription.visitors if row["visitorId"] != visitor_id]
        return moved

    def cut_id(self, visitor_id: str) -> str:
        """Make a visitor's id longer than 128 bytes. Pendo keeps 128 bytes, which end in the middle of a character.

        Pendo sorts and compares the bytes. Its answers have U+FFFD in place of the incomplete character. Returns the id
        as answers show it.
        """
        cut = visitor_id + "x" * (127 - len(visitor_id.encode())) + "\udcc3"
        self._rename(visitor_id, cut)
        for position, row in enumerate(self._subscription.visitors):
            if row["visitorId"] == visitor_id:
                self._subscription.visitors[position] = {**row, "visitorId": cut}
        return str(as_answered(cut))

    def _rename(self, visitor_id: str, to: str) -> int:
        moved = 0
        for hourly_rows in (
            hourly_row for days in self._subscription.hourly_rows.values() for hourly_row in days.values()
        ):
            for hourly_row in hourly_rows:
                if hourly_row.identity["visitorId"] == visitor_id:
                    hourly_row.identity = hourly_row.identity | {"visitorId": to}
                    moved += 1
        for days in self._subscription.events.values():
            for day, events in days.items():
                days[day] = [
                    event.for_visitor(to) if event.row["visitorId"] == visitor_id else event for event in events
                ]
                moved += sum(event.row["visitorId"] == visitor_id for event in events)
        return moved

    def time_zone(self, zone: str) -> str:
        """Change the subscription's time zone.

        Events keep their instants but belong to other days. Returns the zone.
        """
        self._subscription.calendar = Calendar(zone)
        return zone

    def lag(self, app_id: int, hours: float = 0, days: float = 0) -> int:
        """Process the events of an application later than those of the others; without a time it catches up.

        Until then no answer has its events. Returns its new `validThrough`.
        """
        subscription = self._subscription
        _known_app(app_id)
        subscription.progress.lags.pop(app_id, None)
        if hours or days:
            subscription.progress.lags[app_id] = int(hours * HOUR_MS + days * DAY_MS)
        return subscription.progress.valid_through(app_id, subscription.now)

    def freeze(self, app_id: int, frozen: bool = True) -> int:
        """Let an application send no events from now on: no rows, and `validThrough` stays. `frozen` False ends that.

        Returns its `validThrough`. Whether it stays in such a case at Pendo is not documented.
        """
        subscription = self._subscription
        _known_app(app_id)
        subscription.progress.frozen.pop(app_id, None)
        through = subscription.progress.valid_through(app_id, subscription.now)
        if frozen:
            subscription.progress.frozen[app_id] = through
        return through

    def parent_accounts(self) -> None:
        """Switch on parent accounts, see `switch_on_parents`."""
        switch_on_parents(self._subscription)


def _known_app(app_id: int) -> None:
    if app_id not in {app["id"] for app in APPS}:
        raise KeyError(app_id)


def app_ids(text: str | None) -> frozenset[int] | None:
    """The apps of a `truth` request: ids with commas, None for all apps. KeyError for an unknown app."""
    if text is None:
        return None
    known = {app["id"] for app in APPS}
    wanted = frozenset(int(part) for part in text.split(","))
    if wanted - known:
        raise KeyError(str(wanted - known))
    return wanted
