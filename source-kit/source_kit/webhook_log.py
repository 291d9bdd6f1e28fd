"""The log that webhook-inlet keeps: lanes of numbered segments of NDJSON lines, over HTTP or in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lane:
    """The log of one inlet in one process. Segments have the numbers `first` to `last`, the last one `lines` lines.

    A lane whose segments were all removed has `first == last + 1` and `lines == 0`. `lines` is None if the store cannot
    tell without reading (a bucket, where no segment grows).
    """

    name: str
    first: int
    last: int
    lines: int | None


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a segment behind a position. `sealed`: the segment will not grow (False if the store does not say)."""

    data: bytes
    sealed: bool


class WebhookLog(Protocol):
    """Where the log is. Errors are AirbyteTracedExceptions with a sentence."""

    def lanes(self) -> list[Lane]:
        """All lanes of the inlet."""

    def read(self, lane: str, segment: int, line: int) -> Lines | None:
        """The lines behind the `line`-th of a segment; None if the store does not have the segment."""
