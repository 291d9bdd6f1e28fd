"""Metric series to rows: arrays without dates become one row a period.

Version 2 of the vendor's metrics says where its series begins. Version 1 sends no dates: its periods end with the
present one, in Eastern time (certain: vendor documentation), so their starts are computed and only approximate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from source_kit.stream import Record

#: The clock of version 1's periods
EASTERN = ZoneInfo("America/New_York")

#: `2025-01-01 00:00:00 +0000 UTC`, as the language Go prints a time; the name of the zone repeats the offset
_GO_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?)(?: ([+-]\d{2})(\d{2})(?: \S+)?| UTC)")


class Resolution(Enum):
    """How long a period is."""

    DAYS = "days"
    MONTHS = "months"

    def floor(self, at: datetime) -> datetime:
        """Start of the period that `at` lies in, on the clock of `at`'s zone."""
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return day.replace(day=1) if self is Resolution.MONTHS else day

    def shift(self, start: datetime, periods: int) -> datetime:
        """Start of the period that lies `periods` after (negative: before) the one that begins at `start`."""
        if self is Resolution.DAYS:
            return start + timedelta(days=periods)
        months = start.year * 12 + start.month - 1 + periods
        return start.replace(year=months // 12, month=months % 12 + 1)


def months_touched(start: datetime, end: datetime) -> int:
    """How many months touch the time from `start` to `end`, both included, on the clock of `end`; at least one."""
    first = start.astimezone(end.tzinfo)
    return max(1, (end.year - first.year) * 12 + end.month - first.month + 1)


def instant_or_none(value: object) -> datetime | None:
    """An instant as version 2 writes it, as ISO 8601 or in epoch seconds; None for anything else.

    Also None before 1970: the vendor writes the year 1 for a time that was never set.
    """
    try:
        if type(value) is int:
            at = datetime.fromtimestamp(value, UTC)
        else:
            match = _GO_INSTANT.fullmatch(str(value))
            at = datetime.fromisoformat("{}T{}{}{}".format(*match.groups("")) if match else str(value))
    except (ValueError, OverflowError, OSError):
        return None
    if at.year < 1970:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def from_start(series: Mapping[str, Sequence[Any]], start: datetime, resolution: Resolution) -> Iterator[Record]:
    """A row for each period, its start in epoch seconds; the first begins at `start`. A value that is null is none."""
    for index, values in enumerate(zip_longest(*series.values())):
        metrics = {name: value for name, value in zip(series, values, strict=True) if value is not None}
        yield {"period_start": int(resolution.shift(start, index).timestamp()), "metrics": metrics}


def until_now(series: Mapping[str, Sequence[Any]], now: datetime, resolution: Resolution) -> Iterator[Record]:
    """Rows of a series whose last period is the one that `now` lies in, on Eastern time's clock. Oldest first."""
    length = max(map(len, series.values()), default=0)
    first = resolution.shift(resolution.floor(now.astimezone(EASTERN)), 1 - length)
    aligned = {name: [*[None] * (length - len(array)), *array] for name, array in series.items()}
    return from_start(aligned, first, resolution)
