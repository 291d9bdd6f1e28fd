"""What happened: deliveries by windows of their creation, and the activity log from its newest entry back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from source_kit.stream import Checkpoint, SliceItem

from source_customerio.paging import End
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.cursor import Cursor, later
from source_customerio.windows import DAY, Window, windows

#: 2012-01-01, the year the product appeared in (inferred): where deliveries begin when no start date is given. Windows
#: before it would be empty, at a request each.
FIRST_DELIVERY = 1_325_376_000


class Messages(CustomerIoStream):
    """Deliveries: one row for each message to each person, over all channels, without drafts.

    Opens, clicks and conversions are written into a delivery for up to six months, and nothing tells when; so the
    deliveries of the last `messages_lookback_days` are read again at every sync. The server filters by creation, both
    bounds inclusive, and cuts a range of more than six months without a word: windows of at most 30 days.
    """

    endpoint = envelope = "messages"
    permission = "deliveries"
    cursor_field = "created"
    cursor_resolution = "1 s"
    server_filters = True
    parallel_slices = slices_fail_alone = True
    opt_in = True
    params: ClassVar[Mapping[str, str]] = {"limit": "1000"}
    page_size = 1000
    settle = "metrics arrive for up to six months"
    reread = "the last `messages_lookback_days`"
    deletes = "people who are deleted are made anonymous in later reads; nothing else is deleted"
    cost = "1 for each 1,000 deliveries and each window; a first sync without start date also reads about 180 windows"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the saved cursor. A full refresh that was interrupted goes on behind it without looking back."""
        self._cursor = Cursor(self, self.cursor_field, sync_start)
        self._saved = self._cursor.saved(state)
        first = FIRST_DELIVERY if self.config.start is None else self.config.start
        if self._saved is not None:
            back = -1 if full_refresh else self.config.messages_lookback_days * DAY
            first = max(first, self._saved - back)
        self._first = first

    def slices(self) -> Iterator[Window]:
        """Windows up to the start of this sync, oldest first."""
        yield from windows(self._first, self._cursor.sync_start, self.config.num_workers)

    def read_slice(self, slice_: Window) -> Iterator[SliceItem]:
        """The deliveries of one window, then its end as the cursor."""
        cursor = self._cursor
        bounds = {"start_ts": str(slice_.start), "end_ts": str(slice_.end)}
        for rows in self.pages(self.endpoint, params={**self.params, **bounds}):
            yield cursor.split(rows, self._first)[0]
        yield Checkpoint({cursor.field: cursor.advanced(self._saved, slice_.end)})

    def finish(self) -> None:
        """Name deliveries without a time."""
        self._cursor.report()

    def final_state(self) -> Mapping[str, Any] | None:
        """A state also where no window was to be read, because the start date or the state lies ahead."""
        return (
            None
            if self._first <= self._cursor.sync_start
            else {self.cursor_field: self._cursor.advanced(self._saved, None)}
        )


class Activities(CustomerIoStream):
    """The activity log: newest first by the time that the sender gave, kept for 30 days, without a filter by time.

    So the walk stops at the first page that lies wholly before the cursor. What is written later with an older time
    than that (backdated events) is missed, and a connection that rests for more than 30 days has a gap.
    `deleted=true` adds what deleted people did, in the same walk.
    """

    endpoint = envelope = "activities"
    permission = "activities"
    cursor_field = "timestamp"
    cursor_resolution = "1 s"
    rows_sorted = True
    opt_in = True
    end = End.TOKEN_OR_EMPTY_PAGE
    params: ClassVar[Mapping[str, str]] = {"limit": "100", "deleted": "true"}
    page_size = 100
    settle = "events may be sent with a time in the past"
    reread = "rows of the hour before the saved cursor"
    deletes = "nothing is deleted; the log keeps 30 days"
    cost = "1 for each 100 new activities; all of 30 days at the first sync"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the saved cursor."""
        self._cursor = Cursor(self, self.cursor_field, sync_start)
        self._saved = self._cursor.saved(state)

    def slices(self) -> Iterator[str]:
        """One: from the newest entry back."""
        yield self.endpoint

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """Entries since the cursor, then the cursor.

        It moves when the walk has ended: what is newest comes first, so a broken walk has covered nothing for good.
        """
        cursor, newest = self._cursor, None
        floor = cursor.floor(self._saved)
        for rows in self.pages(slice_, whole=True):
            recent, latest = cursor.split(rows, floor)
            newest = later(newest, latest)
            yield recent
            if latest is not None and latest < floor:
                break
        yield Checkpoint({cursor.field: cursor.advanced(self._saved, newest)})

    def finish(self) -> None:
        """Name entries without a time."""
        self._cursor.report()
