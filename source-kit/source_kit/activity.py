"""What workers do and wait for: shown in log lines, and ended with the sync."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: While nothing is written, a log line says at this interval what is being done. Seconds.
HEARTBEAT_SECONDS = 30.0


class Stopped(Exception):
    """The sync is over, so a worker stops without an error."""


class Activities:
    """What each worker does now, for the log line of a sync that writes nothing for a while."""

    def __init__(self) -> None:
        self._doing: dict[int, tuple[str, float]] = {}
        self.stop = threading.Event()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Names what this thread does within the block."""
        me = threading.get_ident()
        before = self._doing.get(me)
        self._doing[me] = (what, time.monotonic())
        try:
            yield
        finally:
            if before is None:
                self._doing.pop(me, None)
            else:
                self._doing[me] = before

    def wait(self, seconds: float, why: str) -> None:
        """Waits, with an entry in the report. Raises Stopped when the sync ends."""
        with self.doing(f"waiting {seconds:.0f} s: {why}"):
            if self.stop.wait(seconds):
                raise Stopped

    def report(self) -> str:
        """One clause for each busy worker, with the seconds since it began."""
        now = time.monotonic()
        return "; ".join(f"{what} (for {now - since:.0f} s)" for what, since in list(self._doing.values()))


_bound = threading.local()
_no_sync = Activities()


def current() -> Activities:
    """The activities of this thread's sync. Outside of a sync, activities that never stop."""
    activities: Activities = getattr(_bound, "activities", _no_sync)
    return activities


def bind(activities: Activities) -> None:
    """Makes this thread a worker of a sync, which reports its waits and ends them."""
    _bound.activities = activities
