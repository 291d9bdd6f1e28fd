"""One simulated subscription: its data and its clock.

`Subscription` returns tables and knows nothing of HTTP. Hold its `lock` to change the data. A table that was returned
does not change any more.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from simulators.pendo import reports
from simulators.pendo.activity import ActivityGenerator
from simulators.pendo.audience import busyness
from simulators.pendo.bulk import BulkPageEvents
from simulators.pendo.definitions import make_definitions, make_private
from simulators.pendo.directory import (
    ANONYMOUS_PREFIX,
    APPS,
    EXCLUDED_VISITOR,
    make_accounts,
    make_visitors,
    metadata_schema,
)
from simulators.pendo.emails import EmailGenerator
from simulators.pendo.erasures import Erasures
from simulators.pendo.events import GROUPED, Event, HourlyRow, merge_measures
from simulators.pendo.groups import Groups
from simulators.pendo.listen import make_feedback
from simulators.pendo.periods import DAY_MS, Calendar
from simulators.pendo.progress import Progress, after_passes
from simulators.pendo.seen import SEEN_SOURCES
from simulators.pendo.sizes import Size
from simulators.pendo.switches import Rules
from simulators.pendo.tables import Table, as_answered
from simulators.pendo.versions import GuideVersions
from simulators.server import Row

SINGLE = ("guideEvents", "pollEvents", "emailEvents")
HISTORY_DAYS = 180
_TABLES_KEPT = 256


@dataclass(frozen=True)
class EventQuery:
    """A query of an event source: a window and filters.

    `apps` None means all apps. `ids` has pairs of a column and its allowed values.
    """

    bucket: str
    start: int
    end: int
    apps: frozenset[int] | None = None
    ids: tuple[tuple[str, frozenset[str]], ...] = ()
    blacklist: str = "apply"

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether a row passes the filters of apps, ids and exclude list. The window is not checked."""
        excluded = row["visitorId"] == EXCLUDED_VISITOR
        return (
            (self.apps is None or row["appId"] in self.apps)
            and (self.blacklist == "ignore" or excluded == (self.blacklist == "only"))
            and all(row.get(column) in values for column, values in self.ids)
        )


@dataclass
class Subscription:
    """All data of the subscription. The same arguments give the same bytes."""

    seed: int
    size: Size
    now: int
    calendar: Calendar
    bulk: BulkPageEvents | None = None
    bucket_on_events: bool = False
    """Whether guide and poll rows have the bucket column too. It is not known whether Pendo sends one."""
    parent_accounts: bool = False
    """Whether the subscription has parent accounts. The account ids then are `Parent::Child`."""
    rules: Rules = field(default_factory=Rules)
    later: int = 0
    """Days with data beside those of the size, after the present."""
    progress: Progress = field(default_factory=Progress)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        rng = random.Random(f"{self.seed}/directory")
        self.first_now = self.now
        self.accounts = make_accounts(rng, self.size, self.now)
        self.visitors = make_visitors(rng, self.size, self.accounts, self.now)
        self.definitions = make_definitions(random.Random(f"{self.seed}/definitions"), self.size.objects, self.now)
        for kind, private in make_private(random.Random(f"{self.seed}/private"), self.now).items():
            self.definitions[kind] += private
        self.versions = GuideVersions(self.seed)
        self.groups = Groups(random.Random(f"{self.seed}/groups"), self.definitions, self.now)
        self.feedback = make_feedback(random.Random(f"{self.seed}/listen"), self.size.objects, self.visitors)
        self.erasures = Erasures(random.Random(f"{self.seed}/erasures"), self.now)
        self.deleted_visitors: set[str] = set()
        self.deleted_definitions: set[str] = set()
        self.visits: dict[str, list[Row]] = {}
        self._first_last_visits = {row["visitorId"]: _last_visit(row) for row in self.visitors}
        self._tables: dict[tuple[str, EventQuery], tuple[Table, int]] = {}

    def generator(self, name: str) -> ActivityGenerator:
        """A generator of activity. Each name has its own random numbers, so earlier calls do not change its rows."""
        return ActivityGenerator(
            random.Random(f"{self.seed}/{name}"), self.calendar, self.visitors, self.definitions, self.first_now
        )

    def email_generator(self, name: str) -> EmailGenerator:
        """A generator of email events, see `generator`."""
        return EmailGenerator(
            random.Random(f"{self.seed}/{name}"), self.visitors, self.definitions["guides"], self.first_now
        )

    def days(self) -> Iterator[int]:
        """The local midnight of each day with data, future days included."""
        today = self.calendar.day_of(self.first_now)
        for offset in range(1 - self.size.days, self.size.future_days + self.later + 1):
            yield self.calendar.midnight(today + timedelta(days=offset))

    @cached_property
    def hourly_rows(self) -> dict[str, dict[int, list[HourlyRow]]]:
        """Hourly rows, by grouped source and local day.

        The day 8 days before the present is busy. 4 days before the present one visitor has many rows.
        """
        made: dict[str, dict[int, list[HourlyRow]]] = {source: {} for source in GROUPED}
        generator = self.generator("cells")
        for number, day in enumerate(self.days(), 1 - self.size.days):
            for source in GROUPED:
                usual = max(2, round(self.size.sessions_per_day * busyness(self.calendar.day_of(day))))
                sessions = usual + (2 * self.size.crowd if number == -8 else 0)
                made[source][day] = generator.hourly_rows_of_day(source, day, sessions)
                if number == -4:
                    made[source][day] += generator.hourly_rows_of_one_visitor(source, day, self.size.crowd)
        if self.bulk is not None:
            made["pageEvents"] = {}
        return made

    @cached_property
    def events(self) -> dict[str, dict[int, list[Event]]]:
        """Guide, poll and email events by source and local day."""
        made: dict[str, dict[int, list[Event]]] = {source: {} for source in SINGLE}
        counts = {"guideEvents": self.size.guide_events_per_day, "pollEvents": self.size.poll_events_per_day}
        emails = self.email_generator("emails")
        generator = self.generator("events")
        for number, day in enumerate(self.days(), 1 - self.size.days):
            factor = busyness(self.calendar.day_of(day))
            for source, count in counts.items():
                busy = 2 * self.size.crowd if number == -8 else 0
                made[source][day] = generator.events_of_day(source, day, max(2, round(count * factor)) + busy)
                if number == -4:
                    made[source][day] += generator.events_of_one_visitor(source, day, self.size.crowd)
            count = self.size.guide_events_per_day // 2 + (2 * self.size.crowd if number == -8 else 0)
            made["emailEvents"][day] = emails.events_of_day(day, count)
            if number == -4:
                made["emailEvents"][day] += emails.events_of_one_visitor(day, self.size.crowd)
        return made

    def clear_tables(self) -> None:
        """Drop the cached tables, because the clock or the data changed."""
        self._tables.clear()

    def event_table(self, source: str, query: EventQuery) -> tuple[Table, int]:
        """The rows of a query, and the number of stored rows that were scanned for them."""
        with self.lock:
            found = self._tables.get((source, query))
            if found is None:
                if len(self._tables) >= _TABLES_KEPT:
                    self._tables.clear()
                found = self._tables[source, query] = self._build(source, query)
            return found

    def _build(self, source: str, query: EventQuery) -> tuple[Table, int]:
        if source == "pageEvents" and self.bulk is not None:
            table = self.bulk.table(query.bucket, query.start, min(query.end, self.now), query.apps, dict(query.ids))
            return table, len(table)
        if source in SEEN_SOURCES:
            return self._seen(source, query)
        if source in SINGLE:
            rows = [self._with_bucket(event, query) for event in self._events_in(source, query)]
            return Table(rows), len(rows)
        hourly_rows = list(self._hourly_rows_in(source, query))
        return Table(list(self._merged(hourly_rows, query.bucket).values())), len(hourly_rows)

    def _seen(self, source: str, query: EventQuery) -> tuple[Table, int]:
        seen = SEEN_SOURCES[source]
        whole_life = EventQuery(query.bucket, 0, self.now + 1, query.apps, query.ids, query.blacklist)
        events = list(self._events_in(seen.events, whole_life))
        return Table(seen.in_window(events, query.start, query.end)), len(events)

    def _days_in(self, days: Mapping[int, Any], query: EventQuery) -> list[int]:
        return [day for day in days if day + 2 * DAY_MS > query.start and day < query.end]

    def _hourly_rows_in(self, source: str, query: EventQuery) -> Iterator[HourlyRow]:
        days = self.hourly_rows[source]
        waits = source == "trackEvents" and self.rules.late_tracks_wait
        for day in self._days_in(days, query):
            for stored in days[day]:
                hourly_row = after_passes(stored, self.calendar) if waits else stored
                if (
                    query.start <= hourly_row.hour < query.end
                    and hourly_row.visible_at <= self.now
                    and query.matches(hourly_row.identity)
                    and self.progress.is_visible(hourly_row.identity["appId"], hourly_row.hour, self.now)
                ):
                    yield hourly_row

    def _events_in(self, source: str, query: EventQuery) -> Iterator[Event]:
        days = self.events[source]
        for day in self._days_in(days, query):
            for event in days[day]:
                if (
                    query.start <= event.at < query.end
                    and event.visible_at <= self.now
                    and query.matches(event.facts)
                    and self.progress.is_visible(event.facts["appId"], event.at, self.now)
                ):
                    yield event

    def _with_bucket(self, event: Event, query: EventQuery) -> Row:
        return event.row | self.bucket_columns(query.bucket, event.at) if self.bucket_on_events else event.row

    def _merged(self, hourly_rows: list[HourlyRow], bucket: str) -> dict[tuple[int, bytes, int], Row]:
        merged: dict[tuple[int, bytes, int], Row] = {}
        for hourly_row in hourly_rows:
            start = self.calendar.start_of(bucket, hourly_row.hour)
            key = (start, *hourly_row.key())
            measures = hourly_row.measures(self.now)
            row = merged.get(key)
            if row is None:
                merged[key] = {**hourly_row.identity, **self.bucket_columns(bucket, start), **measures}
            else:
                merge_measures(row, measures)
        return merged

    def bucket_columns(self, bucket: str, ms: int) -> Row:
        """The time columns of a row: `hour` alone, or `day` with `week`, `month` and `quarter` (observed)."""
        names = {"hour": ("hour",), "day": ("day", "week", "month", "quarter"), "week": ("week",)}
        return {name: self.calendar.start_of(name, ms) for name in names.get(bucket, ("month", "quarter"))}

    def all_rows(self, source: str, bucket: str, apps: frozenset[int] | None, since: int) -> list[Row]:
        """All rows of an event source that are visible at the simulated present."""
        query = EventQuery(bucket, self.calendar.start_of(bucket, since), self.now + 1, apps)
        return list(self.event_table(source, query)[0].rows())

    def definition_rows(self, kind: str, apps: frozenset[int] | None) -> list[Row]:
        """The definitions of a kind (pages, features, ...) that belong to some apps, without private ones."""
        with self.lock:
            return [
                item.row
                for item in self.definitions[kind]
                if (apps is None or item.app in apps) and self.exists(item.row["id"]) and item.row.get("shared", True)
            ]

    def visitor_rows(self, *, anonymous: bool, blacklist: str = "apply") -> list[Row]:
        """Visitors, with or without anonymous visitors."""
        with self.lock:
            return [
                row
                for row in self.visitors
                if (anonymous or not row["visitorId"].startswith(ANONYMOUS_PREFIX))
                and (blacklist == "ignore" or (row["visitorId"] == EXCLUDED_VISITOR) == (blacklist == "only"))
            ]

    def do_not_process_rows(self, kind: str, *, anonymous: bool = True, blacklist: str = "apply") -> list[Row]:
        """The visitors or accounts that must not be processed, also those whose data are deleted."""
        with self.lock:
            rows = self.visitor_rows(anonymous=anonymous, blacklist=blacklist) if kind == "visitor" else self.accounts
            return self.erasures.flagged(kind, rows)

    def group_rows(self, group_type: str, *, with_items: bool) -> list[Row]:
        """The product areas (`group`) or the guide categories (`guideCategory`)."""
        with self.lock:
            return self.groups.rows(group_type, with_items=with_items, exists=self.exists)

    def exists(self, object_id: str) -> bool:
        """Whether a page, feature, guide, ... is not deleted."""
        return object_id not in self.deleted_definitions

    def report_results(self, report: Row) -> list[Row]:
        """The results of a Visitor or Account report."""
        with self.lock:
            return reports.results(report, self.visitor_rows(anonymous=False), self.accounts)

    def visitor(self, visitor_id: str) -> Row | None:
        """A visitor by id."""
        return next((row for row in self.visitors if row["visitorId"] == visitor_id), None)

    def account(self, account_id: str) -> Row | None:
        """An account by id."""
        return next((row for row in self.accounts if row["accountId"] == account_id), None)

    def history(self, visitor_id: str) -> list[Row]:
        """What a visitor did in the last 180 days, until `lastvisit`. Empty for a visitor without `lastvisit`."""
        oldest, last = self.now - HISTORY_DAYS * DAY_MS, _last_visit(self.visitor(visitor_id) or {})
        return [row for row in self._whole_history(visitor_id) if oldest <= row["ts"] <= min(self.now, last)]

    def _whole_history(self, visitor_id: str) -> list[Row]:
        first = self.first_now - (self.size.days - 1) * DAY_MS
        end = self.first_now + self.size.future_days * DAY_MS
        rng = random.Random(f"{self.seed}/history/{as_answered(visitor_id)}")
        drawn = ActivityGenerator(rng, self.calendar, (), self.definitions, self.first_now).history(
            first, end, at_most=12
        )
        # Else a visitor's next visit would bring to light what was drawn for the weeks before it.
        last = self._first_last_visits.get(visitor_id, self.first_now)
        first_visit = _auto(self.visitor(visitor_id) or {}).get("firstvisit", 0)
        drawn = [row for row in drawn if row["ts"] >= first_visit and not last < row["ts"] <= self.first_now]
        return sorted(drawn + self.visits.get(visitor_id, []), key=lambda row: int(row["ts"]))

    def update_last_visits(self, before: int) -> None:
        """Set `lastvisit` of the visitors who did something since an earlier present."""
        for position, row in enumerate(self.visitors):
            auto = (row["metadata"] or {}).get("auto")
            times = [at["ts"] for at in self._whole_history(row["visitorId"]) if before < at["ts"] <= self.now]
            if auto and times:
                metadata = {**row["metadata"], "auto": {**auto, "lastvisit": max(times)}}
                self.visitors[position] = {**row, "metadata": metadata}

    def metadata(self, kind: str) -> dict[str, dict[str, Row]]:
        """The metadata schema of `account` or `visitor`."""
        return metadata_schema(kind)

    def app_rows(self) -> list[Row]:
        """The apps of the subscription, the default app first."""
        return list(APPS)


def _last_visit(visitor: Row) -> int:
    """When a visitor was last there, 0 if that is not known."""
    return int(_auto(visitor).get("lastvisit", 0))


def _auto(visitor: Row) -> Row:
    return (visitor.get("metadata") or {}).get("auto") or {}
