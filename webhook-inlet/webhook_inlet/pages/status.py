"""What `/status` says, as JSON; the page shows the same, and `/metrics` some of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from webhook_inlet.pages.readers import LineCounts, Position, Reader, Readers, Unread
from webhook_inlet.stats import MINUTES, InletStats, Outcome
from webhook_inlet.store import Lane, StoreError

if TYPE_CHECKING:
    from webhook_inlet.service import Inlet, Service

#: The windows of the counts, in minutes; the running minute is the last of them
WINDOWS = {"5m": 5, "1h": 60, "24h": MINUTES}
#: Outcomes of posts that are new events in the log
EVENTS = (Outcome.STORED, Outcome.TOO_LARGE)

#: A status waits no longer for the store (seconds), and then shows a look that is no older than the second number
LOOK_TIMEOUT = 4.0
OLD_SECONDS = 30.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What the store and the readers of an inlet look like. `problem`: why the store could not be asked."""

    at: float
    lanes: list[Lane] = field(default_factory=list)
    unread: dict[str, Unread] = field(default_factory=dict)
    problem: str | None = None


class Observer:
    """Looks at the store in a thread, one look at a time and inlet, and keeps what it saw for a moment."""

    def __init__(self, service: Service, readers: Readers, counts: LineCounts) -> None:
        self.service = service
        self.readers = readers
        self.counts = counts
        self._looks: dict[str, Look] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="look")
        self._looking: dict[str, asyncio.Task[Look]] = {}

    async def look(self, name: str, max_age: float = 0.0) -> Look:
        """The lanes of an inlet and what its readers have not fetched, at most so many seconds old.

        Who asks while a look is under way waits for that one, and who stops waiting does not end it: a store that hangs
        keeps one thread an inlet, not one a question.
        """
        known = self._looks.get(name)
        if known and time.monotonic() - known.at < max_age:
            return known
        looking = self._looking.get(name)
        if looking is None or looking.done():
            looking = self._looking[name] = asyncio.create_task(self._look(name))
        return await asyncio.shield(looking)

    async def look_soon(self, name: str) -> Look:
        """As `look`. If the store does not answer in time, a look that is not old, or else a problem to show."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                return await self.look(name)
        except TimeoutError:
            known = self._looks.get(name)
            if known and time.monotonic() - known.at < OLD_SECONDS:
                return known
            return Look(time.monotonic(), problem=f"The store did not answer within {LOOK_TIMEOUT:g} seconds.")

    async def _look(self, name: str) -> Look:
        loop, store = asyncio.get_running_loop(), self.service.store
        try:
            lanes = await loop.run_in_executor(self._threads, store.lanes, name)
        except StoreError as error:
            return Look(time.monotonic(), problem=str(error))
        positions = self.readers.positions(name, lanes)
        unread = await loop.run_in_executor(self._threads, self.counts.unread, name, lanes, positions)
        seen = self._looks[name] = Look(time.monotonic(), lanes, unread)
        return seen


async def status(observer: Observer) -> Json:
    """The whole status, in the shape that readers rely on."""
    service = observer.service
    now = time.time()
    problem = service.not_ready()
    inlets = list(service.inlets.values())  # a reload may replace them meanwhile
    looks = await asyncio.gather(*(observer.look_soon(inlet.config.name) for inlet in inlets))
    return {
        "version": version("webhook-inlet"),
        "started_at": rfc3339(service.started_at),
        "ready": problem is None,
        "problem": problem,
        "store": {
            "type": service.config.store.type,
            "free_bytes": service.store.free_bytes(),
        },
        "inlets": [_inlet(inlet, look, observer.readers, now) for inlet, look in zip(inlets, looks, strict=True)],
    }


def _inlet(inlet: Inlet, look: Look, readers: Readers, now: float) -> Json:
    config, stats = inlet.config, inlet.stats
    last = stats.last_event_at
    return {
        "name": config.name,
        "source": config.source,
        "last_event_at": rfc3339(last),
        "last_event_age_seconds": None if last is None else round(max(0.0, now - last), 3),
        "posts": {
            **{name: _posts(stats.minutes.last(minutes)) for name, minutes in WINDOWS.items()},
            "total": _posts(stats.total),
        },
        "events_per_minute": stats.minutes.each(60, *EVENTS),
        "last_error": _last_error(stats),
        "last_bad_signature_at": rfc3339(stats.last_bad_signature_at),
        "secrets_used": {str(place): count for place, count in sorted(stats.keys_used.items())},
        "secrets_last_used_at": {str(place): rfc3339(at) for place, at in sorted(stats.keys_used_at.items())},
        "secrets_configured": len(config.secrets),
        "lanes": [asdict(lane) for lane in look.lanes],
        "lanes_problem": look.problem,
        "readers": [_reader(name, reader, look, now) for name, reader in sorted(readers.of(config.name).items())],
    }


def _posts(counts: dict[Outcome, int]) -> Json:
    """`received` is the sum of all outcomes."""
    return {"received": sum(counts.values()), **{outcome.value: count for outcome, count in counts.items()}}


def _last_error(stats: InletStats) -> Json | None:
    if stats.last_error is None:
        return None
    return {"at": rfc3339(stats.last_error_at), "words": stats.last_error}


def _reader(name: str, reader: Reader, look: Look, now: float) -> Json:
    """`positions` are certain: its last sync began there. `fetched` is up to where it was sent lines.

    `unread_events` is what was not sent to it yet, null while that is not known; `unread_at_least` is what is known of
    it. `lag_seconds` is how long the oldest of it has waited. `missed_segments` were removed before they were sent.
    """
    unread = look.unread.get(name)
    oldest = unread.oldest_at if unread else None
    lag = None if oldest is None else round(max(0.0, now - oldest), 3)
    if unread and unread.exact and not unread.events:
        lag = 0.0
    return {
        "reader": name,
        "last_seen_at": rfc3339(reader.last_seen_at),
        "positions": _by_lane(reader.asked),
        "fetched": _by_lane(reader.fetched),
        "unread_events": unread.events if unread and unread.exact else None,
        "unread_at_least": unread.events if unread else None,
        "missed_segments": unread.missed if unread else 0,
        "lag_seconds": lag,
    }


def _by_lane(positions: Mapping[str, Position]) -> dict[str, list[int]]:
    return {lane: list(position) for lane, position in sorted(positions.items())}


def rfc3339(seconds: float | None) -> str | None:
    """Epoch seconds as `2026-03-01T04:00:00.000Z`."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
