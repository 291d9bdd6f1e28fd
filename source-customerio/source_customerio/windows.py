"""Windows of time for deliveries, the only list that the vendor filters by time.

Certain (vendor documentation, recorded answers): both bounds are inclusive, in whole seconds, and a range of more than
six months is cut down to its latest six months without an error. Windows of at most 30 days stay far from that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

DAY = 86_400
WIDEST = 30 * DAY
#: Windows a worker, so that a worker with a dense window does not read alone for long
_WINDOWS_A_WORKER = 2


class Window(NamedTuple):
    """Seconds from `start` to `end`, both included."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_day(self.start)} to {_day(self.end)}"


def _day(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).date().isoformat()


def windows(start: int, end: int, workers: int) -> list[Window]:
    """Cover every second from `start` to `end`, both included, once, oldest first.

    A window is 30 days wide or, where that would leave workers idle, narrow enough to keep all of them busy; but no
    narrower than a day. Empty when `start` lies after `end`.
    """
    span = end - start + 1
    if span <= 0:
        return []
    wanted = _WINDOWS_A_WORKER * workers
    days = -(-span // DAY)
    width = min(WIDEST, -(-span // min(days, wanted)))
    return [Window(at, min(at + width - 1, end)) for at in range(start, end + 1, width)]
