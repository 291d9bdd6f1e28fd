"""What happened to the posts of each inlet, in memory, since the start: for the status page and the metrics.

Changed on the event loop only, but for `committed`, which the writer calls there too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a post, the label `outcome` of `inlet_posts_total`."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    BAD_SIGNATURE = "bad_signature"
    SHED = "shed"
    TOO_LARGE = "too_large"  # stored with its head only, and answered 200
    ERROR = "error"


@dataclass(slots=True)
class InletStats:
    """The counts of one inlet."""

    started_at: float = field(default_factory=time.time)
    total: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    last_event_at: float | None = None  # epoch seconds
    last_error: str | None = None  # in words, without secrets
    last_error_at: float | None = None
    keys_used: dict[int, int] = field(default_factory=dict)  # by the place of the secret that matched

    def count(self, outcome: Outcome, seconds: float = 0.0) -> None:
        """One post was answered, `seconds` after its request line came."""
        self.total[outcome] += 1

    def failed(self, words: str) -> None:
        """Keeps the last error, in words for people."""
        self.last_error, self.last_error_at = words, time.time()
