"""What a store of lanes must do. `stores.volume` and `stores.bucket` are the two there are.

A lane is the log of one inlet in one process: segments with the numbers 1, 2, 3 ... without gaps, each of NDJSON lines.
A number is taken only after the one before it was durable. Nothing is ever rewritten. A reader keeps a position in each
lane, so no clock decides what it has read.

    <root>/<inlet>/lanes/<lane>/000000000001.ndjson.zst    sealed (zstd level 3)
    <root>/<inlet>/lanes/<lane>/000000000002.ndjson        open (volume only)
    <root>/<inlet>/lanes/<lane>/closed                     the process ended in order; content: the last number
    <root>/<inlet>/lanes/<lane>/removed                    retention took every segment; content: the last number
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

#: `20261126T220100Z-<6 random>`: sorts by the start of its process, and never comes twice.
LANE_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-z]{6}")
SEGMENT_NAME = re.compile(r"(?P<number>[0-9]{12})\.ndjson(?P<sealed>\.zst)?")
#: An open segment is sealed when it has this many bytes or is this old (seconds). Readers see it before that, too.
SEAL_BYTES = 8 * 1024 * 1024
SEAL_SECONDS = 5.0
ZSTD_LEVEL = 3
#: Names of inlets
INLET_NAME = re.compile(r"[a-z0-9-]+")


class StoreError(Exception):
    """The lines were not stored; the next try may succeed (full disk, busy bucket). Its text is for people."""


class StoreFailed(StoreError):
    """The store must not be used any more by this process (a failed fdatasync, a lane that somebody else writes)."""


class NoSuchSegment(LookupError):
    """The lane or the segment is not in the store (any more)."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane as `/log` lists it.

    `first` is the oldest segment that is kept, `last` the newest that can be read, `lines` its durable lines. A lane
    whose segments were all removed has `first == last + 1` and `lines == 0`.
    """

    lane: str
    first: int
    last: int
    lines: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a segment behind a position, each with its line feed. `sealed`: the segment will not grow."""

    data: bytes
    sealed: bool


class Store(Protocol):
    """`commit`, `maintain` and `close` are called by the writer's thread; the others by any thread.

    `open` comes first, before there is a writer.
    """

    #: How long the writer gathers events while others wait, in seconds: 0 for a disk, 0.25 for a bucket
    gather_seconds: float

    def open(self) -> None:
        """Locks and repairs what an earlier process left. Raises StoreFailed with a sentence that says what to do."""

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        """Appends lines (without line feed) by inlet; they are durable on return, but for the inlets in the answer.

        Raises StoreFailed when the whole store must be given up; then none of the lines may be called stored.
        """

    def maintain(self) -> None:
        """Called about once a second, also while no event comes: seals what is old enough."""

    def hurry(self) -> None:
        """The process ends: a commit that waits for something gives up. Called by any thread, before `close`."""

    def close(self) -> None:
        """Seals what is open and marks this process's lanes as closed."""

    def recent_keys(self, inlet: str) -> Iterator[bytes]:
        """The keys of an inlet's lines as they stand in them (JSON text without quotes), the newest segment first."""

    def newest_at(self, inlet: str) -> int | None:
        """When the newest line was received, in microseconds; None if there is none."""

    def lanes(self, inlet: str) -> list[Lane]:
        """The lanes of an inlet, the oldest first."""

    def read(self, inlet: str, lane: str, segment: int, line: int) -> Lines:
        """The durable lines behind the `line`-th. Raises NoSuchSegment; StoreError if it is damaged or out of reach."""

    def remove_before(self, at: int) -> int:
        """Removes segments from the heads of lanes whose last line is older than `at` (microseconds): their number.

        A lane without segments stays listed until its marker `removed` is older than `at`, too: so a slow reader learns
        what it missed.
        """

    def problem(self) -> str | None:
        """Why nothing can be stored now, in words; None if it can."""

    def free_bytes(self) -> int | None:
        """Free space; None where it has no limit."""


def new_lane() -> str:
    """A name for a lane of this process, made with its first commit."""
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{''.join(secrets.choice(letters) for _ in range(6))}"


def segment_name(number: int, sealed: bool) -> str:
    """The file name of a segment."""
    return f"{number:012d}.ndjson{'.zst' if sealed else ''}"
