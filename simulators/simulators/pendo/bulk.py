"""Many page events, for benchmarks: rows of realistic width, kept only in encoded form.

Each row lies in one hour, so the hourly and the daily answer have the same rows. The rows of a day are made at the
first request for them, and kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from simulators.pendo.definitions import Definition
from simulators.pendo.periods import HOUR_MS, Calendar
from simulators.pendo.tables import Table

_WEIGHTS = (13, 7, 10, 12, 8, 10)
"""How the rows are spread over the days. Some days fill more than one page, some fill less than one."""
_ROWS_A_VISITOR = 12


@dataclass(frozen=True)
class _Day:
    """The rows of one day in the order of `visitorId`. The four lists have one entry a row."""

    lines: list[bytes]
    hours: list[int]
    apps: list[int]
    pages: list[str]


class BulkPageEvents:
    """`rows` page events, spread over the last `days` full days before an instant."""

    def __init__(
        self, seed: int, rows: int, days: int, before: int, calendar: Calendar, pages: Sequence[Definition]
    ) -> None:
        self._seed = seed
        self._calendar = calendar
        self._pages = pages
        today = calendar.start_of("day", before)
        starts = [calendar.add("day", today, offset - days) for offset in range(days)]
        weights = [_WEIGHTS[number % len(_WEIGHTS)] for number in range(days)]
        counts = [rows * weight // sum(weights) for weight in weights]
        counts[0] += rows - sum(counts)
        self._counts = dict(zip(starts, counts, strict=True))
        self._days: dict[tuple[str, int], _Day] = {}

    def table(
        self, bucket: str, start: int, end: int, apps: frozenset[int] | None, ids: Mapping[str, frozenset[str]]
    ) -> Table:
        """The rows of a window, for some apps and pages."""
        lines: list[bytes] = []
        page_ids = ids.get("pageId")
        for day_start in self._counts:
            day_end = self._calendar.add("day", day_start, 1)
            if day_end <= start or day_start >= end:
                continue
            day = self._day(bucket, day_start)
            if apps is None and page_ids is None and start <= day_start and day_end <= end:
                lines += day.lines
                continue
            lines += [
                line
                for line, hour, app, page in zip(day.lines, day.hours, day.apps, day.pages, strict=True)
                if start <= hour < end and (apps is None or app in apps) and (page_ids is None or page in page_ids)
            ]
        return Table(encoded=lines)

    def make_days(self) -> None:
        """Make the daily rows now. A benchmark then does not measure their making."""
        for day_start in self._counts:
            self._day("day", day_start)

    def _day(self, bucket: str, start: int) -> _Day:
        key = (bucket, start)
        if key not in self._days:
            self._days[key] = self._make(bucket, start)
        return self._days[key]

    def _make(self, bucket: str, start: int) -> _Day:
        rng = random.Random(f"{self._seed}/bulk/{start}")
        made = _Day([], [], [], [])
        count = self._counts[start]
        hours = (self._calendar.add("day", start, 1) - start) // HOUR_MS
        names = ("hour",) if bucket == "hour" else ("day", "week", "month", "quarter")
        pages = [(page.app, page.row["id"]) for page in self._pages]
        visitor = b""
        for number in range(count):
            if number % _ROWS_A_VISITOR == 0:
                visitor = _visitor_part(rng, number // _ROWS_A_VISITOR)
            hour = start + rng.randrange(hours) * HOUR_MS
            app, page = pages[rng.randrange(len(pages))]
            buckets = b",".join(b'"%b":%d' % (name.encode(), self._calendar.start_of(name, hour)) for name in names)
            made.lines.append(_line(rng, visitor, app, page.encode(), buckets, hour))
            made.hours.append(hour)
            made.apps.append(app)
            made.pages.append(page)
        return made


def _visitor_part(rng: random.Random, number: int) -> bytes:
    """The columns that all rows of a visitor share, as the beginning of a JSON object."""
    columns = {
        "visitorId": f"firstname.lastname{number:06}@customer-{number % 997:03}.example.com",
        "accountId": f"customer-{number % 997:03}",
        "server": "app.example.com",
        "remoteIp": f"203.0.113.{number % 255}",
        "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{rng.randrange(110, 127)}.0.0.0 Safari/537.36",
        "country": "US",
        "region": "ny",
        "latitude": 40.7128,
        "longitude": -74.006,
        "recordingId": "",
        "recordingSessionId": "",
        "lastKeyFrameTimestamp": 0,
        "signatureAgent": "",
        "parameters": {"parameter": "invoices", "tab": "overview"},
        "properties": {"__sg__": {"visitormetadata.agent__plan": "gold"}, "__utm__": {"channel": "Referral"}},
    }
    return orjson.dumps(columns)[:-1]


def _line(rng: random.Random, visitor: bytes, app: int, page: bytes, buckets: bytes, hour: int) -> bytes:
    chance = rng.getrandbits(64)
    first = hour + chance % 3_000_000
    return (
        b'%b,"appId":%d,"pageId":"%b",%b,"numEvents":%d,"numMinutes":%d,"firstTime":%d,"lastTime":%d,'
        b'"analyticsSessionId":"%016x","tabId":"t-%012x","rageClickCount":0,"deadClickCount":%d,'
        b'"errorClickCount":0,"uTurnCount":0}'
    ) % (
        visitor,
        app,
        page,
        buckets,
        chance % 37 + 1,
        chance % 11,
        first,
        first + chance % 599_000,
        chance,
        chance >> 16,
        chance % 3 % 2,
    )
