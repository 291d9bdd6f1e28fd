"""Event streams: a slice is a calendar day of the subscription, the state is the last day that has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final, get_args

import requests
from source_kit.convert import epoch_millis, iso_millis, parse_instant, utc_now
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import Row
from source_pendo.client import STATE_VERSION, PendoStream
from source_pendo.config import DEFAULT_HISTORY_DAYS, EARLIEST_DAY, Config, Period
from source_pendo.day_reader import DayReader, EventSource, Scope
from source_pendo.midnights import Midnights

#: After this hour (UTC) a calendar day has ended in the last time zone of the world, UTC-12
_LAST_ZONE_HOURS: Final = 12
#: So many hours before midnight (UTC) the next calendar day begins in the first time zone of the world, UTC+14
_FIRST_ZONE_HOURS: Final = 14
_DAY: Final = timedelta(days=1)
_ZONE_SLACK: Final = timedelta(days=2)
_FAR_AWAY: Final = timedelta(days=10_000)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one day: the calendar day, and the instant at which it began, as the records carry them.

    Rows of a day that an older reading brought and the newest did not are rows that Pendo no longer has.
    """

    day: str
    at: str


class EventStream(PendoStream):
    """Rows of one event source, day by day, for all applications and objects in one chain of requests.

    A day is named as a calendar day, so Pendo's own time zone and its DST apply; which zone that is no endpoint tells.
    Therefore reading ends with the day that has begun in the zone that is furthest ahead, and the state stops at the
    last day that has ended in the zone that is furthest behind.

    The state is `{"<cursor>": "2026-03-01T00:00:00.000Z", "period": "day", "synced": "2026-03-12", "version": 1,
    "midnight": "2026-03-01T00:00:00-05:00"}`: the last day that was read to its end after it had ended, written as if
    its midnight were in UTC; the grain of the rows; the day of that sync; and, where Pendo's answers say it, when that
    day (or the last one that they say it of) began, which shows a change of the time zone. `lookback_window` days
    before it are read and emitted again at every sync, because a day's rows keep changing. A day that was read when it
    was older than that is final: an interrupted first sync of a year goes on where it stopped. A day that fails costs
    that day: the later ones are read, and the state stays before it.
    """

    source: ClassVar[str]
    #: Whether rows are sums over a period, as opposed to single events
    grouped: ClassVar[bool]

    key = ("record_id",)
    parallel_slices = True
    slices_fail_alone = True
    server_filters = True
    rows_sorted = False
    cursor_resolution = "1 day"
    settle = "45 minutes to 6 hours; a day keeps changing for up to ten days"
    reread = "`lookback_window` closed days and the days that are still open"
    deletes = "rows that Pendo no longer has stay in the destination; a view by `read_at` leaves them out"
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
        self._midnights = Midnights()

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
        self._state = self._usable(state)
        try:
            self._midnights = Midnights(self._state.get("midnight"))
        except ValueError:
            raise self.unreadable_state() from None
        earliest = max(self.config.start_date or EARLIEST_DAY, EARLIEST_DAY)
        if self.config.start_date and self.config.start_date < earliest:
            self.logger.info(
                f"Stream {self.name}: start_date lies before {earliest}, when there was no Pendo: read from then on"
            )
        if not self._state:
            history = self._today - timedelta(days=DEFAULT_HISTORY_DAYS)
            self._first = earliest if self.config.start_date else history
            return
        # A state far in the future reads nothing; it must not overflow the calendar either.
        reached = min(parse_instant(self._state[self.cursor_name]).date(), self._today + _FAR_AWAY)
        self._first = max(self._first_day_again(reached), earliest)

    def slices(self) -> Iterable[date]:
        """The calendar days to read, oldest first, up to the day that has begun furthest east."""
        last = self._last_begun()
        if self._first > last:
            self.logger.info(f"Stream {self.name}: the first day to read is {self._first}, which has not begun")
        for number in range((last - self._first).days + 1):
            yield self._first + timedelta(days=number)

    def read_slice(self, slice_: date) -> Iterator[SliceItem]:
        """One day. The state moves to it if it has ended everywhere."""
        started = utc_now()
        reading: Reading | None = None
        began: Any = None
        for rows in self._reader.read(slice_, self.config.app_ids):
            if rows:
                if reading is None:  # behind the first answer, which shows whether this machine's clock is ahead
                    reading = Reading(slice_.isoformat(), iso_millis(epoch_millis(started - self.clock_ahead)))
                    began = rows[0].get("day")
                yield self.records(rows, reading)
        self._note_midnight(slice_, began or self._reader.start_of(slice_))
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

    def _last_begun(self) -> date:
        """The last day that has begun anywhere."""
        return (self._sync_start + timedelta(hours=_FIRST_ZONE_HOURS)).date()

    def _last_closed(self) -> date:
        """The last day that has ended everywhere."""
        return (self.began(self._sync_start) - timedelta(hours=_LAST_ZONE_HOURS)).date() - _DAY

    def records(self, rows: list[Row], reading: Reading) -> list[dict[str, Any]]:
        """Pendo's rows, whole visitors, as records of the stream."""
        raise NotImplementedError

    def probe(self) -> None:
        """Ask for one row of yesterday, by day: hours of some sources may be had for single objects only."""
        scope = Scope(utc_now().date() - _DAY, self.config.app_ids)
        self.aggregate("probe", self._event_source("day").probe(scope)).close()

    def _event_source(self, period: Period) -> EventSource:
        return EventSource(self.source, period, self.order, self.grouped)

    def _new_reader(self) -> DayReader:
        return DayReader(self._event_source(self._period), self.aggregate, self.config.record_limit, self.logger)

    def _usable(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state to go on from; none at first, and none after a change of `period`, which is warned of.

        Raises a config_error for what no sync of this stream wrote: to start anew would be a guess.
        """
        if not state:
            return {}
        grains: tuple[Period, ...] = get_args(Period) if self.grouped else ("day",)
        period = state.get("period", next((grain for grain in grains if grain in state), self._period))
        cursor = self.cursor_column or period
        if period not in grains or self.cursor_millis({**state, self.cursor_name: state.get(cursor)}) is None:
            raise self.unreadable_state()
        if period == self._period:
            return dict(state)
        self.logger.warning(
            f"Stream {self.name}: the state is of period {period}, the option says {self._period}. Rows of the two "
            "cannot be mixed, so the stream starts anew; reset it to remove the old rows from the destination."
        )
        return {}

    def _note_midnight(self, day: date, began: Any) -> None:
        if changed := self._midnights.note(day, began):
            before, now = changed
            self.logger.warning(
                f"Stream {self.name}: the subscription's time zone was changed (UTC{before} before, UTC{now} now). "
                f"Days from {self._first} on are read by the new one; reset the stream to read earlier ones by it, too"
            )

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
        } | ({"midnight": midnight} if (midnight := self._midnights.text(day)) else {})
