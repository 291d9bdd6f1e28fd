"""The request budget: this connection's share of what a workspace permits, for all workers and streams of a sync."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from source_kit import activity

#: Certain: vendor documentation. Reads and writes of everybody who uses the workspace count together.
REQUESTS_A_SECOND = 10
#: A request may reach the server a little later than it left, and the eleventh after it a little sooner. So the window
#: is longer than a second, which costs 4 % of the speed and avoids most answers 429.
WINDOW_SECONDS = 1.04
#: Least time between two requests: ten that start at once delay one another and arrive late.
SPACING_SECONDS = 0.03


@dataclass(slots=True)
class Slot:
    """When a request starts: the planned time first, the actual one once it has started.

    `before` is the request that must lie `window` seconds back.
    """

    start: float
    before: Slot | None
    window: float

    def due(self) -> float:
        """When the request may start: as planned, or later because the one before started later than planned."""
        return self.start if self.before is None else max(self.start, self.before.start + self.window)

    def started(self, at: float) -> None:
        """Keep the actual start and forget the request before."""
        self.start = at
        self.before = None


class RequestBudget:
    """Lets `limit` requests start in any `window` seconds, in the order in which they came.

    Every caller takes the next slot and sleeps until it is due. No caller overtakes another, so streams that are read
    together advance together. On a busy machine a thread wakes late; its actual start counts for those after it.
    """

    def __init__(
        self,
        limit: int = REQUESTS_A_SECOND,
        window: float = WINDOW_SECONDS,
        spacing: float = SPACING_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window = window
        self._spacing = spacing
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: deque[Slot] = deque(maxlen=limit)
        self._what = f"the workspace's {REQUESTS_A_SECOND} requests a second"
        if limit < REQUESTS_A_SECOND:
            self._what = f"this connection's {limit} of {self._what}"

    def reserve(self) -> Slot:
        with self._lock:
            planned = self._clock()
            before = self._slots[0] if len(self._slots) == self._slots.maxlen else None
            if self._slots:
                planned = max(planned, self._slots[-1].start + self._spacing)
            if before is not None:
                planned = max(planned, before.due() + self._window)
            slot = Slot(planned, before, self._window)
            self._slots.append(slot)
            return slot

    def acquire(self) -> None:
        """Wait until one more request may start. Raises Stopped when the sync ends meanwhile."""
        slot = self.reserve()
        while (seconds := slot.due() - self._clock()) > 0:
            activity.current().wait(seconds, self._what)
        slot.started(self._clock())
