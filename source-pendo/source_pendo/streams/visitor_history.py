"""What single visitors did. It takes one request for each visitor and day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from source_kit.convert import epoch_millis, iso_millis, utc_now
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.history_reader import DAY_MS, HistoryReader, VisitorBatch, some_visitors
from source_pendo.paging import fits_a_state, is_exact
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.unread_visitors import UnreadVisitors, is_time
from source_pendo.visitor_addresses import VisitorAddresses

_VERSION: Final = {"version": STATE_VERSION}


class VisitorHistory(PendoStream):
    """The activities of each visitor, from an endpoint that answers 24 hours of one visitor at a time.

    The number of requests is visitors times days, so it is bounded: 180 days at most, only visitors that were active
    since the last sync, none that must not be processed, anonymous ones only if the option asks for them. Visitors are
    read in order of their ids. The state moves at the end, to the start of the sync; until then it holds the id to go
    on at (`resume`). If the endpoint refuses everybody, which was observed in 2026, the stream fails.

    If Pendo fails for one visitor, the others are read, then the stream ends with an error that says how many are
    missing. The state moves without them: `behind` holds hashes of their ids and since when they were not read. If they
    are too many for it, the state stays. Reading stops early only if the key is refused, if Pendo throttles, or if it
    does not answer for anybody anymore.

    State: `{"modified_ts": "2026-03-01T00:00:00.000Z", "version": 1}`.
    """

    key = ("record_id",)
    cursor_field = "modified_ts"
    parallel_slices = True
    whole = True
    state_interval = 5.0
    docs = replace(
        PendoStream.docs,
        resolution="1 ms",
        late_rows="45 minutes to 6 hours",
        read_again="`lookback_window` days of the visitors that were active since",
        deletes="nothing is reported",
        permission="read access; Pendo may refuse this endpoint to a subscription",
        requests="one request a visitor and day: 1,000 visitors and 30 days are 30,000 requests",
    )
    _reader: HistoryReader
    _since: int | None
    _sync_start: datetime

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Fix the days of this sync, or take up an interrupted one."""
        since, resume = self.cursor_millis(state, "resume", "behind"), self.resume_of(state)
        now = epoch_millis(sync_start)
        try:
            unread = UnreadVisitors(state.get("behind"))
        except ValueError:
            raise self.unreadable_state() from None
        if resume is None and since is None and state.keys() - {"version"}:
            raise self.unreadable_state()
        resume_at, until = (None, now) if resume is None else self._resume(resume, now)
        self._since, self._sync_start = since, sync_start
        schema = self.get_json_schema()
        self._reader = HistoryReader(
            self.client, self.config, schema, unread, resume_at, since=since, until=until, sync_start=now
        )

    def slices(self) -> Iterable[VisitorBatch]:
        return self._reader.batches()

    def read_slice(self, slice_: VisitorBatch) -> Iterator[SliceItem]:
        for window in slice_.windows:
            yield from self._reader.read(window)
        last_id = slice_.windows[-1].visitor_id
        if self._reader.answered and (slice_.last or fits_a_state(last_id)):
            yield Checkpoint({"resume": {"visitor_id": last_id, "until": self._covered()}, "last": slice_.last})

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The id to go on at, beside the last time; at the end the new time alone.

        The engine calls it after everything before the update was read, so all failures up to there are known.
        """
        unread, cursor = self._reader.unread, self.cursor_field
        ended = cursor in update or update["last"]
        behind = unread.in_state(failed_only=ended and self._reader.resume_at is None)
        if behind is None:  # too many for a state: the next sync begins where this one did
            return {name: state[name] for name in (cursor, "behind") if name in state} | _VERSION
        marks = {"behind": behind} if behind else {}
        if ended and (cursor in update or unread.count):
            return {**(self.final_state() or {}), **marks}
        resume = {"resume": update["resume"]} if fits_a_state(update["resume"]["visitor_id"]) else {}
        kept = {name: value for name, value in state.items() if name != "behind"}
        return {**kept, **resume, **marks, **_VERSION}

    def finish(self) -> None:
        self._reader.finish()

    def final_state(self) -> Mapping[str, Any] | None:
        """All visitors were read: the time at which that began. A state in the future stays."""
        reached = max(self._covered(), self._since or 0)
        return {self.cursor_field: iso_millis(reached), **_VERSION}

    def probe(self) -> None:
        """Ask for a visitor and for that visitor's last day: a key without the right to histories gets a 403.

        That Pendo does not know this one visitor (404, 422) proves nothing.
        """
        for visitor_id in some_visitors(self.client, self.config, "probe", 1):
            VisitorAddresses(self.client).history(visitor_id, epoch_millis(utc_now()) - DAY_MS).close()

    def _covered(self) -> int:
        """Until when activities are read; if this machine's clock is ahead, until Pendo's present."""
        return min(self._reader.until, epoch_millis(self.client.connection.cursor_ceiling(self._sync_start)))

    def _resume(self, resume: Mapping[str, Any], now: int) -> tuple[str | None, int]:
        """The id to go on at, and until when to read. All visitors are read if no query would find that id."""
        visitor_id, until = resume.get("visitor_id"), resume.get("until")
        if not isinstance(visitor_id, str) or not is_time(until):
            raise self.unreadable_state()
        return (visitor_id, min(until, now)) if is_exact(visitor_id) else (None, now)
