"""What happened to the posts of each inlet, in memory, since the start: for the status page and the metrics.

Changed on the event loop only, but for `committed`, which the writer calls there too.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhook_inlet.writer import Commit

#: What is remembered by the minute
MINUTES = 24 * 60
#: Upper bounds in seconds: a sender waits 4 s, and the inlet sheds before that
SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0)
BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class Outcome(StrEnum):
    """What became of a post, the label `outcome` of `inlet_posts_total`."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    BAD_SIGNATURE = "bad_signature"
    SHED = "shed"
    TOO_LARGE = "too_large"  # stored with its head only, and answered 200
    ERROR = "error"


#: Outcomes of a post that is in the log afterwards
KEPT = frozenset({Outcome.STORED, Outcome.DUPLICATE, Outcome.TOO_LARGE})


class Histogram:
    """How many values were at most each bound; the last count is of what is above all bounds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Minutes:
    """Counts by outcome for each of the last 1,440 minutes. Minutes are counted by a clock that is never set."""

    __slots__ = ("_minute", "_rings", "_ticks")

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._minute = int(ticks() // 60)
        self._rings = {outcome: array("I", bytes(4 * MINUTES)) for outcome in Outcome}

    def add(self, outcome: Outcome) -> None:
        """Counts a post in the running minute."""
        minute = int(self._ticks() // 60)
        if minute != self._minute:
            self._pass(minute)
        self._rings[outcome][minute % MINUTES] += 1

    def last(self, minutes: int) -> dict[Outcome, int]:
        """The sums over the last minutes, the running one included."""
        if minutes == MINUTES:
            self._pass()
            return {outcome: sum(ring) for outcome, ring in self._rings.items()}
        return {outcome: sum(self.each(minutes, outcome)) for outcome in Outcome}

    def each(self, minutes: int, *outcomes: Outcome) -> list[int]:
        """The posts of each of the last minutes that ended in one of these ways; the running minute comes last."""
        now = self._pass()
        places = [minute % MINUTES for minute in range(now - minutes + 1, now + 1)]
        return [sum(self._rings[outcome][place] for outcome in outcomes) for place in places]

    def _pass(self, minute: int | None = None) -> int:
        """Goes on to the running minute, and empties those that passed without a post."""
        minute = int(self._ticks() // 60) if minute is None else minute
        for passed in range(max(self._minute + 1, minute - MINUTES + 1), minute + 1):
            for ring in self._rings.values():
                ring[passed % MINUTES] = 0
        self._minute = minute
        return minute


@dataclass(slots=True)
class InletStats:
    """The counts of one inlet. `clock` is the time of day, `ticks` a clock that only grows; both in seconds."""

    clock: Callable[[], float] = time.time
    ticks: Callable[[], float] = time.monotonic
    total: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    #: When the last verified post came (epoch seconds), a duplicate included: it shows that the sender lives
    last_event_at: float | None = None
    last_error: str | None = None  # in words, without secrets
    last_error_at: float | None = None
    last_bad_signature_at: float | None = None
    keys_used: dict[int, int] = field(default_factory=dict)  # by the place of the secret that matched
    keys_used_at: dict[int, float] = field(default_factory=dict)
    #: Seconds from request line to answer, of all posts but those with a bad signature, which wait for nothing
    answers: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    minutes: Minutes = field(init=False)

    def __post_init__(self) -> None:
        self.minutes = Minutes(self.ticks)

    def count(self, outcome: Outcome, seconds: float = 0.0) -> None:
        """One post was answered, `seconds` after its request line came."""
        self.total[outcome] += 1
        self.minutes.add(outcome)
        if outcome is Outcome.BAD_SIGNATURE:
            self.last_bad_signature_at = self.clock()
            return
        self.answers.observe(seconds)
        if outcome in KEPT:
            self.last_event_at = self.clock()

    def key_used(self, place: int) -> None:
        """The secret at this place verified a post; -1 if the inlet asks for no signature."""
        self.keys_used[place] = self.keys_used.get(place, 0) + 1
        self.keys_used_at[place] = self.clock()

    def failed(self, words: str) -> None:
        """Keeps the last error, in words for people."""
        self.last_error, self.last_error_at = words, self.clock()

    def remember(self, newest_at: int | None) -> None:
        """After a restart: when the newest line of the store was received, in microseconds."""
        if newest_at is not None and self.last_event_at is None:
            self.last_event_at = newest_at / 1_000_000


@dataclass(slots=True)
class CommitStats:
    """What the writer did; its observer."""

    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    events: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))

    def committed(self, commit: Commit) -> None:
        """One commit ended."""
        self.seconds.observe(commit.seconds)
        self.events.observe(commit.events)
