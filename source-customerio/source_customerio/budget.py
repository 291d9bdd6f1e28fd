"""The request budget of a workspace: one for all workers and streams of a sync."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from source_kit import waiting

#: Certain: vendor documentation. Reads and writes of everybody who uses the workspace count together.
REQUESTS_A_SECOND = 10
#: A request may reach the server a little later than it left, and the eleventh after it a little sooner. The window is
#: kept this much longer than a second, which costs 3 % of the speed and spares most of the answers 429.
WINDOW_SECONDS = 1.03


class RequestBudget:
    """Lets `limit` requests start in any `window` seconds, in the order in which they were asked for.

    Every caller takes the next free place in time and sleeps until then: no caller overtakes another, so streams that
    are read together advance together, and no time is lost on waking threads up to find nothing.
    """

    def __init__(
        self,
        limit: int = REQUESTS_A_SECOND,
        window: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._places: deque[float] = deque(maxlen=limit)

    def reserve(self) -> float:
        """Take the next place; the seconds until it comes, 0 for at once."""
        with self._lock:
            now = self._clock()
            full = len(self._places) == self._places.maxlen
            place = max(now, self._places[0] + self._window) if full else now
            self._places.append(place)
            return place - now

    def acquire(self) -> None:
        """Wait until one more request may start. Raises Stopped when the sync ends meanwhile."""
        seconds = self.reserve()
        if seconds > 0:
            waiting.current().wait(seconds, f"the workspace's {self._places.maxlen} requests a second")
