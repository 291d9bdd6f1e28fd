"""How the subscription behaves when it is asked too much, too often, or by somebody who may not ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulators.pendo.errors import PendoError
from simulators.server import Response

KINDS = frozenset(
    {
        "accounts",
        "apps",
        "events",
        "featureEvents",
        "features",
        "guideEvents",
        "guides",
        "metadata",
        "pageEvents",
        "pages",
        "pollEvents",
        "reports",
        "segments",
        "trackEvents",
        "trackTypes",
        "visitorHistory",
        "visitors",
    }
)
"""Kinds of objects that a key can be barred from: the sources, and three endpoints beside them."""


@dataclass
class Switches:
    """What can be turned on and off while the simulator runs. All of it is off at first."""

    timeout_rows: int | None = None
    """Answer 408 when an event source has to scan more rows than this. What is scanned are stored hours: a window of
    half the hours, or of fewer apps, scans less; the number of rows that leave does not matter."""
    memory_rows: int | None = None
    """The same with 400 and `Query exceeded memory limit`."""
    null_when_empty: bool = False
    """Write `"results": null` where nothing was found."""
    history_status: int | None = None
    """Refuse every visitor history with this status: 404 and 422 were observed."""
    hours_need_ids: bool = False
    """Refuse page, feature and track events by hour that name no object, as Pendo's documentation says. A connector
    that runs in production asks without one, so it may not be enforced everywhere."""
    forbidden: set[str] = field(default_factory=set)
    """Kinds of objects that the key has no right to: 403 with a reason."""
    limiter: RateLimiter | None = None

    def check_allowed(self, kind: str) -> None:
        """Refuse a kind of object that the key has no right to."""
        if kind in self.forbidden:
            message = f"Forbidden: the integration key has no permission to read {kind}"
            raise PendoError(403, message, reason="Forbidden")

    def forbid(self, kinds: Iterable[str]) -> None:
        """Take rights away from the key; KeyError for an unknown kind."""
        for kind in kinds:
            if kind not in KINDS:
                raise KeyError(kind)
            self.forbidden.add(kind)


class RateLimiter:
    """At most `calls` requests in any second; what comes on top is refused and does not count."""

    def __init__(self, calls: int, status: int = 429, retry_after: int | None = None) -> None:
        """`status` is 429, or 403 with `rateLimitExceeded` (second-hand); `retry_after` None leaves the header out."""
        self._calls = calls
        self._status = status
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()

    def refusal(self) -> Response | None:
        """The refusal of a request that comes now, or None if it may pass."""
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            if len(self._recent) < self._calls:
                self._recent.append(now)
                return None
        headers = {} if self._retry_after is None else {"Retry-After": str(self._retry_after)}
        text = '{"error":"rateLimitExceeded"}' if self._status == 403 else "Too Many Requests"
        return Response.text(text, self._status, headers)
