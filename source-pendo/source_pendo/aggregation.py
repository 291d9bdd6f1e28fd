"""Pendo's aggregation language, as far as the connector speaks it, and the protocol that pages through it.

An aggregation is a pipeline: a source, then stages that map rows to rows. It has no paging of its own (certain: two
vendors' documentation says so), so pages are made by key: sort by a key, take `limit` rows, hold back the rows of the
last key, ask again from that key on. No offset and no timestamp is involved, which is what makes it exact: all rows of
a day carry the same `day`, so a time cursor could never move past a day with more rows than a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, TypeAlias

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_pendo.config import Period

Row: TypeAlias = dict[str, Any]
Stage: TypeAlias = dict[str, Any]
Operator: TypeAlias = Literal[">=", ">", "=="]

#: Without this Pendo answers for the default application only, with status 200 and no warning (certain: Pendo's
#: community documentation; for years two connectors read one application without noticing).
ALL_APPS: Final = 'expandAppIds("*")'
HOUR_MS: Final = 3_600_000
#: Hours of the day on which clocks go back
_MOST_HOURS: Final = 25


def quote(text: str) -> str:
    r"""A string literal. `\` first, then `"`: ids with quotes do occur and otherwise end the literal (certain)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def app_parameter(apps: Sequence[str]) -> str | list[str]:
    """The `appId` of a source: the given applications, or all of them."""
    return list(apps) if apps else ALL_APPS


def envelope(label: str, pipeline: Sequence[Stage]) -> dict[str, Any]:
    """The body of an aggregation request. `label` appears in Pendo's own logs and in a simulator's."""
    return {
        "response": {"mimeType": "application/json"},
        "request": {"requestId": label, "pipeline": list(pipeline)},
    }


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a page begins: a comparison with the key."""

    operator: Operator
    key: str

    def filter_on(self, column: str) -> str:
        """The filter expression."""
        return f"{column} {self.operator} {quote(self.key)}"


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Hours of a calendar day, counted from its midnight: `first` up to, not with, `end`; None is the day's end.

    A day has 23, 24 or 25 hours and the connector does not know the time zone, so the last span of a day is bounded
    by the next day and never by a count.
    """

    first: int = 0
    end: int | None = None

    def halves(self) -> tuple[HourSpan, HourSpan] | None:
        """The span in two, or None where it is one hour already."""
        nominal = self.end if self.end is not None else max(24, self.first + 1)
        middle = self.first + max(1, (nominal - self.first) // 2)
        if self.end is None:
            # [24, end) exists on a day of 25 hours only: it is asked for only after [23, end) proved to be too much
            # and hour 23 alone was not.
            return (HourSpan(self.first, middle), HourSpan(middle)) if self.first < 24 else None
        return (HourSpan(self.first, middle), HourSpan(middle, self.end)) if middle < self.end else None

    def places(self) -> range:
        """The hours that the span may have, by their places in the day."""
        return range(self.first, _MOST_HOURS if self.end is None else self.end)

    def pieces(self, hours: int) -> list[HourSpan]:
        """The whole day in spans of at most `hours` nominal hours."""
        firsts = range(0, 24, hours)
        return [HourSpan(first, first + hours if first + hours < 24 else None) for first in firsts]

    def __str__(self) -> str:
        return f"hours {self.first} to {self.end if self.end is not None else 'midnight'}"


def day_expression(day: date) -> str:
    """Midnight of a calendar day in the subscription's own time zone, DST and all: only Pendo knows it."""
    return f"date({day.year},{day.month},{day.day})"


def time_series(day: date, period: Period, hours: HourSpan | None = None) -> dict[str, Any]:
    """The `timeSeries` of one calendar day or of some of its hours.

    Never milliseconds of UTC midnight: both ends are rounded down to the bucket that contains them in the
    subscription's time zone, so west of Greenwich they would mean the day before (certain: Pendo's sample rows).
    """
    if hours is None and period == "day":
        return {"period": "dayRange", "first": day_expression(day), "count": 1}
    span = hours or HourSpan()
    first = day_expression(day) + (f" + {span.first * HOUR_MS}" if span.first else "")
    if span.end is None:
        # `last` names the hour that contains it and is inclusive: one millisecond before the next midnight.
        return {"period": "hourRange", "first": first, "last": f"{day_expression(day + timedelta(days=1))} - 1"}
    return {"period": "hourRange", "first": first, "count": span.end - span.first}


class KeyTooLarge(Exception):
    """One key has more rows than the largest page."""

    def __init__(self, key: str) -> None:
        super().__init__("one key has more rows than the largest page")
        self.key = key


class KeyPager:
    """Pages through rows sorted by a text key that is never null.

    A page is fed in chunks, and what is certain to be complete comes out at once: only the rows of the key that was
    read last are held, because the next page may have more of them. `bound` and `limit` describe the page to ask for;
    `done` says that there is none.

    The protocol loses nothing, repeats nothing and ends, as long as the server's `sort` and its comparison agree with
    each other; which collation that is does not matter, so keys are never compared here except for equality.
    """

    def __init__(self, column: str, limit: int, largest: int, bound: Bound | None = None) -> None:
        self.bound = bound
        self.limit = limit
        self.done = False
        self._column = column
        self._page_limit = limit
        self._largest = max(largest, limit)
        self._left: set[str] = set()
        self._held: list[Row] = []
        self._count = 0

    def add(self, rows: list[Row]) -> list[Row]:
        """Take rows of the page; returns the rows, earlier ones first, whose key has no more rows in this page."""
        self._count += len(rows)
        column = self._column
        last = rows[-1].get(column)
        start = len(rows) - 1
        while start and rows[start - 1].get(column) == last:
            start -= 1
        if start == 0 and self._held and self._held[-1].get(column) == last:
            self._held += rows
            return []
        ready = self._held + rows[:start] if self._held else rows[:start]
        self._held = rows[start:]
        return ready

    def end_page(self) -> list[Row]:
        """Close the page; returns what was held and is complete after all. Moves to the next page."""
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if count < self.limit:
            self.done = True
            return held
        self._continue_at(held, only_key=len(held) == count)
        return []

    def broken_off(self) -> None:
        """The page broke in the middle: go on where its last key began."""
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if held and len(held) < count:
            self._continue_at(held, only_key=False)

    def skip(self, key: str) -> None:
        """Go on behind a key whose rows were read in another way."""
        self.bound = Bound(">", key)
        self.limit = self._page_limit

    def shrink(self, limit: int) -> None:
        """Ask for smaller pages from here on."""
        self.limit = self._page_limit = limit

    def _continue_at(self, held: list[Row], *, only_key: bool) -> None:
        key = held[0].get(self._column)
        if not isinstance(key, str):
            msg = f"a row has no {self._column}, by which its page is followed by the next"
            raise _no_progress(msg)
        if only_key:
            if self.limit >= self._largest:
                raise KeyTooLarge(key)
            self.limit = min(self.limit * 2, self._largest)
            return
        if key in self._left:
            msg = "a page began again where an earlier one did"
            raise _no_progress(msg)
        self._left.add(key)
        self.bound = Bound(">=", key)
        self.limit = self._page_limit


def _no_progress(what: str) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=(
            "Pendo's pages do not move forward, so the stream was stopped before it ran for ever or lost rows. "
            "Run the sync again; if it happens again, report it."
        ),
        internal_message=what,
        failure_type=FailureType.system_error,
    )


def entity_filter(low_ms: int, high_ms: int, after: tuple[int, str] | None, cursor: str, key: str) -> str:
    """Entities changed from `low_ms` to `high_ms`, both included, behind the row `after` (its time and key).

    Bulk uploads stamp thousands of rows with one millisecond (certain: Pendo's own sample), so time alone cannot page.
    """
    if after is None:
        begin = f"{cursor} >= {low_ms}"
    else:
        at, last_key = after
        begin = f"({cursor} > {at} || ({cursor} == {at} && {key} > {quote(last_key)}))"
    return f"{begin} && {cursor} <= {high_ms}"


def source_stage(name: str, parameters: Mapping[str, Any] | None, series: Mapping[str, Any] | None = None) -> Stage:
    """The first stage: a source, with its time series where it is one of events."""
    source: dict[str, Any] = {name: dict(parameters) if parameters else None}
    if series is not None:
        source["timeSeries"] = dict(series)
    return {"source": source}
