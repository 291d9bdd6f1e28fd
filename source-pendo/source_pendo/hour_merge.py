"""Merges rows of hours to rows of a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import reduce
from operator import add
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, Self
from zlib import crc32

import orjson

from source_pendo.aggregation import VISITOR_ID, Row

#: Columns that count
SUMMED: Final = ("numEvents", "numMinutes", "rageClickCount", "deadClickCount", "errorClickCount", "uTurnCount")
#: How merging combines two values of a column
_COMBINE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    **dict.fromkeys(SUMMED, add),
    "firstTime": min,
    "lastTime": max,
    "lastKeyFrameTimestamp": max,
}
#: Rows of one identity are paired in this order
_ORDER: Final = ("firstTime", "lastTime")
_MEASURES: Final = _COMBINE.keys() | {"hour"}
_PARTS: Final = 64
_MEMORY_BYTES: Final = 256 * 1024


class HourMerger:
    """Collects rows of one day's hours and returns rows of the day.

    Rows equal in every non-measure column are merged: counters are added, the first time is the earliest, the last time
    the latest. The server's sort order is not known, so rows are spread over temporary files by visitor. Memory is
    bounded by the largest file, not by the day.

    Real subscriptions have rows of one hour that differ only in measures. They are different rows of the day, too: the
    first rows of all hours are merged, then the second ones, ordered by their first and last times. Pendo may pair them
    differently, because it knows how they differ; the sums stay right. The columns `week`, `month` and `quarter` are
    missing, because only Pendo's answers by day have them.
    """

    def __enter__(self) -> Self:
        self._files = ExitStack()
        self._parts: list[IO[bytes]] = []
        for _ in range(_PARTS):
            self._parts.append(self._files.enter_context(SpooledTemporaryFile(max_size=_MEMORY_BYTES)))
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows of an hour, in any order."""
        for row in rows:
            part = crc32(str(row.get(VISITOR_ID)).encode("utf-8", "replace")) % _PARTS
            self._parts[part].write(orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE))

    def merged(self, midnight: int) -> Iterator[list[Row]]:
        """The day's rows, all rows of a visitor in one list. `midnight`, in epoch milliseconds, becomes their `day`."""
        for part in self._parts:
            part.seek(0)
            days: dict[tuple[bytes, int], Row] = {}
            seen: Counter[tuple[bytes, Any]] = Counter()
            rows: list[Row] = sorted(map(orjson.loads, part), key=lambda row: [row.get(name) or 0 for name in _ORDER])
            for row in rows:
                rest = {name: value for name, value in row.items() if name not in _MEASURES and (value or value == 0)}
                identity = orjson.dumps(rest, None, orjson.OPT_SORT_KEYS)
                ordinal = seen[identity, row.get("hour")]
                seen[identity, row.get("hour")] += 1
                _merge(days.setdefault((identity, ordinal), {}), row, midnight)
            if days:
                yield sorted(days.values(), key=lambda row: str(row.get(VISITOR_ID)))


def _merge(day: Row, hour: Row, midnight: int) -> None:
    if not day:
        day.update({name: value for name, value in hour.items() if name != "hour"}, day=midnight)
        return
    for name, combine in _COMBINE.items():
        if name in hour:
            known = [value for value in (day.get(name), hour[name]) if value is not None]
            day[name] = reduce(combine, known) if known else None
