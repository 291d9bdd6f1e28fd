"""Finds the manifests that came late: after a state's last listing, although far newer dumps were read.

A dump counts by its manifest's LastModified. S3 gives whole seconds there in a list, and for an upload in parts the
time at which it began; a replica has the time of the original, and may come hours after it (its documentation). So a
manifest may appear behind a listing with a time before the newest in it. A state therefore keeps that newest time and a
mark of all manifests of the day before it: where the mark is another one now, these count as late, too. They are few:
of these dumps only those count that the state does not list one by one.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from source_heap.manifest import ManifestObject
from source_heap.plan import Arrivals
from source_heap.table_state import RECENT_DUMPS, Seen, TableState

#: How much earlier than the newest manifest of a listing one may be that appears after the listing
_BEFORE = timedelta(days=1)


class Listing:
    """One listing of the bucket: its manifests, ordered by dump id. Threads share it."""

    def __init__(self, manifests: Sequence[ManifestObject]) -> None:
        self._manifests = manifests
        self._marks: dict[datetime, str] = {}

    @cached_property
    def seen(self) -> Seen | None:
        """What a state keeps of this listing; None if it has no times."""
        newest = max((one.modified for one in self._manifests if one.modified is not None), default=None)
        return Seen(newest, self._mark(newest)) if newest is not None else None

    def arrivals(self, state: TableState | None) -> Arrivals:
        """The dumps up to the state's floor, from its base on, that it cannot have read.

        All of them may be late where the bucket was copied, which makes all times new: read again, never skipped.
        """
        if state is None or self.seen is None:
            return Arrivals(seen=self.seen)
        late = self._after_release_0_1(state) if state.seen is None else self._after(state, state.seen)
        return Arrivals(frozenset(late), self.seen)

    def _after(self, state: TableState, seen: Seen) -> Iterator[int]:
        changed = self._mark(seen.newest) != seen.mark
        begin = seen.newest - _BEFORE
        for dump_id, modified in self._below(state):
            if modified > seen.newest or (changed and modified >= begin):
                yield dump_id

    def _after_release_0_1(self, state: TableState) -> Iterator[int]:
        """Of a state that has seen no time: what is newer than all dumps that it names, and what release 0.1 ignored.

        That is a manifest that came later than RECENT_DUMPS with higher ids. The state's generation was read for sure.
        """
        named = {state.dump_id, *state.recent}
        times = (one.modified for one in self._manifests if one.dump_id in named and one.modified is not None)
        newest = max(times, default=None)
        for dump_id, modified in self._below(state):
            ignored = dump_id in self._overtaken and dump_id != state.generation
            if ignored or (newest is not None and modified > newest):
                yield dump_id

    def _below(self, state: TableState) -> Iterator[tuple[int, datetime]]:
        for one in self._manifests:
            if one.dump_id > state.floor:
                return
            if one.modified is not None and one.dump_id >= state.base:
                yield one.dump_id, one.modified

    @cached_property
    def _overtaken(self) -> frozenset[int]:
        """The manifests that came later than RECENT_DUMPS with higher ids."""
        found, first = set(), list[datetime]()  # the earliest times of the manifests with higher ids
        for one in reversed(self._manifests):
            if one.modified is None:
                continue
            if len(first) == RECENT_DUMPS and first[-1] < one.modified:
                found.add(one.dump_id)
            insort(first, one.modified)
            del first[RECENT_DUMPS:]
        return frozenset(found)

    def _mark(self, newest: datetime) -> str:
        """Eight characters that change with the manifests of the day up to this time."""
        if newest not in self._marks:
            around = (one for one in self._manifests if one.modified and newest - _BEFORE <= one.modified <= newest)
            text = " ".join(f"{one.dump_id}:{one.mark}" for one in around)
            self._marks[newest] = hashlib.sha256(text.encode()).hexdigest()[:8]
        return self._marks[newest]
