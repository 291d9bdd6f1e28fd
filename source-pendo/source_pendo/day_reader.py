"""Reads one calendar day of an event source, however large, and splits what Pendo cannot answer at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import Throttled, config_error, system_error
from source_kit.http.client import Answer
from source_kit.json_text import dumps

from source_pendo.aggregation import (
    HOUR_MS,
    VISITOR_ID,
    Bound,
    EventSource,
    HourSpan,
    Scope,
    app_id_of,
    spans_of_a_day,
)
from source_pendo.client import NoAnswerInTime, PendoClient, QueryTooBig
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.event_rows import Cut, RowText, cut, decoded, visitor_of
from source_pendo.hour_merge import HourMerger
from source_pendo.paging import KeyPager, KeyTooLarge, is_exact

_DAY: Final = timedelta(days=1)
#: Every day has this many hours; whether it has one or two more depends on the time zone, which only Pendo knows
_SURE_HOURS: Final = 23
_APPS_WITH_ROWS: Final = {"group": {"group": ["appId"], "fields": [{"rows": {"count": None}}]}}


class DayReader:
    """Reads days of one source for one sync, by several threads at a time.

    A day is first asked for whole. What is too much for Pendo (status 408, "Query exceeded memory limit", no answer
    within the time-out) is split, first by application, then by hour. The next days are split the same way at once. An
    hour of one application that is still too much fails the day.
    """

    def __init__(
        self, source: EventSource, client: PendoClient, limit: int, cut_of: Callable[[date], Cut] = lambda day: cut
    ) -> None:
        """`cut_of` returns what cuts the rows of a day out of an answer."""
        self._source = source
        self._cut_of = cut_of
        self._client = client
        self._logger = client.logger
        self._limit = limit
        self._lock = threading.Lock()
        self._apps_at_once: int | None = None
        self._hours_at_once: dict[tuple[str, ...], int] = {}
        self._midnights: dict[date, int] = {}
        self._starts: dict[date, Any] = {}
        self._can_list_apps = True

    def start_of(self, day: date) -> Any:
        """When a day began, in epoch milliseconds, as Pendo's answers say; None, or any value, if they do not."""
        return self._starts.pop(day, None)

    def read(self, day: date, apps: tuple[str, ...]) -> Iterator[list[RowText]]:
        """The day's rows as Pendo sends them, all rows of a visitor and application in one list."""
        groups = [apps]
        at_once = self._apps_at_once  # it may shrink while the day is read, the groups must not
        if at_once and (known := apps or self._apps_with_rows(Scope(day))):
            groups = [known[start : start + at_once] for start in range(0, len(known), at_once)]
        for group in groups:
            scope, hours = Scope(day, group), self._hours_at_once.get(group)
            yield from self._read(scope) if hours is None else self._by_hours(scope, spans_of_a_day(hours))

    def _read(self, scope: Scope) -> Iterator[list[RowText]]:
        """Page through a scope; what is too big is split."""
        if not self._exists(scope):
            return
        pager = KeyPager(VISITOR_ID, self._limit, LARGEST_RECORD_LIMIT, scope.bound, visitor_of)
        while not pager.done:
            try:
                yield from self._page(scope, pager)
            except QueryTooBig as error:
                if pager.grown:  # the page is too much, not the scope
                    pager.shrink()
                    continue
                yield from self._parts(replace(scope, bound=pager.bound), error)
                return
            except KeyTooLarge as error:
                alone = is_exact(error.key)  # else a query for this id alone would not find it
                yield from self._parts(replace(scope, bound=Bound("==", error.key) if alone else pager.bound), error)
                if not alone or (scope.bound and scope.bound.operator == "=="):
                    return
                pager.skip(error.key)

    def _page(self, scope: Scope, pager: KeyPager) -> Iterator[list[RowText]]:
        """Read a page; if its body breaks, only what comes after its last complete visitor is asked for again."""
        answer: Answer

        def ask() -> Answer:
            nonlocal answer
            pipeline = self._source.page(replace(scope, bound=pager.bound), pager.limit)
            answer = self._client.aggregate(str(scope), pipeline)
            return answer

        for rows in self._client.rows(ask, "results", pager.broken_off, self._cut_of(scope.day)):
            yield pager.add(rows)
        if scope.hours is None or scope.hours.first == 0:
            self._starts[scope.day] = answer.envelope.get("startTime")
        yield pager.end_page()

    def _parts(self, scope: Scope, cause: Exception) -> Iterator[list[RowText]]:
        """The scope in smaller parts: by application while there are several, then by hour."""
        learn = isinstance(cause, QueryTooBig)
        apps = scope.apps or self._apps_with_rows(scope)
        if len(apps) > 1:
            middle = len(apps) // 2
            if learn:
                with self._lock:
                    self._apps_at_once = min(len(apps) - middle, self._apps_at_once or len(apps))
            self._logger.info(f"{scope}: too much at once ({cause}), split into groups of applications")
            for half in (apps[:middle], apps[middle:]):
                yield from self._read(replace(scope, apps=half))
            return
        halves = (scope.hours or HourSpan()).halves()
        if halves is None and isinstance(cause, NoAnswerInTime):
            raise cause  # not even an hour was answered: Pendo or the network is probably down
        if halves is None:
            raise _cannot_split(self._source.name, scope, cause)
        if learn:
            hours = len(halves[0].hours())
            with self._lock:
                self._hours_at_once[scope.apps] = min(hours, self._hours_at_once.get(scope.apps, hours))
        self._logger.info(f"{scope}: too much at once ({cause}), split into hours")
        scope = replace(scope, apps=apps)
        if scope.hours is None:
            yield from self._by_hours(scope, halves)
        else:
            for span in halves:
                yield from self._read(replace(scope, hours=span))

    def _by_hours(self, scope: Scope, spans: Sequence[HourSpan]) -> Iterator[list[RowText]]:
        """The whole day of a scope by spans of hours, merged to days again if rows are sums."""
        parts = ((span, rows) for span in spans for rows in self._read(replace(scope, hours=span)) if rows)
        if self._source.period == "hour" or not self._source.merge_hours:
            yield from (rows for _, rows in parts)
            return
        busy: HourSpan | None = None
        with HourMerger() as merger:
            for span, rows in parts:
                busy = busy or span
                merger.add(map(decoded, rows))
            if busy is None:
                return
            midnight = self._midnight(scope, busy.hours())
            if midnight is None:
                raise system_error(
                    "Pendo's answers do not say when a day began, so a day that was read by hours cannot be merged. "
                    "Set period to hour, or restrict app_ids, and report it.",
                    f"no row with an hour and no startTime in the hours of {scope.day}",
                )
            yield from (list[RowText](map(dumps, rows)) for rows in merger.merged(midnight))

    def _exists(self, scope: Scope) -> bool:
        """Whether a scope's hours exist on that day. Returns True when unsure.

        On the day on which clocks go forward a query for the hours from 23 on would end before it begins. What Pendo
        answers then is not known.
        """
        span = scope.hours
        if span is None or span.end is not None or span.first < _SURE_HOURS:
            return True
        begin, end = self._midnight(scope), self._midnight(replace(scope, day=scope.day + _DAY))
        return begin is None or end is None or begin + span.first * HOUR_MS < end

    def _midnight(self, scope: Scope, hours: Sequence[int] = (0,)) -> int | None:
        """The instant at which the day began in the subscription's time zone, in epoch milliseconds.

        Asks for single `hours` of the day until an answer says at which instant that hour began.
        """
        for hour in hours:
            if scope.day in self._midnights:
                break
            single = replace(scope, hours=HourSpan(hour, hour + 1), bound=None)
            try:
                answer = self._client.aggregate(f"{single}, midnight", self._source.page(single, 1))
            except QueryTooBig:
                continue
            rows = [row for part in answer.rows("results") for row in part]
            start = rows[0].get("hour") if rows else answer.envelope.get("startTime")
            if isinstance(start, int | float):
                self._midnights[scope.day] = int(start) - hour * HOUR_MS
        return self._midnights.get(scope.day)

    def _apps_with_rows(self, scope: Scope) -> tuple[str, ...]:
        """The applications that have rows in a scope; empty if Pendo cannot say it for all rows.

        The scope can still be read by hours then. A query that Pendo refused for another reason than its size is not
        sent again.
        """
        if not self._can_list_apps:
            return ()
        try:
            rows = self._client.all_rows(f"{scope}, apps", [*self._source.stages(scope), _APPS_WITH_ROWS])
        except Throttled:
            raise
        except AirbyteTracedException as error:
            self._can_list_apps = isinstance(error, QueryTooBig)
            self._logger.info(f"{scope}: Pendo does not list the applications ({error.internal_message})")
            return ()
        found = {app_id_of(row) for row in rows}
        if None in found:
            self._logger.info(f"{scope}: some rows belong to no application, so it cannot be split by application")
            return ()
        return tuple(sorted(app for app in found if app))


def _cannot_split(source: str, scope: Scope, cause: Exception) -> AirbyteTracedException:
    what = "has more rows of one visitor than a page can hold" if isinstance(cause, KeyTooLarge) else "is too much"
    one, way_out = " of one application", "Exclude that application by app_ids"
    if not scope.apps:  # Pendo could not say which applications have rows
        one, way_out = "", "Name the applications in app_ids, so that each can be read alone"
    detail = f"visitor {cause.key!r}" if isinstance(cause, KeyTooLarge) else str(getattr(cause, "internal_message", ""))
    return config_error(
        f"Even one hour{one} {what} for Pendo ({source}, {scope}). {way_out}, or set start_date to a later day; "
        "for such volumes Pendo offers Data Sync. Nothing was skipped: the state stays before that day.",
        f"{source}, {scope}: {detail}",
    )
