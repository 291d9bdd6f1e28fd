"""When a subscription's days begin. It shows the time zone and a change of it, which no endpoint says."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from source_kit.convert import epoch_millis

#: Offsets of the world's time zones from UTC, and their steps. Minutes.
_FURTHEST_WEST: Final = -12 * 60
_FURTHEST_EAST: Final = 14 * 60
_STEP: Final = 15
#: The most by which daylight saving moves the clocks. Minutes.
_DAYLIGHT_SAVING: Final = 60
_MINUTE_MS: Final = 60_000


class DayStarts:
    """The starts of one sync's days, and the last one of the sync before.

    A state holds one as `2026-03-19T00:00:00-04:00`. The time zone has changed if the same calendar day begins at
    another instant than before, or if the offsets of two days differ by more than daylight saving. Thread-safe.
    """

    def __init__(self, before: Any = None) -> None:
        """Raises ValueError if `before` is neither such a text nor None."""
        self._lock = threading.Lock()
        self._offsets: dict[date, int] = {}
        self._before = None if before is None else _parsed(before)

    def note(self, day: date, began: Any) -> tuple[str, str] | None:
        """Keep when a day began, in epoch milliseconds.

        Returns the UTC offsets of before and of now if the time zone has changed; once in a sync.
        """
        offset = _offset(day, began)
        if offset is None:
            return None
        with self._lock:
            self._offsets[day] = offset
            if self._before is None:
                return None
            day_before, offset_before = self._before
            if abs(offset - offset_before) <= (0 if day == day_before else _DAYLIGHT_SAVING):
                return None
            self._before = None
            return _zone(offset_before), _zone(offset)

    def text(self, day: date) -> str | None:
        """The start of a day, or of the last known day before it; None if none is known."""
        with self._lock:
            known = max(((seen, at) for seen, at in self._offsets.items() if seen <= day), default=self._before)
        return f"{known[0].isoformat()}T00:00:00{_zone(known[1])}" if known else None


def _offset(day: date, began: Any) -> int | None:
    """Minutes by which a day's zone is ahead of UTC; None for an instant at which that day begins nowhere."""
    if not isinstance(began, int | float) or isinstance(began, bool):
        return None
    offset, rest = divmod(epoch_millis(datetime.combine(day, time(), UTC)) - began, _MINUTE_MS)
    usual = not rest and offset % _STEP == 0 and _FURTHEST_WEST <= offset <= _FURTHEST_EAST
    return int(offset) if usual else None


def _zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def _parsed(text: Any) -> tuple[date, int]:
    if not isinstance(text, str):
        raise ValueError
    at = datetime.fromisoformat(text)
    if (offset := at.utcoffset()) is None:
        raise ValueError
    return at.date(), int(offset / timedelta(minutes=1))
