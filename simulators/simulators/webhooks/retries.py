"""When a sender posts an event again that was not accepted. Plain rules, without a clock or a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simulators.webhooks.connection import CERTIFICATE, DNS, EOF, LOST, REFUSED, RESET, Failure

HOUR = 3600.0
WEEK = 7 * 24 * HOUR

#: After these answers Customer.io waits for an hour (certain: vendor's specification)
HOUR_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521})
HOUR_FAILURES = frozenset({EOF, REFUSED, RESET, DNS, CERTIFICATE, LOST})


class Retries(Protocol):
    """Decides after a post without a 2xx."""

    @property
    def blocks(self) -> bool:
        """Whether later events wait while one is not accepted."""

    @property
    def timeout(self) -> float:
        """Seconds that the receiver has for its answer, in real time."""

    def wait(self, answer: int | Failure, failures: int, age: float) -> float | None:
        """Real seconds until the next post; None if the event is given up.

        `failures` counts the posts of the event so far, `age` is real seconds since the first of them began.
        """


@dataclass(frozen=True)
class CustomerioRetries:
    """Customer.io: an hour after some answers, else exponential backoff, and the event is dropped after 7 days.

    Certain: the list of answers, the hour, the 7 days, 4 seconds to answer, that later events wait. Not known: the
    first delay of the backoff, its factor and its longest delay; the values here are assumed. `time_scale` divides
    every wait: 3600 makes an hour a second and 7 days 168 seconds. The 4 seconds are not scaled.
    """

    time_scale: float = 1.0
    first_delay: float = 5.0
    factor: float = 2.0
    longest_delay: float = HOUR
    timeout: float = 4.0
    blocks: bool = True

    def wait(self, answer: int | Failure, failures: int, age: float) -> float | None:
        """See `Retries`. The last post is made when 7 days are over."""
        left = WEEK - age * self.time_scale
        if left <= 0:
            return None
        if answer in HOUR_STATUSES or answer in HOUR_FAILURES:
            delay = HOUR
        else:
            delay = min(self.first_delay * self.factor ** min(failures - 1, 30), self.longest_delay)
        return min(delay, left) / self.time_scale


@dataclass(frozen=True)
class PendoRetries:
    """Pendo publishes nothing about retries. `times` posts more (0: none), or as many as fit into an hour (None)."""

    times: int | None = 3
    time_scale: float = 1.0
    first_delay: float = 1.0
    factor: float = 2.0
    timeout: float = 5.0
    blocks: bool = False

    def wait(self, answer: int | Failure, failures: int, age: float) -> float | None:
        """See `Retries`."""
        if self.times is not None and failures > self.times:
            return None
        delay = self.first_delay * self.factor ** min(failures - 1, 30)
        if self.times is None and age * self.time_scale + delay > HOUR:
            return None
        return delay / self.time_scale
