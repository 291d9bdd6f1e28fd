"""Pendo's aggregation language, as far as the connector speaks it, and the protocol that pages through it.

An aggregation is a pipeline: a source, then stages that map rows to rows. It has no paging of its own (certain: two
vendors' documentation says so), so pages are made by key: sort by a key, take `limit` rows, hold back the rows of the
last key, ask again from that key on. No offset and no timestamp is involved, which is what makes it exact: all rows of
a day carry the same `day`, so a time cursor could never move past a day with more rows than a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, TypeAlias

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_pendo.config import Period, is_app_id

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


#: U+FFFD stands for bytes that were no text: Pendo cuts ids at 128 bytes (reported), in the middle of a letter if it
#: must. What the expression language makes of control characters and of Unicode's specials is not known.
_NOT_EXACT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff0-\uffff]")
_NOT_PLAIN: Final = re.compile("""["'`\\\\]""")


def is_exact(key: str) -> bool:
    """Whether a comparison with this key compares with the very id that Pendo has."""
    return not _NOT_EXACT.search(key)


def may_begin_at(key: str) -> bool:
    """Whether a page may begin at this key: it goes back to Pendo byte for byte, and as it is."""
    return is_exact(key) and not _NOT_PLAIN.search(key)


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


def app_id_of(row: Mapping[str, Any]) -> str | None:
    """The application of a row that is about one, as a text of digits; None where it names none.

    Pendo's documents call it `appId` and `id`, and it comes as a number, as a float (its engine computes in floats:
    second-hand) or as text.
    """
    for name in ("appId", "id"):
        value = row.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = value.strip().removesuffix(".0") if isinstance(value, str) else str(value)
        if not isinstance(value, bool) and is_app_id(text):
            return text
    return None


class KeyTooLarge(Exception):
    """One key has more rows than the largest page, or no key of it is one at which a page could begin."""

    def __init__(self, key: str) -> None:
        super().__init__("one key has more rows than the largest page")
        self.key = key


class KeyPager:
    """Pages through rows sorted by a text key that is never null.

    A page is fed in chunks, and what is certain to be complete comes out at once: only the last rows are held, because
    the next page has them again and may have more of them. `filter`, `order` and `limit` describe the page to ask for;
    `done` says that there is none.

    A page begins only where it is certain what the server makes of its bound. Its collation is not known, it may take
    `Ann` and `ann` for one key and mix their rows: keys that differ in case only stay together, which under any other
    collation holds a few rows longer and no more. An id that does not come back to Pendo byte for byte, because it was
    cut in the middle of a letter or holds control characters, would skip rows: no page ever begins at one. And Pendo
    tells its customers that ids with quotes or backslashes may misbehave (certain), so no page begins at one of these,
    unless more of them in a row than the largest page holds leave no choice.

    The protocol loses nothing, repeats nothing and ends, as long as the server's `sort` and its comparison agree with
    each other.
    """

    def __init__(self, column: str, limit: int, largest: int, bound: Bound | None = None) -> None:
        self.bound = bound
        self.limit = limit
        self.done = False
        self._column = column
        self._page_limit = limit
        self._largest = max(largest, limit)
        self._left: set[Bound] = set()
        self._held: list[Row] = []
        self._count = 0

    @property
    def order(self) -> list[str]:
        """The columns by which the rows must be sorted."""
        return [self._column]

    @property
    def filter(self) -> str | None:
        """The filter of the page to ask for; None for a page without one."""
        return self.bound.filter_on(self._column) if self.bound else None

    def add(self, rows: list[Row]) -> list[Row]:
        """Take rows of the page; returns the rows, earlier ones first, that the next page will not have again."""
        self._count += len(rows)
        start = len(rows) - 1
        while start and not self._may_begin(rows[start], rows[start - 1]):
            start -= 1
        if start == 0 and self._held and not self._may_begin(rows[0], self._held[-1]):
            self._held += rows
            return []
        ready = self._held + rows[:start] if self._held else rows[:start]
        self._held = rows[start:]
        return ready

    def end_page(self) -> list[Row]:
        """Close the page; returns what was held and is complete after all. Moves to the next page.

        Raises KeyTooLarge where one key fills the largest page, or only keys at which no page can begin.
        """
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if count < self.limit:
            self.done = True
            return held
        begin = self._bound_at(held[0])
        if len(held) < count:
            self._continue_at(begin)
        elif self.limit < self._largest:
            self.limit = min(self.limit * 2, self._largest)
        else:
            start = len(held) - 1
            while start and not self._may_begin(held[start], held[start - 1], is_exact):
                start -= 1
            if not start:
                raise KeyTooLarge(begin.key)
            self._continue_at(self._bound_at(held[start]))
            return held[:start]
        return []

    def broken_off(self) -> None:
        """The page broke in the middle: go on where the rows begin that were held."""
        held, self._held = self._held, []
        count, self._count = self._count, 0
        if held and len(held) < count:
            self._continue_at(self._bound_at(held[0]))

    def skip(self, key: str) -> None:
        """Go on behind a key whose rows were read in another way."""
        self.bound = Bound(">", key)
        self.limit = self._page_limit

    @property
    def grown(self) -> bool:
        """Whether the page to ask for is larger than the others, because of the ids that were met."""
        return self.limit > self._page_limit

    def shrink(self) -> None:
        """After a page that was too much: pages of half the size, or of the usual one where this one had grown.

        None is larger from here on, whatever it holds.
        """
        self.limit = self._page_limit = self._largest = self._page_limit if self.grown else self.limit // 2

    def _may_begin(self, row: Row, before: Row, at: Callable[[str], bool] = may_begin_at) -> bool:
        """Whether a page may begin at a row that comes behind another."""
        key = row.get(self._column)
        return self._run(row) != self._run(before) and not (isinstance(key, str) and not at(key))

    def _run(self, row: Row) -> Hashable:
        """What the rows have in common that must stay together."""
        key = row.get(self._column)
        return key.casefold() if isinstance(key, str) else key

    def _bound_at(self, row: Row) -> Bound:
        """The bound of a page that begins at a row."""
        key = row.get(self._column)
        if not isinstance(key, str):
            msg = f"a row has no {self._column}, by which its page is followed by the next"
            raise no_progress(msg)
        return Bound(">=", key)

    def _continue_at(self, bound: Bound) -> None:
        if bound in self._left:
            msg = "a page began again where an earlier one did"
            raise no_progress(msg)
        self._left.add(bound)
        self.bound = bound
        self.limit = self._page_limit


@dataclass(frozen=True, slots=True)
class ChangeBound(Bound):
    """Where a page of changes begins: a time of change in epoch milliseconds, and a key among the changes then."""

    at: int


class ChangePager(KeyPager):
    """Pages through rows sorted by the time of their last change, then by key.

    Bulk uploads stamp thousands of rows with one millisecond (certain: Pendo's own sample), so time alone cannot page.
    """

    def __init__(
        self,
        cursor: str,
        column: str,
        limit: int,
        largest: int,
        *,
        span: tuple[int, int],
        position: Callable[[Row], tuple[int, str]],
    ) -> None:
        """`span` is the first and the last millisecond; `position` tells time and key of a row or raises."""
        super().__init__(column, limit, largest)
        self._cursor = cursor
        self._span = span
        self._position = position

    @property
    def order(self) -> list[str]:
        """By time, then by key."""
        return [self._cursor, self._column]

    @property
    def filter(self) -> str:
        """Changes within the span, from the bound on."""
        cursor, (low, high) = self._cursor, self._span
        begin = f"{cursor} >= {low}"
        if isinstance(self.bound, ChangeBound):
            at = self.bound.at
            begin = f"({cursor} > {at} || ({cursor} == {at} && {self.bound.filter_on(self._column)}))"
        return f"{begin} && {cursor} <= {high}"

    def _run(self, row: Row) -> Hashable:
        at, key = self._position(row)
        return at, key.casefold()

    def _bound_at(self, row: Row) -> Bound:
        at, key = self._position(row)
        return ChangeBound(">=", key, at)


def no_progress(what: str) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=(
            "Pendo's pages do not move forward, so the stream was stopped before it ran for ever or lost rows. "
            "Run the sync again; if it happens again, report it."
        ),
        internal_message=what,
        failure_type=FailureType.system_error,
    )


def source_stage(name: str, parameters: Mapping[str, Any] | None, series: Mapping[str, Any] | None = None) -> Stage:
    """The first stage: a source, with its time series where it is one of events."""
    source: dict[str, Any] = {name: dict(parameters) if parameters else None}
    if series is not None:
        source["timeSeries"] = dict(series)
    return {"source": source}
