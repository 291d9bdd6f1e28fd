"""Reads one calendar day of an event source, however large, and splits what Pendo cannot answer at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import Throttled
from source_kit.http.client import Answer

from source_pendo.aggregation import (
    HOUR_MS,
    Bound,
    HourSpan,
    KeyPager,
    KeyTooLarge,
    Row,
    Stage,
    app_id_of,
    app_parameter,
    is_exact,
    source_stage,
    time_series,
)
from source_pendo.client import BROKEN_BODIES, NoAnswerInTime, QueryTooBig
from source_pendo.config import LARGEST_RECORD_LIMIT, Period
from source_pendo.hour_merge import HourMerger

#: The one column that every event row has
PAGE_KEY: Final = "visitorId"
_DAY: Final = timedelta(days=1)
#: Every day has this many hours; which of the next two exist only Pendo's time zone tells
_SURE_HOURS: Final = 23


@dataclass(frozen=True, slots=True)
class Scope:
    """What one chain of requests reads: a day, some of its applications (none named = all), some of its hours."""

    day: date
    apps: tuple[str, ...] = ()
    hours: HourSpan | None = None
    bound: Bound | None = None

    def __str__(self) -> str:
        parts = [self.day.isoformat()]
        if self.hours:
            parts.append(str(self.hours))
        if self.apps:
            parts.append(f"app {self.apps[0]}" if len(self.apps) == 1 else f"{len(self.apps)} apps")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class EventSource:
    """A source of events: its name in the aggregation language, the grain to ask for, the order within a visitor.

    `merge_hours` says that rows are sums over the period, so hours must be put together again to make a day.
    """

    name: str
    period: Period
    order: tuple[str, ...]
    merge_hours: bool

    def stages(self, scope: Scope) -> list[Stage]:
        """Source and filter of a scope."""
        series = time_series(scope.day, self.period, scope.hours)
        stages = [source_stage(self.name, {"appId": app_parameter(scope.apps)}, series)]
        if scope.bound:
            stages.append({"filter": scope.bound.filter_on(PAGE_KEY)})
        return stages

    def page(self, scope: Scope, limit: int) -> list[Stage]:
        """One page of a scope, sorted so that a visitor's rows are together."""
        return [*self.stages(scope), {"sort": [PAGE_KEY, *self.order]}, {"limit": limit}]

    def probe(self, scope: Scope) -> list[Stage]:
        """Any row of a scope."""
        return [*self.stages(scope), {"limit": 1}]

    def apps_of(self, scope: Scope) -> list[Stage]:
        """The applications that have rows in a scope, one row each."""
        return [*self.stages(scope), {"group": {"group": ["appId"], "fields": [{"rows": {"count": None}}]}}]


class DayReader:
    """Reads days of one source for one sync, by several threads at a time.

    A day is first asked for whole. What is too much for Pendo (status 408, "Query exceeded memory limit", no answer
    within the time-out) is split, first by application, then by hour, and what was learned is kept for the next days.
    An hour of one application that is still too much fails the stream.
    """

    def __init__(
        self, source: EventSource, ask: Callable[[str, Sequence[Stage]], Answer], limit: int, logger: logging.Logger
    ) -> None:
        self._source = source
        self._ask = ask
        self._limit = limit
        self._logger = logger
        self._lock = threading.Lock()
        self._apps_at_once: int | None = None
        self._hours_at_once: dict[tuple[str, ...], int] = {}
        self._midnights: dict[date, int] = {}
        self._starts: dict[date, Any] = {}
        self._apps_are_told = True

    def start_of(self, day: date) -> Any:
        """When a day began, as the answers about it say; None, or anything, where they do not."""
        return self._starts.pop(day, None)

    def read(self, day: date, apps: tuple[str, ...]) -> Iterator[list[Row]]:
        """The day's rows as Pendo sends them, all rows of a visitor and application in one list."""
        scope = Scope(day, apps)
        if self._apps_at_once is None:
            yield from self._with_learned_hours(scope)
            return
        known = apps or self._apps_with_rows(scope)
        for start in range(0, len(known), self._apps_at_once) if known else (0,):
            yield from self._with_learned_hours(replace(scope, apps=known[start : start + self._apps_at_once]))

    def _with_learned_hours(self, scope: Scope) -> Iterator[list[Row]]:
        hours = self._hours_at_once.get(scope.apps)
        if hours is None:
            yield from self._read(scope)
        else:
            yield from self._by_hours(scope, HourSpan().pieces(hours))

    def _read(self, scope: Scope) -> Iterator[list[Row]]:
        """Page through a scope, splitting what of it is too big."""
        if not self._exists(scope):
            return
        pager = KeyPager(PAGE_KEY, self._limit, LARGEST_RECORD_LIMIT, scope.bound)
        while not pager.done:
            try:
                yield from self._page(scope, pager)
            except QueryTooBig as error:
                if pager.grown:  # the page is too much, and not the scope
                    pager.shrink()
                    continue
                yield from self._parts(replace(scope, bound=pager.bound), error)
                return
            except KeyTooLarge as error:
                if not is_exact(error.key):  # no question about this id alone would find it
                    yield from self._parts(replace(scope, bound=pager.bound), error)
                    return
                yield from self._parts(replace(scope, bound=Bound("==", error.key)), error)
                if scope.bound and scope.bound.operator == "==":
                    return
                pager.skip(error.key)

    def _page(self, scope: Scope, pager: KeyPager) -> Iterator[list[Row]]:
        """Ask for a page; a body that turns out broken costs only what comes after its last whole visitor."""
        for attempt in range(1, BROKEN_BODIES + 1):
            pipeline = self._source.page(replace(scope, bound=pager.bound), pager.limit)
            answer = self._ask(str(scope), pipeline)
            try:
                for rows in answer.rows("results"):
                    if ready := pager.add(rows):
                        yield ready
                if scope.hours is None or scope.hours.first == 0:
                    self._starts[scope.day] = answer.envelope.get("startTime")
                break
            except AirbyteTracedException as error:
                pager.broken_off()
                if attempt == BROKEN_BODIES or error.failure_type is not FailureType.transient_error:
                    raise
                self._logger.info(f"{scope}: a page broke in the middle and is asked for again")
        if ready := pager.end_page():
            yield ready

    def _parts(self, scope: Scope, cause: Exception) -> Iterator[list[Row]]:
        """The scope in smaller pieces: by application while there are several, then by hour."""
        learn = isinstance(cause, QueryTooBig)
        apps = scope.apps or self._apps_with_rows(scope)
        if len(apps) > 1:
            middle = len(apps) // 2
            if learn:
                self._learn_apps(len(apps) - middle)
            self._logger.info(f"{scope}: too much at once ({cause}), split into groups of applications")
            for half in (apps[:middle], apps[middle:]):
                yield from self._read(replace(scope, apps=half))
            return
        halves = (scope.hours or HourSpan()).halves()
        if halves is None and isinstance(cause, NoAnswerInTime):
            raise cause  # not even an hour came: more likely Pendo or the network is gone than that it is too much
        if halves is None:
            raise _cannot_split(self._source.name, scope, cause)
        if learn:
            self._learn_hours(scope.apps, (halves[0].end or 1) - halves[0].first)
        self._logger.info(f"{scope}: too much at once ({cause}), split into hours")
        scope = replace(scope, apps=apps)
        if scope.hours is None:
            yield from self._by_hours(scope, halves)
        else:
            for span in halves:
                yield from self._read(replace(scope, hours=span))

    def _by_hours(self, scope: Scope, spans: Sequence[HourSpan]) -> Iterator[list[Row]]:
        """The whole day of a scope by spans of hours, put together to days again where rows are sums."""
        pieces = ((span, rows) for span in spans for rows in self._read(replace(scope, hours=span)))
        if self._source.period == "hour" or not self._source.merge_hours:
            yield from (rows for _, rows in pieces)
            return
        busy: HourSpan | None = None
        with HourMerger(PAGE_KEY) as merger:
            for span, rows in pieces:
                busy = busy or span
                merger.add(rows)
            if busy is None:
                return
            midnight = self._midnight(scope, busy.places())
            if midnight is None:
                raise _no_midnight(scope)
            yield from merger.merged(midnight)

    def _exists(self, scope: Scope) -> bool:
        """Whether a scope's hours are on the clock that day.

        On the day on which clocks go forward the question for the hours from 23 on would end before it begins; what
        Pendo makes of that is not known. Where Pendo does not say how long the day is, it is asked nevertheless.
        """
        span = scope.hours
        if span is None or span.end is not None or span.first < _SURE_HOURS:
            return True
        begin, end = self._midnight(scope), self._midnight(replace(scope, day=scope.day + _DAY))
        return begin is None or end is None or begin + span.first * HOUR_MS < end

    def _midnight(self, scope: Scope, places: Sequence[int] = (0,)) -> int | None:
        """The instant at which the day began in the subscription's time zone, in epoch milliseconds.

        Single hours are asked for, by their places in the day, until an answer says which instant such an hour is.
        """
        for place in places:
            if scope.day in self._midnights:
                break
            hour = replace(scope, hours=HourSpan(place, place + 1), bound=None)
            try:
                answer = self._ask(f"{hour}, midnight", self._source.page(hour, 1))
            except QueryTooBig:
                continue
            rows = [row for part in answer.rows("results") for row in part]
            start = rows[0].get("hour") if rows else answer.envelope.get("startTime")
            if isinstance(start, int | float):
                self._midnights[scope.day] = int(start) - place * HOUR_MS
        return self._midnights.get(scope.day)

    def _apps_with_rows(self, scope: Scope) -> tuple[str, ...]:
        """The applications that have rows in a scope; none where Pendo cannot say for all of its rows.

        Whatever it answers instead, the scope can still be read by hours; a question that is not only too much is not
        asked again.
        """
        if not self._apps_are_told:
            return ()
        try:
            answer = self._ask(f"{scope}, apps", self._source.apps_of(scope))
            found = {app_id_of(row) for part in answer.rows("results") for row in part}
        except Throttled:
            raise
        except AirbyteTracedException as error:
            self._apps_are_told = isinstance(error, QueryTooBig)
            self._logger.info(f"{scope}: Pendo does not tell the applications ({error.internal_message})")
            return ()
        if None in found:
            self._logger.info(f"{scope}: some rows belong to no application, so it cannot be split by application")
            return ()
        return tuple(sorted(app for app in found if app))

    def _learn_apps(self, at_once: int) -> None:
        with self._lock:
            self._apps_at_once = min(at_once, self._apps_at_once or at_once)

    def _learn_hours(self, apps: tuple[str, ...], hours: int) -> None:
        with self._lock:
            self._hours_at_once[apps] = min(hours, self._hours_at_once.get(apps, hours))


def _no_midnight(scope: Scope) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=(
            "Pendo's answers do not say when a day began, so a day that was read by hours cannot be put together. "
            "Set period to hour, or restrict app_ids, and report it."
        ),
        internal_message=f"no row with an hour and no startTime in the hours of {scope.day}",
        failure_type=FailureType.system_error,
    )


def _cannot_split(source: str, scope: Scope, cause: Exception) -> AirbyteTracedException:
    what = "has more rows of one visitor than a page can hold" if isinstance(cause, KeyTooLarge) else "is too much"
    one, way_out = " of one application", "Leave that application out with app_ids"
    if not scope.apps:  # Pendo could not even say which applications have rows then
        one, way_out = "", "Name the applications in app_ids, so that each can be read alone"
    detail = f"visitor {cause.key!r}" if isinstance(cause, KeyTooLarge) else str(getattr(cause, "internal_message", ""))
    return AirbyteTracedException(
        message=(
            f"Even one hour{one} {what} for Pendo ({source}, {scope}). {way_out}, or move start_date behind that day; "
            "for such volumes Pendo offers Data Sync. Nothing was skipped: the state stays before that day."
        ),
        internal_message=f"{source}, {scope}: {detail}",
        failure_type=FailureType.config_error,
    )
