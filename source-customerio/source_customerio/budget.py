"""The request budget of a workspace: one for all workers and streams of a sync."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from source_kit import activity

#: Certain: vendor documentation. Reads and writes of everybody who uses the workspace count together.
REQUESTS_A_SECOND = 10
#: A request may reach the server a little later than it left, and the eleventh after it a little sooner. The window is
#: kept this much longer than a second, which costs 4 % of the speed and spares most of the answers 429.
WINDOW_SECONDS = 1.04
#: Least time between two requests: ten that start at once hold one another up and arrive late.
SPACING_SECONDS = 0.03


class Place:
    """A request's place in time: planned at first, and the moment of its actual start once it has started."""

    __slots__ = ("_before", "_window", "start")

    def __init__(self, planned: float, before: Place | None, window: float) -> None:
        """`before` is the request that must lie a window back."""
        self.start = planned
        self._before = before
        self._window = window

    def due(self) -> float:
        """When the request may start: as planned, or later because the one before started later than planned."""
        return self.start if self._before is None else max(self.start, self._before.start + self._window)

    def started(self, at: float) -> None:
        """Keep the actual start and forget the request before."""
        self.start = at
        self._before = None


class RequestBudget:
    """Lets `limit` requests start in any `window` seconds, in the order in which they were asked for.

    Every caller takes the next free place in time and sleeps until then: no caller overtakes another, so streams that
    are read together advance together, and no time is lost on waking threads up to find nothing. On a busy machine a
    thread wakes late; what counts for those after it is when it did start.
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
        self._places: deque[Place] = deque(maxlen=limit)

    def reserve(self) -> Place:
        """Take the next place."""
        with self._lock:
            planned = self._clock()
            before = self._places[0] if len(self._places) == self._places.maxlen else None
            if self._places:
                planned = max(planned, self._places[-1].start + self._spacing)
            if before is not None:
                planned = max(planned, before.due() + self._window)
            place = Place(planned, before, self._window)
            self._places.append(place)
            return place

    def acquire(self) -> None:
        """Wait until one more request may start. Raises Stopped when the sync ends meanwhile."""
        place = self.reserve()
        while (seconds := place.due() - self._clock()) > 0:
            activity.current().wait(seconds, f"the workspace's {self._places.maxlen} requests a second")
        place.started(self._clock())
