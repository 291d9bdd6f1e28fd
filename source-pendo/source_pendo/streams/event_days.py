"""Event streams: a slice is a calendar day of the subscription, the state is the last day that has ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, get_args

from source_kit.convert import RecordMapper, epoch_millis, iso_millis, parse_instant, snake_case, utc_now
from source_kit.http.client import Connection
from source_kit.stream import Checkpoint, RecordLines, SliceItem

from source_pendo.aggregation import EventSource, Objects, Row, Scope
from source_pendo.closed_days import ClosedDays
from source_pendo.config import DEFAULT_HISTORY_DAYS, EARLIEST_DAY, Config, Period
from source_pendo.day_notes import Processed
from source_pendo.day_reader import DayReader
from source_pendo.day_starts import DayStarts
from source_pendo.event_rows import Cut, RowText, cut, decoded
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.values import Converter

#: This many hours before midnight (UTC) the next calendar day begins in the first time zone of the world, UTC+14
_FIRST_ZONE_HOURS: Final = 14
_DAY: Final = timedelta(days=1)
_ZONE_SLACK: Final = timedelta(days=2)
_FAR_AWAY: Final = timedelta(days=10_000)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one day: the calendar day, and the instant at which the reading began.

    The records carry both. A row of an older reading that the newest one lacks is a row that Pendo no longer has.
    """

    day: str
    at: str


class EventStream(PendoStream):
    """Rows of one event source, day by day, for all applications and objects in one chain of requests.

    A day is named as a calendar day, so Pendo's own time zone and its DST apply. No endpoint says which zone that is,
    so the last day to read is the one that has begun in the first zone of the world, and the state stops at the last
    day that has ended in the last zone. It also stops before a day that Pendo has not processed yet for every
    application (documented: `details.validThrough`), for three days at most: what an application says that sends
    nothing is not documented.

    State: `{"<cursor>": "2026-03-01T00:00:00.000Z", "period": "day", "synced": "2026-03-12", "version": 1,
    "midnight": "2026-03-01T00:00:00-05:00"}`. The cursor is the last day that was read after it had ended, written as
    if its midnight were in UTC; `period` is that of the rows, `synced` the day of that sync. `midnight` is when the
    cursor's day (or the last known one before) began, if Pendo's answers say it; it shows a change of the time zone.

    `lookback_window` days before the state are read and emitted again at every sync, because a day's rows keep
    changing. A day that was older than that when it was read is final: an interrupted first sync of a year goes on
    where it stopped. If a day fails, the later ones are read, and the state stays before it. No day is read from
    `end_date` on.
    """

    source: ClassVar[str]
    #: Whether rows are sums over a period, as opposed to single events
    grouped: ClassVar[bool]
    #: Converters of columns; they never see None
    converters: ClassVar[Mapping[str, Converter]]

    #: The objects by whose ids a day can be divided; None: Pendo answers single hours of all objects
    objects: ClassVar[Objects | None] = None

    key = ("record_id",)
    parallel_slices = True
    slices_fail_alone = True
    docs = replace(
        PendoStream.docs,
        resolution="1 day",
        late_rows="45 minutes to 6 hours; a day keeps changing for up to ten days",
        read_again="`lookback_window` closed days and the days that are still open",
        deletes="rows that Pendo no longer has stay in the destination; a view by `read_at` filters them out",
        requests="one request a day read, and one more for every further `record_limit` rows",
    )

    _reader: DayReader
    _day_starts: DayStarts
    _state: dict[str, Any]
    _moved = False
    _first: date
    _closed: ClosedDays
    #: How far Pendo has processed the events of a stream whose own answers do not say it
    _processed: Processed | None = None
    _sync_start: datetime

    def __init__(self, config: Config, connection: Connection) -> None:
        super().__init__(config, connection)
        self._period: Period = config.period if self.grouped else "day"
        self._mapper = RecordMapper(snake_case, self.converters)

    @property
    @abstractmethod
    def order(self) -> tuple[str, ...]:
        """Order of a visitor's rows within a page."""

    @abstractmethod
    def ids(self, rows: list[Row], reading: Reading) -> list[str]:
        """A primary key for each row."""

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        source = self._event_source(self._period)
        self._reader = DayReader(source, self.client, self.config.record_limit, self.cut_of, self.config.app_ids)
        self._sync_start = sync_start
        self._closed = ClosedDays(self.name, self.logger, lambda: self.client.connection.cursor_ceiling(sync_start))
        self._state = self._usable(state)
        try:
            self._day_starts = DayStarts(self._state.get("midnight"))
        except ValueError:
            raise self.unreadable_state() from None
        start_date = self.config.start_date
        earliest = max(start_date or EARLIEST_DAY, EARLIEST_DAY)
        if start_date and start_date < earliest:
            self.logger.info(
                f"Stream {self.name}: start_date lies before {earliest}, when there was no Pendo: read from that day on"
            )
        if not self._state:
            self._first = earliest if start_date else sync_start.date() - timedelta(days=DEFAULT_HISTORY_DAYS)
            return
        # A state far in the future reads nothing; it must not overflow the calendar either.
        reached = min(parse_instant(self._state[self.cursor_field]).date(), sync_start.date() + _FAR_AWAY)
        self._first = max(self._first_day_again(reached), earliest)
        end = self.config.end_date
        if end and reached >= end:
            self._first = max(self._first, end)

    def slices(self) -> Iterable[date]:
        """The calendar days to read, oldest first, up to the last that has begun anywhere, and before `end_date`."""
        last = (self._sync_start + timedelta(hours=_FIRST_ZONE_HOURS)).date()
        why = "which has not begun"
        end = self.config.end_date
        if end and end <= last:
            last, why = end - _DAY, f"and end_date is {end}, so there is nothing to read"
        if self._first > last:
            self.logger.info(f"Stream {self.name}: the first day to read is {self._first}, {why}")
            return
        self._processed = self.asked_processed()
        for number in range((last - self._first).days + 1):
            yield self._first + timedelta(days=number)

    def read_slice(self, slice_: date) -> Iterator[SliceItem]:
        """One day. The state moves to it if it has ended everywhere."""
        started = utc_now()
        reading: Reading | None = None
        midnight: Any = None
        for rows in self._reader.read(slice_):
            if rows:
                if reading is None:  # after the first answer, which shows whether this machine's clock is ahead
                    ahead = self.client.connection.clock_ahead
                    reading = Reading(slice_.isoformat(), iso_millis(epoch_millis(started - ahead)))
                    midnight = decoded(rows[0]).get("day")
                yield self.items(rows, reading)
        note = self._reader.note_of(slice_)
        if changed := self._day_starts.note(slice_, midnight or note.began):
            before, now = changed
            self.logger.warning(
                f"Stream {self.name}: the subscription's time zone was changed (UTC{before} before, UTC{now} now). "
                f"Days from {self._first} on are read by the new one; reset the stream to read earlier ones by it, too"
            )
        if self._closed.closes(slice_, note, note.processed or self._processed):
            yield Checkpoint(self._state_at(slice_))

    def end_of(self, slice_: date) -> Mapping[str, Any] | None:
        """None for a day that may stay open because Pendo has not processed it."""
        return self._state_at(slice_) if self._closed.closes_for_sure(slice_) else None

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The update, unless it is of a day before the state's, which is read again, or not before one that stays open.

        `synced` must not move before the cursor: it says that the days before the cursor were read in that sync. Days
        are read at the same time, but merged in their order, and a day is noted as open before its slice ends.
        """
        cursor = self.cursor_field
        if self._closed.holds(parse_instant(update[cursor]).date()):
            return dict(state)
        anew = cursor not in self._state and not self._moved
        self._moved = True
        return dict(update if anew or parse_instant(update[cursor]) >= parse_instant(state[cursor]) else state)

    def final_state(self) -> Mapping[str, Any] | None:
        """A state even if no day has ended yet: the day before the first."""
        return None if self._state else self._state_at(min(self._first - _DAY, self._closed.last()))

    def _synced(self) -> date:
        """The day of this sync. A clock that is ahead must not make days final that have hardly begun."""
        return self.client.connection.cursor_ceiling(self._sync_start).date()

    def asked_processed(self) -> Processed | None:
        """How far Pendo has processed the events, where the answers with the rows do not say it."""
        return None

    def cut_of(self, day: date) -> Cut:
        """What cuts the rows of a day out of Pendo's answers, for `items`."""
        return cut

    def items(self, rows: list[RowText], reading: Reading) -> list[Row] | RecordLines:
        """Pendo's rows, whole visitors, as records."""
        decoded_rows = list(map(decoded, rows))
        return self.records(decoded_rows, self.ids(decoded_rows, reading), reading)

    def records(self, rows: list[Row], ids: list[str], reading: Reading) -> list[Row]:
        """Rows as records: with their key and the reading that they are of."""
        records = self._mapper(rows)
        for record, record_id in zip(records, ids, strict=True):
            record["record_id"] = record_id
            record["read_day"] = reading.day
            record["read_at"] = reading.at
        return records

    def probe(self) -> None:
        """Ask for one row of yesterday, by day: some sources may answer hours for single objects only."""
        scope = Scope(utc_now().date() - _DAY, self.config.app_ids)
        self.client.aggregate("probe", [*self._event_source("day").stages(scope), {"limit": 1}]).close()

    def _event_source(self, period: Period) -> EventSource:
        return EventSource(self.source, period, self.order, self.grouped, self.objects)

    def _usable(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state to go on from; empty at first, and, with a warning, after a change of `period`.

        Raises a config_error for a state that no sync of this stream wrote: to start anew would be a guess.
        """
        if not state:
            return {}
        periods: tuple[Period, ...] = get_args(Period) if self.grouped else ("day",)
        period = state.get("period", next((name for name in periods if name in state), self._period))
        if period not in periods:
            raise self.unreadable_state()
        cursor = state.get(period if self.grouped else self.cursor_field)
        if self.cursor_millis({self.cursor_field: cursor, "version": state.get("version", STATE_VERSION)}) is None:
            raise self.unreadable_state()
        if period == self._period:
            return dict(state)
        self.logger.warning(
            f"Stream {self.name}: the state is of period {period}, the option says {self._period}. Rows of the two "
            "cannot be mixed, so the stream starts anew; reset it to remove the old rows from the destination."
        )
        return {}

    def _first_day_again(self, reached: date) -> date:
        """The first day to read after `reached`: the first that was not final when it was read."""
        synced = self._state.get("synced")
        try:
            # A clock that was ahead at the last sync must not make days final.
            when = reached if synced is None else min(date.fromisoformat(synced), self._synced()) - _ZONE_SLACK
            return min(reached + _DAY, max(reached, when) - timedelta(days=self.config.lookback_days))
        except (TypeError, ValueError, OverflowError):
            raise self.unreadable_state() from None

    def _state_at(self, day: date) -> dict[str, Any]:
        midnight = self._day_starts.text(day)
        return {
            self.cursor_field: f"{day.isoformat()}T00:00:00.000Z",
            "period": self._period,
            "synced": self._synced().isoformat(),
            "version": STATE_VERSION,
            **({"midnight": midnight} if midnight else {}),
        }
