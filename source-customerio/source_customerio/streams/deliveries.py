"""What happened: deliveries by windows of their creation, and the activity log from its newest entry back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from source_kit.stream import Checkpoint, SliceItem, StreamDocs

from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.cursor import LOOKBACK, Cursor
from source_customerio.streams.lists import ChangingList

DAY = 86_400
#: Certain (vendor documentation, recorded answers): a range of more than six months is cut to its latest six months
#: without an error. Windows of at most 30 days stay far from that.
WIDEST = 30 * DAY
#: 2012-01-01, the year in which the product appeared (inferred): deliveries begin here when no start date is given.
#: Windows before it would be empty, at a request each.
FIRST_DELIVERY = 1_325_376_000


class Window(NamedTuple):
    """Seconds from `start` to `end`, both included."""

    start: int
    end: int

    def __str__(self) -> str:
        return " to ".join(datetime.fromtimestamp(second, UTC).date().isoformat() for second in self)


def windows(start: int, end: int, workers: int) -> list[Window]:
    """Cover every second from `start` to `end`, both included, once, oldest first.

    A window is 30 days wide or, where that would leave workers idle, narrow enough to keep all of them busy; but no
    narrower than a day. Empty when `start` lies after `end`.
    """
    span = end - start + 1
    if span <= 0:
        return []
    wanted = 2 * workers  # two each, so that a worker with a dense window does not read alone for long
    width = min(WIDEST, -(-span // min(-(-span // DAY), wanted)))
    return [Window(at, min(at + width - 1, end)) for at in range(start, end + 1, width)]


class Messages(CustomerIoStream):
    """Deliveries: one row for each message to each person, over all channels, without drafts.

    Opens, clicks and conversions are written into a delivery for up to six months, and the delivery does not say when
    it last changed. So the deliveries of the last `messages_lookback_days` are read again at every sync. The server
    filters by creation, both bounds inclusive (certain: vendor documentation, recorded answers). Answers to surveys
    within messages come only where they are asked for (documented: vendor's specification of August 2026), at no
    further request.

    Nothing is read from `end_date` on, and a state beyond it stays: one that another part of the history has reached.
    """

    endpoint = envelope = "messages"
    permission = "deliveries"
    cursor_field = "created"
    page_size = 1000
    params: ClassVar[Mapping[str, str]] = {"get_tracked_responses": "true"}
    parallel_slices = slices_fail_alone = True
    docs = StreamDocs(
        resolution="1 s",
        late_rows="metrics arrive for up to six months",
        read_again="the last `messages_lookback_days`",
        deletes="people who are deleted are made anonymous in later reads; nothing else is deleted",
        requests=(
            "1 for each 1,000 deliveries and each window; a first sync without start date also reads about 180 windows"
        ),
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the saved cursor. A full refresh that was interrupted goes on behind it without looking back."""
        self._cursor = Cursor(self.client, self.cursor_field, self.key, sync_start)
        self._saved = self._cursor.saved(state)
        first = FIRST_DELIVERY if self.config.start is None else self.config.start
        if self._saved is not None:
            back = -1 if full_refresh else self.config.messages_lookback_days * DAY
            first = max(first, self._saved - back)
        self._first, self._last = first, self._cursor.sync_start
        end = self.config.end
        if end is not None:
            self._last = min(self._last, end - 1)
            if self._saved is not None and self._saved >= end:
                self._first = max(first, end)

    def slices(self) -> Iterator[Window]:
        """Windows up to the start of this sync, or to the last second before `end_date`, oldest first."""
        if self._first > self._last:
            self.logger.info(
                f"Stream {self.name}: there is nothing to read: the first second would be {self._first}, the last is "
                f"{self._last} (since 1970)"
            )
        yield from windows(self._first, self._last, self.config.num_workers)

    def read_slice(self, slice_: Window) -> Iterator[SliceItem]:
        """The deliveries of one window, then its end as the cursor."""
        cursor = self._cursor
        for rows in self.raw_pages(self.endpoint, {"start_ts": str(slice_.start), "end_ts": str(slice_.end)}):
            yield cursor.split(rows, self._first)[0]
        yield Checkpoint(self.end_of(slice_))

    def end_of(self, slice_: Window) -> Mapping[str, Any]:
        return {self.cursor_field: self._cursor.advanced(self._saved, slice_.end)}

    def finish(self) -> None:
        self._cursor.report()

    def final_state(self) -> Mapping[str, Any] | None:
        """A state also where no window was to be read: the start date lies ahead, or the state ahead or at the end."""
        if self._first <= self._last:
            return None
        return {self.cursor_field: self._cursor.advanced(self._saved, 0)}


class Activities(ChangingList):
    """The activity log: newest first by the time that the sender gave, kept for 30 days, without a filter by time.

    So reading stops at the first page that lies wholly before the cursor, as long as the order holds. What is written
    later with an older time than that (backdated events) is missed, and a connection that rests for more than 30 days
    has a gap. `deleted=true` adds what deleted people did, in the same list.
    """

    endpoint = envelope = "activities"
    permission = "activities"
    cursor_field = "timestamp"
    empty_page_ends = True
    page_size = 100
    params: ClassVar[Mapping[str, str]] = {"deleted": "true"}
    docs = replace(
        ChangingList.docs,
        late_rows="events may be sent with a time in the past",
        deletes="nothing is deleted; the log keeps 30 days",
        requests="1 for each 100 new activities; all of 30 days at the first sync",
    )

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """Entries since the cursor, then the cursor, which moves only here: a list that broke off has covered nothing.

        The order is judged by the pages read so far. Rows that are up to `LOOKBACK` seconds out of order are tolerated:
        what was read again before the cursor covers them. A list whose first rows are older than the saved cursor is
        not sorted either, since the row that gave the cursor its value must come before them; a cursor in the future
        was given by none.
        """
        cursor, saved = self._cursor, self._saved
        floor, newest, oldest, in_order = cursor.floor(saved), 0, math.inf, True
        for page in self.raw_pages(slice_, whole=True):
            recent, latest = cursor.split(page, floor)
            yield recent
            if latest and not newest:
                in_order = saved is None or saved > cursor.sync_start or latest >= saved - LOOKBACK
            newest = max(newest, latest)
            for at in cursor.times(page):
                if at.__class__ is int and at > 0:
                    oldest = min(oldest, at)
                    in_order = in_order and at <= oldest + LOOKBACK
            if in_order and 0 < latest < floor:
                break
        if floor and not in_order:
            self.logger.warning(
                f"Stream {self.name}: Customer.io did not list the newest activities first, so the whole list was "
                "read, which takes longer. If it happens again, report it to Customer.io's support."
            )
        yield Checkpoint({cursor.field: cursor.advanced(saved, newest)})
