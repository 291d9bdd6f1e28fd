"""One simulated subscription: its data, its clock, and what changes in it.

`World` answers with tables and knows nothing of HTTP. Its `lock` guards the data; tables do not change once they are
handed out.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from simulators.pendo.activity import GROUPED, ActivityMaker, Cell, Event, merge_measures
from simulators.pendo.bulk import Bulk
from simulators.pendo.definitions import make_definitions
from simulators.pendo.directory import (
    ANONYMOUS_PREFIX,
    APPS,
    EXCLUDED_VISITOR,
    make_accounts,
    make_visitors,
    metadata_schema,
)
from simulators.pendo.periods import DAY_MS, Calendar
from simulators.pendo.sizes import Size
from simulators.pendo.tables import Table, as_answered
from simulators.server import Row

SINGLE = ("guideEvents", "pollEvents")
HISTORY_DAYS = 180
_TABLES_KEPT = 256


@dataclass(frozen=True)
class Scope:
    """Which part of an event source is asked for.

    `apps` None means all of them; `ids` narrows columns to some values.
    """

    bucket: str
    start: int
    end: int
    apps: frozenset[int] | None = None
    ids: tuple[tuple[str, frozenset[str]], ...] = ()
    blacklist: str = "apply"

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row lies in the apps, ids and exclude list asked for; time is not looked at."""
        excluded = row["visitorId"] == EXCLUDED_VISITOR
        return (
            (self.apps is None or row["appId"] in self.apps)
            and (self.blacklist == "ignore" or excluded == (self.blacklist == "only"))
            and all(row.get(column) in values for column, values in self.ids)
        )


@dataclass
class World:
    """Everything that the subscription holds, seeded: the same arguments give the same bytes."""

    seed: int
    size: Size
    now: int
    calendar: Calendar
    bulk: Bulk | None = None
    bucket_on_events: bool = False
    """Give guide and poll rows their bucket column too; whether they have one is not known."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        rng = random.Random(f"{self.seed}/directory")
        self.accounts = make_accounts(rng, self.size, self.now)
        self.visitors = make_visitors(rng, self.size, self.accounts, self.now)
        self.definitions = make_definitions(random.Random(f"{self.seed}/definitions"), self.size.objects, self.now)
        self.first_now = self.now
        self.gone: set[str] = set()
        self._tables: dict[tuple[str, Scope], tuple[Table, int]] = {}

    def maker(self, name: str) -> ActivityMaker:
        """A source of activity. Each has a chance of its own, so that none depends on what was asked for before."""
        return ActivityMaker(random.Random(f"{self.seed}/{name}"), self.calendar, self.visitors, self.definitions)

    def days(self) -> Iterator[int]:
        """Local midnights of every day that has data, those of the future included."""
        today = self.calendar.day_of(self.first_now)
        for offset in range(1 - self.size.days, self.size.future_days + 1):
            yield self.calendar.midnight(today + timedelta(days=offset))

    @cached_property
    def cells(self) -> dict[str, dict[int, list[Cell]]]:
        """Hourly cells by grouped source and local day.

        The ninth day from the end is busy, the fifth belongs to one visitor.
        """
        made: dict[str, dict[int, list[Cell]]] = {source: {} for source in GROUPED}
        maker = self.maker("cells")
        for number, day in enumerate(self.days(), 1 - self.size.days):
            for source in GROUPED:
                sessions = self.size.sessions_per_day + (2 * self.size.crowd if number == -8 else 0)
                made[source][day] = maker.day_of_cells(source, day, sessions)
                if number == -4:
                    made[source][day] += maker.crowd_of_cells(source, day, self.size.crowd)
        if self.bulk is not None:
            made["pageEvents"] = {}
        return made

    @cached_property
    def events(self) -> dict[str, dict[int, list[Event]]]:
        """Guide and poll events by source and local day."""
        made: dict[str, dict[int, list[Event]]] = {source: {} for source in SINGLE}
        counts = {"guideEvents": self.size.guide_events_per_day, "pollEvents": self.size.poll_events_per_day}
        maker = self.maker("events")
        for number, day in enumerate(self.days(), 1 - self.size.days):
            for source, count in counts.items():
                busy = 2 * self.size.crowd if number == -8 else 0
                made[source][day] = maker.day_of_events(source, day, count + busy)
                if number == -4:
                    made[source][day] += maker.crowd_of_events(source, day, self.size.crowd)
        return made

    def changed(self) -> None:
        """Forget the tables that were built: the clock or the data moved."""
        self._tables.clear()

    def event_table(self, source: str, scope: Scope) -> tuple[Table, int]:
        """Rows of an event source in a window, and how many stored rows had to be scanned for them."""
        with self.lock:
            found = self._tables.get((source, scope))
            if found is None:
                if len(self._tables) >= _TABLES_KEPT:
                    self._tables.clear()
                found = self._tables[source, scope] = self._build(source, scope)
            return found

    def _build(self, source: str, scope: Scope) -> tuple[Table, int]:
        if source == "pageEvents" and self.bulk is not None:
            table = self.bulk.table(scope.bucket, scope.start, min(scope.end, self.now), scope.apps, dict(scope.ids))
            return table, len(table)
        if source in SINGLE:
            rows = [self._with_bucket(event, scope) for event in self._events_in(source, scope)]
            return Table(rows), len(rows)
        cells = list(self._cells_in(source, scope))
        return Table(list(self._merged(cells, scope.bucket).values())), len(cells)

    def _days_in(self, days: Mapping[int, Any], scope: Scope) -> list[int]:
        return [day for day in days if day + 2 * DAY_MS > scope.start and day < scope.end]

    def _cells_in(self, source: str, scope: Scope) -> Iterator[Cell]:
        days = self.cells[source]
        for day in self._days_in(days, scope):
            for cell in days[day]:
                if scope.start <= cell.hour < scope.end and cell.visible_at <= self.now and scope.takes(cell.identity):
                    yield cell

    def _events_in(self, source: str, scope: Scope) -> Iterator[Event]:
        days = self.events[source]
        for day in self._days_in(days, scope):
            for event in days[day]:
                if scope.start <= event.at < scope.end and event.visible_at <= self.now and scope.takes(event.row):
                    yield event

    def _with_bucket(self, event: Event, scope: Scope) -> Row:
        return event.row | self.bucket_columns(scope.bucket, event.at) if self.bucket_on_events else event.row

    def _merged(self, cells: list[Cell], bucket: str) -> dict[tuple[int, bytes, int], Row]:
        merged: dict[tuple[int, bytes, int], Row] = {}
        for cell in cells:
            start = self.calendar.start_of(bucket, cell.hour)
            key = (start, *cell.key())
            measures = cell.measures(self.now)
            row = merged.get(key)
            if row is None:
                merged[key] = {**cell.identity, **self.bucket_columns(bucket, start), **measures}
            else:
                merge_measures(row, measures)
        return merged

    def bucket_columns(self, bucket: str, ms: int) -> Row:
        """The columns that say when: `hour` alone, or `day` with its week, month and quarter (observed)."""
        names = {"hour": ("hour",), "day": ("day", "week", "month", "quarter"), "week": ("week",)}
        return {name: self.calendar.start_of(name, ms) for name in names.get(bucket, ("month", "quarter"))}

    def everything(self, source: str, bucket: str, apps: frozenset[int] | None, since: int) -> list[Row]:
        """Every row of an event source that can be read at the simulated present."""
        scope = Scope(bucket, self.calendar.start_of(bucket, since), self.now + 1, apps)
        return list(self.event_table(source, scope)[0].rows())

    def definition_rows(self, kind: str, apps: frozenset[int] | None) -> list[Row]:
        """Pages, features and so on of some apps."""
        with self.lock:
            return [item.row for item in self.definitions[kind] if apps is None or item.app in apps]

    def people(self, *, anonymous: bool, blacklist: str = "apply") -> list[Row]:
        """Visitors, with or without the anonymous ones."""
        with self.lock:
            return [
                row
                for row in self.visitors
                if (anonymous or not row["visitorId"].startswith(ANONYMOUS_PREFIX))
                and (blacklist == "ignore" or (row["visitorId"] == EXCLUDED_VISITOR) == (blacklist == "only"))
            ]

    def visitor(self, visitor_id: str) -> Row | None:
        """A visitor by id."""
        return next((row for row in self.visitors if row["visitorId"] == visitor_id), None)

    def account(self, account_id: str) -> Row | None:
        """An account by id."""
        return next((row for row in self.accounts if row["accountId"] == account_id), None)

    def history(self, visitor_id: str) -> list[Row]:
        """What a visitor did in the days that the history keeps, up to the last visit; nothing without one."""
        auto = ((self.visitor(visitor_id) or {}).get("metadata") or {}).get("auto") or {}
        oldest, last = self.now - HISTORY_DAYS * DAY_MS, auto.get("lastvisit", 0)
        return [row for row in self._all_visits(visitor_id) if oldest <= row["ts"] <= min(self.now, last)]

    def _all_visits(self, visitor_id: str) -> list[Row]:
        first = self.first_now - (self.size.days - 1) * DAY_MS
        end = self.first_now + self.size.future_days * DAY_MS
        return self.maker(f"history/{as_answered(visitor_id)}").history(first, end, at_most=12)

    def visit(self, before: int) -> None:
        """Move the last visit of those who did something between an earlier present and the present."""
        for position, row in enumerate(self.visitors):
            auto = (row["metadata"] or {}).get("auto")
            times = [at["ts"] for at in self._all_visits(row["visitorId"]) if before < at["ts"] <= self.now]
            if auto and times:
                metadata = {**row["metadata"], "auto": {**auto, "lastvisit": max(times)}}
                self.visitors[position] = {**row, "metadata": metadata}

    def metadata(self, kind: str) -> dict[str, dict[str, Row]]:
        """The metadata schema of `account` or `visitor`."""
        return metadata_schema(kind)

    def app_rows(self) -> list[Row]:
        """The apps of the subscription, the default one first."""
        return list(APPS)
