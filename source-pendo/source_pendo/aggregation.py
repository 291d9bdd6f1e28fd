"""Pendo's aggregation language, as far as the connector speaks it.

An aggregation is a pipeline: a source, then stages that map rows to rows. `paging` makes pages of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from source_pendo.config import EARLIEST_DAY, Config, Period, is_app_id

Row: TypeAlias = dict[str, Any]
Stage: TypeAlias = dict[str, Any]
Operator: TypeAlias = Literal[">=", ">", "=="]

#: Without this Pendo answers for the default application only, with status 200 and no warning (certain: Pendo's
#: community documentation; for years two connectors read one application without noticing).
ALL_APPS: Final = 'expandAppIds("*")'
HOUR_MS: Final = 3_600_000
#: The one column that every event row has
VISITOR_ID: Final = "visitorId"
#: Hours of the day on which clocks go back
_MOST_HOURS: Final = 25


def quote(text: str) -> str:
    r"""A string literal. `\` first, then `"`: ids with quotes do occur and otherwise end the literal (certain)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def visitors_stage(config: Config) -> Stage:
    """The source of visitors; anonymous ones only if the option asks for them."""
    return {"source": {"visitors": {"identified": not config.include_anonymous_visitors}}}


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a page begins: a comparison with the key."""

    operator: Operator
    key: str

    def filter_on(self, column: str) -> str:
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
        """The span in two, or None if it is one hour already."""
        nominal = self.end if self.end is not None else max(24, self.first + 1)
        middle = self.first + max(1, (nominal - self.first) // 2)
        # [24, end) exists only on a day of 25 hours. It is asked for after [23, end) was too much and hour 23 alone was
        # not.
        splits = self.first < 24 if self.end is None else middle < self.end
        return (HourSpan(self.first, middle), HourSpan(middle, self.end)) if splits else None

    def hours(self) -> range:
        """The numbers of the hours that the span may have."""
        return range(self.first, _MOST_HOURS if self.end is None else self.end)

    def __str__(self) -> str:
        return f"hours {self.first} to {self.end if self.end is not None else 'midnight'}"


def spans_of_a_day(hours: int) -> list[HourSpan]:
    """A whole day in spans of at most `hours` nominal hours."""
    firsts = range(0, 24, hours)
    return [HourSpan(first, first + hours if first + hours < 24 else None) for first in firsts]


def app_parameter(apps: Sequence[str]) -> list[int] | str:
    """The parameter `appId` for some applications (empty: all): numbers (documented), or the expression for all."""
    return [int(app) for app in apps] or ALL_APPS


def day_expression(day: date) -> str:
    """Midnight of a calendar day in the subscription's own time zone, with its DST: only Pendo knows that zone."""
    return f"date({day.year},{day.month},{day.day})"


def day_before(instant: int, days: int) -> str:
    """Midnight of the day that lies some days before that of an instant, which is epoch milliseconds, in UTC.

    In the subscription's time zone a day begins up to 12 hours later than in UTC, so one of `days` is for the zone. No
    day before the first of Pendo.
    """
    day = datetime.fromtimestamp(instant / 1000, UTC).toordinal() - days
    return day_expression(date.fromordinal(max(day, EARLIEST_DAY.toordinal())))


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


@dataclass(frozen=True, slots=True)
class Scope:
    """What one chain of requests reads: a day, some of its applications, object ids (empty: all) and hours.

    `rows` says of each id how many rows Pendo counted; empty if it did not.
    """

    day: date
    apps: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    hours: HourSpan | None = None
    bound: Bound | None = None
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        parts = [self.day.isoformat()]
        if self.hours:
            parts.append(str(self.hours))
        if self.apps:
            parts.append(f"app {self.apps[0]}" if len(self.apps) == 1 else f"{len(self.apps)} apps")
        if self.ids:
            parts.append(f"id {self.ids[0]}" if len(self.ids) == 1 else f"{len(self.ids)} ids")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects by which a source can be divided: the column of their ids, and the address of their list."""

    column: str
    path: str


@dataclass(frozen=True, slots=True)
class EventSource:
    """A source of events: its name in the aggregation language, the period to ask for, the order within a visitor.

    `merge_hours`: rows are sums over the period, so hours must be merged to make a day. `objects`: None where rows
    cannot be asked for by an object's id.
    """

    name: str
    period: Period
    order: tuple[str, ...]
    merge_hours: bool
    objects: Objects | None = None

    def stages(self, scope: Scope) -> list[Stage]:
        """Source and filters of a scope.

        Ids and `appId` exclude each other (documented by Pendo, August 2025; clients in production send both), so
        applications are a filter where there are ids.
        """
        filters = [scope.bound.filter_on(VISITOR_ID)] if scope.bound else []
        if scope.ids and self.objects:
            column = self.objects.column
            parameters: dict[str, Any] = {column: scope.ids[0]} if len(scope.ids) == 1 else {f"{column}s": [*scope.ids]}
            if scope.apps:
                filters.insert(0, " || ".join(f"appId == {app}" for app in scope.apps))
        else:
            parameters = {"appId": app_parameter(scope.apps)}
        series = time_series(scope.day, self.period, scope.hours)
        return [{"source": {self.name: parameters, "timeSeries": series}}, *({"filter": text} for text in filters)]

    def groups(self, scope: Scope, column: str) -> list[Stage]:
        """The values of a column in a scope, each with the number of its rows; of a whole day by day."""
        counted = {"group": {"group": [column], "fields": [{"rows": {"count": None}}]}}
        return [*replace(self, period="day").stages(scope), counted]

    def page(self, scope: Scope, limit: int) -> list[Stage]:
        """One page of a scope, sorted so that a visitor's rows are together."""
        return [*self.stages(scope), {"sort": [VISITOR_ID, *self.order]}, {"limit": limit}]


def app_id_of(row: Mapping[str, Any]) -> str | None:
    """The id of the application that a row is about, as a text of digits; None if the row names none.

    Pendo's documents call the column `appId` and `id`. It comes as a number, as a float (its engine computes in
    floats: second-hand) or as text.
    """
    for name in ("appId", "id"):
        value = row.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(value).strip().removesuffix(".0")
        if is_app_id(text):
            return text
    return None
