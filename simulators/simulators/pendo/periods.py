"""Hours, days, weeks, months and quarters in the subscription's own time zone.

Instants are milliseconds since the epoch. A bucket is named by the instant at which it starts, so `day` is local
midnight: its offset from UTC moves with daylight saving time and a day may last 23 or 25 hours (certain: vendor's
sample rows).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

PERIODS = {"hourRange": "hour", "dayRange": "day", "weekRange": "week", "monthRange": "month"}
"""Periods with one answer over the whole window, and the bucket column that their rows carry."""

_UNITS = {"hours": "hour", "days": "day", "weeks": "week", "months": "month"}
_ADVERBS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter"}


class Calendar:
    """Calendar arithmetic of one time zone."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.start_of = lru_cache(maxsize=100_000)(self._start_of)

    def midnight(self, day: date) -> int:
        """The instant at which a local day starts."""
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * 1000

    def day_of(self, ms: int) -> date:
        """The local day that contains an instant."""
        return datetime.fromtimestamp(ms / 1000, self.zone).date()

    def _start_of(self, bucket: str, ms: int) -> int:
        """Round down to the bucket (`hour` ...

        `quarter`) that contains an instant. Weeks start on Sunday (unverified).
        """
        local = datetime.fromtimestamp(ms / 1000, self.zone)
        if bucket == "hour":
            offset = local.utcoffset() or timedelta(0)
            return ms - (ms + int(offset.total_seconds()) * 1000) % HOUR_MS
        day = local.date()
        if bucket == "week":
            day -= timedelta(days=(day.weekday() + 1) % 7)
        elif bucket == "month":
            day = day.replace(day=1)
        elif bucket == "quarter":
            day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        return self.midnight(day)

    def add(self, bucket: str, ms: int, count: int) -> int:
        """Move an instant by whole buckets: hours are 3,600 s, the others keep the local time of day."""
        if bucket == "hour":
            return ms + count * HOUR_MS
        local = datetime.fromtimestamp(ms / 1000, self.zone)
        if bucket == "month":
            months = local.year * 12 + local.month - 1 + count
            first = local.replace(year=months // 12, month=months % 12 + 1, day=1)
            next_first = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
            last_day = (next_first - timedelta(days=1)).day
            moved = first.replace(day=min(local.day, last_day))
        else:
            moved = local + timedelta(days=count * {"day": 1, "week": 7}[bucket])
        return int(moved.timestamp() * 1000)

    def date_add(self, ms: int, count: int, unit: str) -> int:
        """`dateAdd(ms, count, unit)`; KeyError for an unknown unit."""
        return self.add(_UNITS[unit], ms, count)

    def start_of_period(self, adverb: str, ms: int) -> int:
        """`startOfPeriod("daily", ms)`; KeyError for an unknown period."""
        return self.start_of(_ADVERBS[adverb], ms)

    def window(self, bucket: str, first: int, last: int | None, count: int | None) -> tuple[int, int]:
        """Turn `first` with `last` or `count` into the half-open span of instants that a query covers.

        Both ends are rounded down to their bucket and the bucket of `last` belongs to the window. A positive count goes
        forward from the bucket of `first`; a negative one takes the buckets that end just before it.
        """
        start = self.start_of(bucket, first)
        if last is not None:
            end = self.add(bucket, self.start_of(bucket, last), 1)
        elif count is not None and count >= 0:
            end = self.add(bucket, start, count)
        else:
            start, end = self.add(bucket, start, count or 0), start
        return start, max(start, end)
