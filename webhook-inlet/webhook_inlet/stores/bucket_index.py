"""What a bucket holds of an inlet: found by lists, remembered, and looked at again only where it may have changed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from webhook_inlet.store import SEGMENT_NAME, Lane, segment_name
from webhook_inlet.stores.bucket_objects import Listed, Objects
from webhook_inlet.stores.segments import Damaged

#: A list of lanes is used again for so long: each costs a request for every lane that may grow.
LISTED_SECONDS = 1.0
#: Heads of lanes move by retention only.
_HEAD_SECONDS = 60.0
_PAGE = 1000


@dataclass(slots=True)
class KnownLane:
    """A lane as of the last look. `last` is the segment before the first gap behind `first`."""

    name: str
    first: int = 0  # 0: not looked at yet
    last: int = 0
    modified: float = 0.0  # when the last segment was written, epoch seconds
    closed: bool = False
    ended: bool = False  # no segment will come, so only its head is looked at
    counted: tuple[int, int] = (0, 0)  # a segment and its lines
    head_looked: float = float("-inf")


class Index:
    """The lanes of one inlet. Not for several threads at a time."""

    def __init__(self, objects: Objects, inlet: str) -> None:
        self._objects = objects
        self._inlet = inlet
        self._known: dict[str, KnownLane] = {}
        self._looked = float("-inf")

    def lanes(self) -> list[KnownLane]:
        """All lanes, by name. Raises StoreError."""
        if time.monotonic() - self._looked >= LISTED_SECONDS:
            known = {}
            for name in self._objects.lane_names(self._inlet):
                lane = self._known.get(name) or KnownLane(name)
                if self._look(lane):
                    known[name] = lane
            self._known = known
            self._looked = time.monotonic()
        return list(self._known.values())

    def forget_heads(self) -> None:
        """Retention moved them."""
        self._looked = float("-inf")
        for lane in self._known.values():
            lane.head_looked = float("-inf")

    def listed(self, lane: KnownLane) -> Lane:
        """As `/log` lists it. A damaged last segment counts as one line, so that readers ask for it and fail."""
        if lane.first > lane.last:
            return Lane(lane.name, lane.first, lane.last, 0, lane.closed)
        if lane.counted[0] != lane.last:
            try:
                lines = self._objects.lines(self._inlet, lane.name, lane.last)
            except Damaged:
                lane.counted = (lane.last, 1)
            else:
                lane.counted = (lane.last, (lines or b"").count(b"\n"))
        return Lane(lane.name, lane.first, lane.last, lane.counted[1], lane.closed)

    def newest(self) -> list[tuple[str, int]]:
        """Lane and number of the newest segments over all lanes, the newest first: up to 1,000 of each lane."""
        found = []
        for lane in self.lanes():
            begin = max(lane.first, lane.last - _PAGE + 1)
            entries = self._objects.listed(self._inlet, lane.name, segment_name(begin - 1, sealed=True))
            for number, entry in _numbered(itertools.islice(entries, _PAGE)):
                if number <= lane.last:
                    found.append((entry.modified, number, lane.name))
        return [(name, number) for _modified, number, name in sorted(found, reverse=True)]

    def _look(self, lane: KnownLane) -> bool:
        """Whether the lane is (still) there."""
        if time.monotonic() - lane.head_looked >= _HEAD_SECONDS:
            if not self._look_at_head(lane):
                return False
            lane.head_looked = time.monotonic()
        if not lane.ended:
            self._extend(lane)
        return True

    def _look_at_head(self, lane: KnownLane) -> bool:
        entries = list(itertools.islice(self._objects.listed(self._inlet, lane.name, limit=3), 3))
        numbers = list(_numbered(entries))
        if numbers:
            lane.first = numbers[0][0]
            if lane.last < lane.first:
                lane.last, lane.modified = lane.first, numbers[0][1].modified
            return True
        if lane.last:  # known already; what it had was removed
            lane.first = lane.last + 1
        names = {entry.name for entry in entries}
        lane.closed = lane.closed or "closed" in names
        for marker in sorted(names & {"removed", "closed"}):  # a rule of the bucket removes without leaving `removed`
            last = self._objects.get(self._objects.key(self._inlet, lane.name, marker))
            if last is not None and last.strip().isdigit():
                lane.last = max(lane.last, int(last))
                lane.first = lane.last + 1
        return lane.last > 0 and bool(names)

    def _extend(self, lane: KnownLane) -> None:
        """Follows the numbers up to the first gap. A long way is taken in leaps: behind a gap nothing is written."""
        while True:
            name = segment_name(lane.last, sealed=True)
            entries = list(itertools.islice(self._objects.listed(self._inlet, lane.name, name), _PAGE))
            for number, entry in _numbered(entries):
                if number != lane.last + 1:
                    return
                lane.last, lane.modified = number, entry.modified
            lane.closed = lane.closed or any(entry.name == "closed" for entry in entries)
            lane.ended = lane.closed
            if len(entries) < _PAGE:
                return
            self._leap(lane)

    def _leap(self, lane: KnownLane) -> None:
        low, step = lane.last, _PAGE
        while self._exists(lane.name, low + step):
            low += step
            step *= 2
        while step > 1:
            step //= 2
            if self._exists(lane.name, low + step):
                low += step
        lane.last = max(lane.last, low - 1)  # the next list has the last one, with its time

    def _exists(self, lane: str, number: int) -> bool:
        name = segment_name(number - 1, sealed=True)
        entry = next(self._objects.listed(self._inlet, lane, name, limit=1), None)
        return entry is not None and entry.name == segment_name(number, sealed=True)


def _numbered(entries: Iterator[Listed] | list[Listed]) -> Iterator[tuple[int, Listed]]:
    """The segments among the objects of a lane."""
    for entry in entries:
        if (name := SEGMENT_NAME.fullmatch(entry.name)) and name["sealed"]:
            yield int(name["number"]), entry
