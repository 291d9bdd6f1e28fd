"""Event streams: a slice is a calendar day of the subscription, the state is the last day that has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

import requests
from source_kit.items import Checkpoint, SliceItem
from source_kit.timestamps import parse_instant, utc_now

from source_pendo.aggregation import HourSpan, Row
from source_pendo.client import STATE_VERSION, PendoStream
from source_pendo.config import DEFAULT_HISTORY_DAYS, Config, Period
from source_pendo.day_reader import DayReader, EventSource, Scope

#: After this hour (UTC) a calendar day has ended in the last time zone of the world, UTC-12
_LAST_ZONE_HOURS: Final = 12
#: So many hours before midnight (UTC) the next calendar day begins in the first time zone of the world, UTC+14
_FIRST_ZONE_HOURS: Final = 14
_DAY: Final = timedelta(days=1)
_ZONE_SLACK: Final = timedelta(days=2)
_FAR_AWAY: Final = timedelta(days=10_000)


class EventStream(PendoStream):
    """Rows of one event source, day by day, for all applications and objects in one chain of requests.

    A day is named as a calendar day, so Pendo's own time zone and its DST apply; which zone that is no endpoint tells.
    Therefore reading ends with the day that has begun in the zone that is furthest ahead, and the state stops at the
    last day that has ended in the zone that is furthest behind.

    The state is `{"<cursor>": "2026-03-01T00:00:00.000Z", "period": "day", "synced": "2026-03-12", "version": 1}`: the
    last day that was read to its end after it had ended, written as if its midnight were in UTC; the grain of the rows;
    and the day of that sync. `lookback_window` days before it are read and emitted again at every sync, because a
    day's rows keep changing. A day that was read when it was older than that is final: an interrupted first sync of a
    year goes on where it stopped.
    """

    source: ClassVar[str]
    #: Whether rows are sums over a period, as opposed to single events
    grouped: ClassVar[bool]

    key = ("record_id",)
    parallel_slices = True
    server_filters = True
    rows_sorted = False
    cursor_resolution = "1 day"
    settle = "45 minutes to 6 hours; a day keeps changing for up to ten days"
    reread = "`lookback_window` closed days and the days that are still open"
    deletes = "rows that vanish when a page or feature is tagged anew stay in the destination"
    cost = "one request a day read, and one more for every further `record_limit` rows"

    def __init__(self, config: Config, session: requests.Session) -> None:
        super().__init__(config, session)
        self.page_size = config.record_limit
        self._period: Period = config.period if self.grouped else "day"
        self._today = date.min
        self._first = date.min
        self._sync_start = datetime.min.replace(tzinfo=UTC)
        self._state: dict[str, Any] = {}
        self._moved = False
        self._reader = self._new_reader()

    @property
    def order(self) -> tuple[str, ...]:
        """Order of a visitor's rows within a page."""
        raise NotImplementedError

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Fix the first and the last day of this sync."""
        self._reader = self._new_reader()
        self._moved = False
        self._today = sync_start.date()
        self._sync_start = sync_start
        self._state = dict(state) if self._of_this_period(state) else {}
        earliest = self.config.start_date
        if self.cursor_millis(self._state) is None:
            if self._state and self.cursor_name not in self._state:
                raise self.unreadable_state()
            self._state = {}
            self._first = earliest or self._today - timedelta(days=DEFAULT_HISTORY_DAYS)
            return
        # A state far in the future reads nothing; it must not overflow the calendar either.
        reached = min(parse_instant(self._state[self.cursor_name]).date(), self._today + _FAR_AWAY)
        again = self._first_day_again(reached)
        self._first = max(again, earliest) if earliest else again

    def slices(self) -> Iterable[date]:
        """The calendar days to read, oldest first, up to the day that has begun furthest east."""
        last = (self._sync_start + timedelta(hours=_FIRST_ZONE_HOURS)).date()
        if self._first > last:
            self.logger.info(f"Stream {self.name}: the first day to read is {self._first}, which has not begun")
        for number in range((last - self._first).days + 1):
            yield self._first + timedelta(days=number)

    def read_slice(self, slice_: date) -> Iterator[SliceItem]:
        """One day. The state moves to it if it has ended everywhere."""
        for rows in self._reader.read(slice_, self.config.app_ids):
            yield self.records(rows)
        if slice_ <= self._last_closed():
            yield Checkpoint(self._state_at(slice_))

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The update, unless it is of a day before the state's, which is read again.

        `synced` must wait for the cursor: it says that the days before the cursor were read then, and a sync that dies
        before it came so far has not done that.
        """
        cursor = self.cursor_name
        anew = cursor not in self._state and not self._moved
        self._moved = True
        if anew or parse_instant(update[cursor]) >= parse_instant(state[cursor]):
            return dict(update)
        return dict(state)

    def final_state(self) -> Mapping[str, Any] | None:
        """A state even where no day has ended yet: the day before the first."""
        return None if self._state else self._state_at(min(self._first - _DAY, self._last_closed()))

    def _synced(self) -> date:
        """The day of this sync. A clock that is ahead must not make days final that have hardly begun."""
        return self.began(self._sync_start).date()

    def _last_closed(self) -> date:
        """The last day that has ended everywhere."""
        return (self.began(self._sync_start) - timedelta(hours=_LAST_ZONE_HOURS)).date() - _DAY

    def records(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Pendo's rows, whole visitors, as records of the stream."""
        raise NotImplementedError

    def probe(self) -> None:
        """Ask for one row of the first hour of yesterday."""
        yesterday = utc_now().date() - _DAY
        scope = Scope(yesterday, self.config.app_ids, HourSpan(0, 1))
        self.aggregate("probe", self._event_source("hour").page(scope, 1)).close()

    def _event_source(self, period: Period) -> EventSource:
        return EventSource(self.source, period, self.order, self.grouped)

    def _new_reader(self) -> DayReader:
        return DayReader(self._event_source(self._period), self.aggregate, self.config.record_limit, self.logger)

    def _of_this_period(self, state: Mapping[str, Any]) -> bool:
        """Whether a state belongs to rows of the grain that is asked for now."""
        before = state.get("period") or next((p for p in ("day", "hour") if p in state), self._period)
        if not state or before == self._period:
            return True
        self.logger.warning(
            f"Stream {self.name}: the state is of period {before}, the option says {self._period}. Rows of the two "
            "cannot be mixed, so the stream starts anew; reset it to remove the old rows from the destination."
        )
        return False

    def _first_day_again(self, reached: date) -> date:
        """Where to begin after `reached`: at the first day that was not final when it was read."""
        synced = self._state.get("synced")
        try:
            # A clock that was ahead at the last sync must not make days final.
            when = reached if synced is None else min(date.fromisoformat(synced), self._synced()) - _ZONE_SLACK
            return min(reached + _DAY, max(reached, when) - timedelta(days=self.config.lookback_days))
        except (TypeError, ValueError, OverflowError):
            raise self.unreadable_state() from None

    def _state_at(self, day: date) -> dict[str, Any]:
        return {
            self.cursor_name: f"{day.isoformat()}T00:00:00.000Z",
            "period": self._period,
            "synced": self._synced().isoformat(),
            "version": STATE_VERSION,
        }
