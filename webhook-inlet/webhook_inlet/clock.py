"""Notices that the time of day was set forward, after which everything in a store would look old enough to remove."""

from __future__ import annotations

import time
from collections.abc import Callable

#: A clock that is ahead by more seconds than this was set; less is what synchronizing and standing still come to.
SET_SECONDS = 3600.0


class ClockWatch:
    """Compares the time of day with a clock that is never set."""

    def __init__(self, clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._ticks = clock, ticks
        self._ahead = clock() - ticks()

    def set_forward(self) -> float:
        """Seconds by which the clock was set forward since this was asked last; 0.0 if it was not."""
        ahead = self._clock() - self._ticks()
        moved, self._ahead = ahead - self._ahead, ahead
        return moved if moved > SET_SECONDS else 0.0
