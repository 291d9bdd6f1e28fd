"""Puts rows of hours together to rows of a day."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any, Final, Self
from zlib import crc32

import orjson

from source_pendo.aggregation import Row

#: Columns that count; they are added up.
SUMMED: Final = frozenset(
    {"numEvents", "numMinutes", "rageClickCount", "deadClickCount", "errorClickCount", "uTurnCount"}
)
_EARLIEST: Final = "firstTime"
_LATEST: Final = ("lastTime", "lastKeyFrameTimestamp")
_MEASURES: Final = SUMMED | {_EARLIEST, *_LATEST, "hour"}
_PARTS: Final = 64
_MEMORY_BYTES: Final = 256 * 1024


class HourMerger:
    """Collects rows of one day's hours and gives back rows of the day.

    Rows that are alike in everything that is no measure become one: counters are added, the first time is the earliest,
    the last the latest. The order of the server's sort is not known, so rows of a visitor are brought together by
    spreading them over temporary files by visitor; memory is bounded by the largest of these, not by the day.

    Rows of one hour that differ in nothing but measures, which real subscriptions have, are different rows of the day,
    too: the first of each hour are put together, then the second of each, in order of their first and last times. Pendo
    may pair them otherwise, because it knows what they differ in; the sums stay right. The columns `week`, `month` and
    `quarter`, which only Pendo's answers by day have, are missing.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._files = ExitStack()
        self._parts: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(_PARTS):
            part = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)
            self._parts.append(self._files.enter_context(part))
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of an hour, in any order."""
        for row in rows:
            part = crc32(str(row.get(self._key)).encode("utf-8", "replace")) % _PARTS
            self._parts[part].write(orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE))

    def merged(self, midnight: int) -> Iterator[list[Row]]:
        """The day's rows, all rows of a visitor in one list. `midnight` becomes their `day`, in epoch milliseconds."""
        for part in self._parts:
            part.seek(0)
            days: dict[tuple[bytes, int], Row] = {}
            alike: Counter[tuple[bytes, Any]] = Counter()
            for row in sorted(map(orjson.loads, part), key=_times):
                identity = _identity(row)
                ordinal = alike[identity, row.get("hour")]
                alike[identity, row.get("hour")] += 1
                _merge(days.setdefault((identity, ordinal), {}), row, midnight)
            if days:
                yield sorted(days.values(), key=lambda row: str(row.get(self._key)))


def _times(row: Row) -> tuple[float, float]:
    return row.get(_EARLIEST) or 0, row.get("lastTime") or 0


def _identity(row: Row) -> bytes:
    rest = {name: value for name, value in row.items() if name not in _MEASURES and (value or value == 0)}
    return orjson.dumps(rest, None, orjson.OPT_SORT_KEYS)


def _merge(day: Row, hour: Row, midnight: int) -> None:
    if not day:
        day.update({name: value for name, value in hour.items() if name != "hour"}, day=midnight)
        return
    for name in SUMMED & hour.keys():
        day[name] = _both(day.get(name), hour[name], lambda a, b: a + b)
    if _EARLIEST in hour:
        day[_EARLIEST] = _both(day.get(_EARLIEST), hour[_EARLIEST], min)
    for name in _LATEST:
        if name in hour:
            day[name] = _both(day.get(name), hour[name], max)


def _both(left: Any, right: Any, combine: Any) -> Any:
    return combine(left, right) if left is not None and right is not None else left if right is None else right
