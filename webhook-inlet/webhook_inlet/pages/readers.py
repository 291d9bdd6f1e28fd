"""What each reader of the log has asked for, and how much it has not fetched yet.

In memory: after a restart a reader is known again when it asks. `Readers` changes on the event loop only; `LineCounts`
reads the store and works in a thread.
"""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from webhook_inlet.lines import at_of
from webhook_inlet.store import Lane, NoSuchSegment, Store, StoreError

#: How many readers of an inlet are remembered; a new one takes the place of the one that was not seen for longest
MOST_READERS = 40
#: Longest time in seconds that one look spends reading segments; what is missing then is counted at the next looks
LOOK_SECONDS = 0.5

_PRODUCT = re.compile(r"[A-Za-z0-9._-]{1,40}")

#: Segment, and lines of it that are behind the reader
Position = tuple[int, int]


def reader_name(user_agent: str) -> str:
    """The first product of a `User-Agent`: `airbyte-source-pendo` for `airbyte-source-pendo/0.1 requests/2`."""
    product = _PRODUCT.match(user_agent)
    return product.group() if product else "unknown"


@dataclass(slots=True)
class Reader:
    """One reader of one inlet, or all that share its name.

    A sync lists the lanes, then fetches from each what lies between its saved position and the end that was listed,
    several segments at a time. So `asked`, the first position of a lane that it asked for since it last listed the
    lanes, is the one that it has certainly read up to. `fetched` is how far it was sent lines. `listed` holds the ends.
    """

    last_seen_at: float
    asked: dict[str, Position] = field(default_factory=dict)
    fetched: dict[str, Position] = field(default_factory=dict)
    listed: dict[str, Position] | None = None
    asked_since: set[str] = field(default_factory=set)

    def has_listed(self, lanes: Iterable[Lane]) -> None:
        """A sync began: it lists the lanes, then fetches what it has not read.

        If the sync before fetched something, and everything of the lanes that it fetched from, then it had nothing to
        fetch from the others. A lane that was not there before is new to the reader.
        """
        ends = {lane.lane: (lane.last, lane.lines) for lane in lanes}
        before = self.listed
        if before is not None:
            asked = [lane for lane in self.asked_since if lane in before]
            if asked and all(self.fetched.get(lane, (0, 0)) >= before[lane] for lane in asked):
                for lane, end in before.items():
                    self.fetched.setdefault(lane, end)
            for lane in ends.keys() - before.keys():
                self.fetched.setdefault(lane, (1, 0))
        self.listed = ends
        self.asked_since = set()
        self.asked = {lane: position for lane, position in self.asked.items() if lane in ends}
        self.fetched = {lane: position for lane, position in self.fetched.items() if lane in ends}

    def has_fetched(self, lane: str, asked: Position, lines: int, sealed: bool) -> None:
        """It was sent the lines behind a position.

        A sync may begin before what an earlier one was sent, as that one may have failed. What lies behind the listed
        end is fetched again by the next sync.
        """
        segment, line = asked
        end = (segment + 1, 0) if sealed else (segment, line + lines)
        if self.listed and asked <= self.listed.get(lane, (0, 0)):
            end = min(end, self.listed[lane])
        if lane in self.asked_since:
            end = max(end, self.fetched[lane])
        else:
            self.asked_since.add(lane)
            self.asked[lane] = asked
        self.fetched[lane] = end

    def position(self, lane: str) -> Position | None:
        """Up to where it has fetched; None while that is not known."""
        known = self.fetched.get(lane)
        if known is None and self.listed is not None and lane not in self.listed:
            return (1, 0)
        return known


class Readers:
    """The readers by inlet and name."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._readers: dict[str, dict[str, Reader]] = {}

    def seen(self, inlet: str, user_agent: str) -> Reader:
        """A reader with the right token asked for something of an inlet."""
        readers = self._readers.setdefault(inlet, {})
        name = reader_name(user_agent)
        reader = readers.get(name)
        if reader is None:
            if len(readers) >= MOST_READERS:
                del readers[min(readers, key=lambda other: readers[other].last_seen_at)]
            reader = readers[name] = Reader(self._clock())
        reader.last_seen_at = self._clock()
        return reader

    def of(self, inlet: str) -> Mapping[str, Reader]:
        """The readers of an inlet by name."""
        return self._readers.get(inlet, {})

    def positions(self, inlet: str, lanes: Iterable[Lane]) -> dict[str, dict[str, Position | None]]:
        """By reader and lane, up to where it has fetched."""
        names = [lane.lane for lane in lanes]
        return {name: {lane: reader.position(lane) for lane in names} for name, reader in self.of(inlet).items()}


@dataclass(frozen=True, slots=True)
class Unread:
    """What a reader has not fetched yet.

    `events` is a lower bound unless `exact`: a segment that was not counted yet is taken for one event, a lane of which
    the reader's position is not known for none. `oldest_at` (epoch seconds) is when the oldest of them was received;
    None if there is none, or if that is not known. `missed` segments were removed before the reader fetched them.
    """

    events: int
    exact: bool
    oldest_at: float | None
    missed: int


class LineCounts:
    """Lines by segment. A sealed segment does not grow, so each is counted once."""

    def __init__(self, store: Store, ticks: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._ticks = ticks
        self._counts: dict[tuple[str, str], array[int]] = {}  # by inlet and lane; 0 is not counted
        self._oldest: dict[tuple[str, str, Position], float] = {}

    def note(self, inlet: str, lane: str, segment: int, lines: int) -> None:
        """A sealed segment has so many lines."""
        self._of_lane(inlet, lane, segment)[segment] = lines

    def unread(
        self, inlet: str, lanes: list[Lane], readers: Mapping[str, Mapping[str, Position | None]]
    ) -> dict[str, Unread]:
        """What each of the readers has not fetched. A segment that cannot be read is not counted."""
        deadline = self._ticks() + LOOK_SECONDS
        self._forget(inlet, lanes)
        return {name: self._of_reader(inlet, lanes, positions, deadline) for name, positions in readers.items()}

    def _of_reader(
        self, inlet: str, lanes: list[Lane], positions: Mapping[str, Position | None], deadline: float
    ) -> Unread:
        events, missed, exact = 0, 0, True
        oldest: list[float] = []
        for lane in lanes:
            position = positions.get(lane.lane)
            if position is None:
                exact = False
                continue
            if position[0] < lane.first:
                missed += lane.first - position[0]
                position = (lane.first, 0)
            lines, counted = self._behind(inlet, lane, position, deadline)
            exact = exact and counted
            events += lines
            if lines:
                at = self._received_at(inlet, lane, position, deadline)
                oldest += [at] if at is not None else []
        return Unread(events, exact, min(oldest, default=None), missed)

    def _behind(self, inlet: str, lane: Lane, position: Position, deadline: float) -> tuple[int, bool]:
        """The lines behind a position, and whether all were counted."""
        segment, line = position
        if segment >= lane.last:
            return (max(0, lane.lines - line) if segment == lane.last else 0), True
        counts = self._of_lane(inlet, lane.lane, lane.last)
        number = segment
        while self._ticks() <= deadline:
            try:
                number = counts.index(0, number, lane.last)
            except ValueError:
                break
            self._count(inlet, lane.lane, number, deadline)
            number += 1
        behind = counts[segment : lane.last]
        uncounted = behind.count(0)
        return max(0, sum(behind) + uncounted - line) + lane.lines, not uncounted

    def _of_lane(self, inlet: str, lane: str, last: int) -> array[int]:
        """The counts of a lane, with a place for each of its segments."""
        counts = self._counts.setdefault((inlet, lane), array("I"))
        if len(counts) <= last:
            counts.extend(array("I", bytes(counts.itemsize * (last + 1 - len(counts)))))
        return counts

    def _count(self, inlet: str, lane: str, segment: int, deadline: float) -> int:
        """The lines of a sealed segment; 0 if there is no time to count them, or it cannot be read."""
        counted = self._of_lane(inlet, lane, segment)[segment]
        if counted or self._ticks() > deadline:
            return counted
        try:
            lines = self._store.read(inlet, lane, segment, 0).data.count(b"\n")
        except (NoSuchSegment, StoreError):  # removed since the lanes were listed, or damaged: not known
            return 0
        self.note(inlet, lane, segment, lines)
        return lines

    def _received_at(self, inlet: str, lane: Lane, position: Position, deadline: float) -> float | None:
        """When the first line behind a position was received, in epoch seconds; None if there is no time to look."""
        segment, line = position
        if segment < lane.last and line and line >= self._count(inlet, lane.lane, segment, deadline):
            segment, line = segment + 1, 0
        known = self._oldest.get((inlet, lane.lane, (segment, line)))
        if known is not None or self._ticks() > deadline:
            return known
        try:
            at = at_of(self._store.read(inlet, lane.lane, segment, line).data)
        except (NoSuchSegment, StoreError):
            return None
        if at is None:
            return None
        seconds = self._oldest[(inlet, lane.lane, (segment, line))] = at / 1_000_000
        return seconds

    def _forget(self, inlet: str, lanes: list[Lane]) -> None:
        """Lanes that left the listing, and looked-up times that are no longer needed."""
        listed = {lane.lane for lane in lanes}
        for known in [key for key in self._counts if key[0] == inlet and key[1] not in listed]:
            del self._counts[known]
        if len(self._oldest) > 1_000:
            self._oldest.clear()
