"""Which days a sync may close: those that have ended everywhere and that Pendo has processed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from logging import Logger
from typing import Final

from source_kit.convert import epoch_millis, iso_millis

from source_pendo.day_notes import DayNote, Processed

#: After this hour (UTC) a calendar day has ended in the last time zone of the world, UTC-12
_LAST_ZONE_HOURS: Final = 12
#: The longest for which an application that Pendo does not process keeps days open. What Pendo says of one that sends
#: nothing is not documented, so it must not keep them open for ever.
_LONGEST_HOLD: Final = timedelta(days=3)


class ClosedDays:
    """The closed days of one stream in one sync. Days may be read by several threads at a time."""

    def __init__(self, stream: str, logger: Logger, ceiling: Callable[[], datetime]) -> None:
        """`ceiling` returns the latest instant to which a state may move; it is called after the first answer."""
        self._stream = stream
        self._logger = logger
        self._ceiling = ceiling
        self._lock = threading.Lock()
        self._held: date | None = None
        self._logged = False

    def last(self, processed: Processed | None = None) -> date:
        """The last day that has ended everywhere, and that is processed as far as `processed` says."""
        ceiling = self._ceiling()
        if processed is not None:
            ceiling -= min(max(_behind(ceiling, processed), timedelta(0)), _LONGEST_HOLD)
        return (ceiling - timedelta(hours=_LAST_ZONE_HOURS)).date() - timedelta(days=1)

    def closes_for_sure(self, day: date) -> bool:
        """Whether a day will be closed when it is read, however far Pendo has processed it."""
        return day <= self.last() - _LONGEST_HOLD

    def closes(self, day: date, note: DayNote, processed: Processed | None) -> bool:
        """Whether a day that was read is closed. One that has ended and is not is held; the first time is logged."""
        if day > self.last():
            return False
        is_processed = day <= self.last(processed)
        if is_processed and note.complete:
            return True
        with self._lock:
            self._held = min(day, self._held or day)
            log = not is_processed and not self._logged
            self._logged = self._logged or log
        if log and processed:
            self._log(processed)
        return False

    def holds(self, day: date) -> bool:
        """Whether the state may not move to a day because an earlier one, or this one, is held."""
        with self._lock:
            return self._held is not None and day >= self._held

    def _log(self, processed: Processed) -> None:
        known = f"application {processed.app} up to {iso_millis(processed.through)} only"
        if _behind(self._ceiling(), processed) <= _LONGEST_HOLD:
            self._logger.info(
                f"Stream {self._stream}: Pendo has processed {known}. The state stays before the days since then, and "
                "the next sync reads them again"
            )
        else:
            self._logger.warning(
                f"Stream {self._stream}: Pendo has processed {known}. Days stay open for {_LONGEST_HOLD.days} days at "
                "most: if that application still sends events, set lookback_window so that it reaches back so far"
            )


def _behind(ceiling: datetime, processed: Processed) -> timedelta:
    return timedelta(milliseconds=epoch_millis(ceiling) - processed.through)
