"""Hours, days, weeks, months and quarters in the subscription's time zone.

Instants are milliseconds since 1970. The value of a bucket is the instant at which it starts, so `day` is the local
midnight. Its offset from UTC changes with daylight saving time, and a day can last 23 or 25 hours (certain: the
vendor's sample rows).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

PERIODS = {"hourRange": "hour", "dayRange": "day", "weekRange": "week", "monthRange": "month"}
"""Periods of a `timeSeries`, each with the bucket column of its rows."""

_UNITS = {"hours": "hour", "days": "day", "weeks": "week", "months": "month"}
_ADVERBS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter"}
# The documentation's reference has the adverbs, and one of its examples has the period of a time series.
_PERIOD_NAMES = _ADVERBS | PERIODS


class Calendar:
    """Calendar arithmetic of one time zone."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.start_of = lru_cache(maxsize=100_000)(self._start_of)

    def midnight(self, day: date) -> int:
        """The instant at which a local day starts."""
        return self.instant(datetime(day.year, day.month, day.day))  # noqa: DTZ001  a local time

    def instant(self, local: datetime) -> int:
        """The instant of a local date and time."""
        return int(local.replace(tzinfo=self.zone).timestamp() * 1000)

    def day_of(self, ms: int) -> date:
        """The local day that contains an instant."""
        return datetime.fromtimestamp(ms / 1000, self.zone).date()

    def _start_of(self, bucket: str, ms: int) -> int:
        """The start of the bucket (`hour`, `day`, `week`, `month`, `quarter`) that contains an instant.

        Weeks start on Sunday (documented).
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
        """Move an instant by whole buckets. An hour is 3,600 s; the other buckets keep the local time of day."""
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

    def start_of_period(self, period: str, ms: int) -> int:
        """`startOfPeriod("daily", ms)` or `startOfPeriod("dayRange", ms)`; KeyError for an unknown period."""
        return self.start_of(_PERIOD_NAMES[period], ms)

    def window(self, bucket: str, first: int, last: int | None, count: int | None) -> tuple[int, int]:
        """The window of a query: its first instant, and the first instant after it.

        `first` and `last` are rounded down to their buckets, and the bucket of `last` is included. A positive `count`
        takes that many buckets from the one of `first` on. A negative one takes the buckets before it.
        """
        start = self.start_of(bucket, first)
        if last is not None:
            end = self.add(bucket, self.start_of(bucket, last), 1)
        elif count is not None and count >= 0:
            end = self.add(bucket, start, count)
        else:
            start, end = self.add(bucket, start, count or 0), start
        return start, max(start, end)
