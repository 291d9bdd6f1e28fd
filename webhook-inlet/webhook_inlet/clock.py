"""Whether somebody moved this machine's clock: then the ages of events are not known, and none may be removed."""

from __future__ import annotations

import time
from collections.abc import Callable

#: More than a time server corrects in steps that matter here
MOVED_SECONDS = 3600.0
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while a machine is suspended


def since_boot() -> float:
    """Seconds that nobody can move."""
    return time.clock_gettime(_SINCE_BOOT)


class ClockWatch:
    """Compares the clock with the time that has passed since this was made."""

    def __init__(self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot) -> None:
        self._clock = clock
        self._steady = steady
        self._apart = clock() - steady()

    def moved(self) -> float:
        """By how many seconds the clock was moved; 0 for what a time server may correct."""
        moved = self._clock() - self._steady() - self._apart
        return moved if abs(moved) > MOVED_SECONDS else 0.0
