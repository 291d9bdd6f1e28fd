"""Reads one calendar day of an event source, however large, in parts that Pendo can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final, TypeAlias

from source_kit.errors import system_error
from source_kit.http.client import Answer
from source_kit.json_text import dumps

from source_pendo.aggregation import HOUR_MS, VISITOR_ID, Bound, EventSource, HourSpan, Row, Scope, Stage
from source_pendo.client import PendoClient, QueryTooBig
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.day_notes import DayNote, DayNotes
from source_pendo.day_parts import REFUSED, DayParts
from source_pendo.event_rows import Cut, RowText, cut, decoded, visitor_of
from source_pendo.hour_merge import HourMerger
from source_pendo.paging import KeyPager, KeyTooLarge, is_exact

_DAY: Final = timedelta(days=1)
#: Every day has this many hours; whether it has one or two more depends on the time zone, which only Pendo knows
_SURE_HOURS: Final = 23
#: Rows, and the part of a scope of which they are
_PartRows: TypeAlias = tuple[Scope, list[RowText]]


class DayReader:
    """Reads days of one source for one sync, by several threads at a time.

    A day is first asked for whole. What is too much for Pendo (status 408, "Query exceeded memory limit", no answer
    within the time-out), or what it refuses to answer by hour, is divided by `DayParts`. The next days are divided the
    same way at once. An hour of one application or object that is still too much fails the day.
    """

    def __init__(
        self,
        source: EventSource,
        client: PendoClient,
        limit: int,
        cut_of: Callable[[date], Cut] = lambda day: cut,
        apps: tuple[str, ...] = (),
    ) -> None:
        """`cut_of` returns what cuts the rows of a day out of an answer. `apps` are read; empty for all."""
        self._source = source
        self._cut_of = cut_of
        self._client = client
        self._limit = limit
        self._apps = apps
        self._notes = DayNotes(apps)
        self._parts = DayParts(source, client, self._notes, self._ask)
        self._midnights: dict[date, int] = {}
        #: Whether Pendo takes `details`; None: not known
        self._details: bool | None = None if source.merge_hours else False

    def note_of(self, day: date) -> DayNote:
        """What Pendo's answers said about a day that was read. It is not kept."""
        return self._notes.take(day)

    def read(self, day: date) -> Iterator[list[RowText]]:
        """The day's rows as Pendo sends them, all rows of a visitor, application and object in one list."""
        return self._read(Scope(day, self._apps))

    def _read(self, scope: Scope) -> Iterator[list[RowText]]:
        """Page through a scope; what is too big or refused is divided."""
        refusals = self._parts.refusals
        parts = self._parts.known(scope)
        if parts is not None:
            yield from self._in_parts(scope, parts, refusals, lambda: self._read(scope))
            return
        if not self._exists(scope):
            return
        pager, count = KeyPager(VISITOR_ID, self._limit, LARGEST_RECORD_LIMIT, scope.bound, visitor_of), 0
        while not pager.done:
            try:
                for rows in self._page(scope, pager):
                    count += len(rows)
                    yield rows
            except QueryTooBig as error:
                if pager.grown:  # the page is too much, not the scope
                    pager.shrink()
                    continue
                yield from self._divided(_from(scope, pager.bound), error)
                return
            except KeyTooLarge as error:
                alone = is_exact(error.key)  # else a query for this id alone would not find it
                bound = Bound("==", error.key) if alone else pager.bound
                yield from self._divided(_from(scope, bound), error)
                if not alone or (scope.bound and scope.bound.operator == "=="):
                    return
                pager.skip(error.key)
                scope = replace(scope, rows=())
            except REFUSED as error:
                yield from self._all(scope, self._parts.after(_from(scope, pager.bound), error))
                return
        self._parts.check(scope, count)

    def _page(self, scope: Scope, pager: KeyPager) -> Iterator[list[RowText]]:
        """Read a page; if its body breaks, only what comes after its last complete visitor is asked for again."""
        answer: Answer

        def ask() -> Answer:
            nonlocal answer
            answer = self._aggregate(str(scope), self._source.page(replace(scope, bound=pager.bound), pager.limit))
            return answer

        for rows in self._client.rows(ask, "results", pager.broken_off, self._cut_of(scope.day)):
            yield pager.add(rows)
        self._notes.add(scope, answer.envelope)
        yield pager.end_page()

    def _divided(self, scope: Scope, cause: Exception) -> Iterator[list[RowText]]:
        """The scope in smaller parts."""
        refusals = self._parts.refusals
        parts = self._parts.smaller(scope, cause)
        yield from self._in_parts(scope, parts, refusals, lambda: self._divided(scope, cause))

    def _in_parts(
        self, scope: Scope, parts: Sequence[Scope], refusals: int, again: Callable[[], Iterator[list[RowText]]]
    ) -> Iterator[list[RowText]]:
        """All parts of a scope. If Pendo has refused another way to divide since `refusals`, `again` divides anew."""
        try:
            yield from self._all(scope, parts)
            return
        except REFUSED:
            if scope.ids or self._parts.refusals == refusals:
                raise
        yield from again()

    def _all(self, whole: Scope, parts: Sequence[Scope]) -> Iterator[list[RowText]]:
        """All parts of a scope. The hours of a day are merged to the day again if rows are sums."""
        read: Iterator[_PartRows] = ((part, rows) for part in parts for rows in self._read(part) if rows)
        if whole.hours is None and any(part.hours for part in parts):
            read = self._of_hours(whole, read)
            if self._source.period == "day" and self._source.merge_hours:
                yield from self._merged(whole, read)
                return
        yield from (rows for _, rows in read)

    def _of_hours(self, whole: Scope, read: Iterator[_PartRows]) -> Iterator[_PartRows]:
        """The rows of a scope's hours, counted: each row of a day is in at least one of its hours."""
        count = 0
        for part, rows in read:
            count += len(rows)
            yield part, rows
        self._parts.check(whole, count)

    def _merged(self, whole: Scope, read: Iterator[_PartRows]) -> Iterator[list[RowText]]:
        """The rows of a scope's hours, merged to rows of the day."""
        busy: HourSpan | None = None
        with HourMerger() as merger:
            for part, rows in read:
                busy = busy or part.hours
                merger.add(map(decoded, rows))
            if busy is None:
                return
            midnight = self._midnight(whole, busy.hours())
            if midnight is None:
                raise system_error(
                    "Pendo's answers do not say when a day began, so a day that was read by hours cannot be merged. "
                    "Set period to hour, or restrict app_ids, and report it.",
                    f"no row with an hour and no startTime in the hours of {whole.day}",
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
                answer = self._aggregate(f"{single}, midnight", self._source.page(single, 1))
            except QueryTooBig:
                continue
            rows = [row for part in answer.rows("results") for row in part]
            start = rows[0].get("hour") if rows else answer.envelope.get("startTime")
            if isinstance(start, int | float):
                self._midnights[scope.day] = int(start) - hour * HOUR_MS
        return self._midnights.get(scope.day)

    def _aggregate(self, label: str, pipeline: Sequence[Stage]) -> Answer:
        """Pendo documents `details` (how far it has processed) for the sources of sums.

        No client in production is known to send it. So if it was never answered, a query that Pendo has no other reason
        to refuse, by day and without ids, is sent again without it. If that is answered, no later query has it.
        """
        details = self._details
        try:
            answer = self._client.aggregate(label, pipeline, details=details is not False)
        except REFUSED:
            source = pipeline[0]["source"]
            plain = source["timeSeries"]["period"] == "dayRange" and "appId" in source[self._source.name]
            if details is not None or not plain:
                raise
            answer = self._client.aggregate(label, pipeline)
            self._details = False
            self._client.logger.info(f"{label}: Pendo refuses to say how far it has processed the applications")
        else:
            self._details = details is not False
        return answer

    def _ask(self, scope: Scope, what: str, pipeline: Sequence[Stage]) -> list[Row]:
        """The rows of a question about a scope."""
        answer = self._aggregate(f"{scope}, {what}", pipeline)
        rows = [row for part in answer.rows("results") for row in part]
        self._notes.add(scope, answer.envelope)
        return rows


def _from(scope: Scope, bound: Bound | None) -> Scope:
    """The scope from a bound on, whose rows nobody counted."""
    return scope if bound == scope.bound else replace(scope, bound=bound, rows=())
