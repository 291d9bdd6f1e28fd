"""Waits that a log line names and that end with the sync."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(Exception):
    """The sync is over. A worker that still reads or waits stops, without an error."""


class Activities:
    """What every worker is doing now, for the log line of a sync that writes nothing for a while."""

    def __init__(self) -> None:
        self._doing: dict[int, tuple[str, float]] = {}
        self.stop = threading.Event()

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Names the present activity of this thread until the block ends."""
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
        """Sleeps, visibly. Raises Stopped when the sync ends meanwhile."""
        with self.doing(f"waiting {seconds:.0f} s: {why}"):
            if self.stop.wait(seconds):
                raise Stopped

    def report(self) -> str:
        """One clause for each busy worker, with the seconds since it started that."""
        now = time.monotonic()
        return "; ".join(f"{what} (for {now - since:.0f} s)" for what, since in list(self._doing.values()))


_bound = threading.local()
_no_sync = Activities()


def current() -> Activities:
    """The activities of the sync that this thread works for; outside of a sync, activities that never stop."""
    activities: Activities = getattr(_bound, "activities", _no_sync)
    return activities


def bind(activities: Activities) -> None:
    """Makes this thread a worker of a sync: its waits are reported there and end when the sync ends."""
    _bound.activities = activities
