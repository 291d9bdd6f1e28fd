"""The column of times by which rows are filtered here, and the state that is kept of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from source_kit.errors import config_error
from source_kit.stream import Record

if TYPE_CHECKING:
    from source_customerio.streams.base import CustomerIoStream

#: Rows younger than the saved cursor less this are emitted again. An edit that happens while a list is paged may be
#: missed in that sync; its time lies behind the sync's start, which is as far as a cursor ever moves. Seconds.
LOOKBACK = 3600
#: Rows without a time that the warning names
_NAMED = 5


class Cursor:
    """The one column of times that a stream filters by, in epoch seconds."""

    def __init__(self, stream: CustomerIoStream, field: str, sync_start: datetime) -> None:
        self.field = field
        self.sync_start = int(sync_start.timestamp())
        self._began = sync_start
        self._stream = stream
        self._get: Callable[[Record], Any] = itemgetter(field)
        self._start = stream.config.start or 0
        self._lock = threading.Lock()
        self._ageless = 0
        self._names: list[str] = []

    def saved(self, state: Mapping[str, Any]) -> int | None:
        """The saved value of the cursor, None where the state has none. Raises a config_error for one that is no time.

        A state that is not empty and has no value is one of another stream.
        """
        if not state:
            return None
        if self.field not in state:
            self.unreadable(f"it has no {self.field!r}")
        return self.time_in(state, self.field)

    def time_in(self, state: Mapping[str, Any], name: str) -> int:
        """The time under a name of a state. Raises a config_error for what is no time."""
        value = state[name]
        if _is_written_otherwise(value):  # Airbyte's own connector writes text
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.unreadable(f"{name!r} must be a number of seconds")
        return value

    def unreadable(self, why: str) -> NoReturn:
        """Raises the config_error for a state that is not this stream's."""
        name = self._stream.name
        message = (
            f"The saved state of {name} cannot be read: {why}. Reset the stream, so that it is read from the "
            "beginning, or restore its last good state."
        )
        raise config_error(message, f"{name}: {why}")

    def floor(self, saved: int | None) -> int:
        """The oldest second to emit, given the saved cursor."""
        return self._start if saved is None else max(self._start, saved - LOOKBACK)

    def split(self, rows: list[Record], floor: int) -> tuple[list[Record], int | None]:
        """The rows that are not older than `floor`, and the newest time of all; None where no row has one.

        UNKNOWN-AGE-IS-EMITTED: a row without its time is kept, moves no state, and is counted for `report`. No time is
        also 0 or less, as unset times are written.
        """
        get = self._get
        try:
            oldest, newest = min(map(get, rows)), max(map(get, rows))
        except (KeyError, TypeError):
            return self._split_one_by_one(rows, floor)
        if oldest.__class__ is not int or newest.__class__ is not int or oldest <= 0:
            return self._split_one_by_one(rows, floor)
        return (rows if oldest >= floor else [row for row in rows if get(row) >= floor]), newest

    def _split_one_by_one(self, rows: list[Record], floor: int) -> tuple[list[Record], int | None]:
        kept, newest = [], None
        for row in rows:
            at: Any = row.get(self.field)
            if _is_written_otherwise(at):
                at = row[self.field] = int(at)
            if not isinstance(at, int) or isinstance(at, bool) or at <= 0:
                self._count(row)
                kept.append(row)
                continue
            newest = later(newest, at)
            if at >= floor:
                kept.append(row)
        return kept, newest

    def _count(self, row: Record) -> None:
        with self._lock:
            self._ageless += 1
            if len(self._names) < _NAMED:
                self._names.append(" ".join(str(row.get(name)) for name in self._stream.key))

    def report(self) -> None:
        """Warns once of the rows without a time."""
        if not self._ageless:
            return
        names = ", ".join(self._names) + (", ..." if self._ageless > len(self._names) else "")
        self._stream.logger.warning(
            f"Stream {self._stream.name}: {self._ageless} rows have no usable {self.field!r}. They are emitted at "
            "every sync and do not move the state. Open and save these objects in Customer.io, which gives them a "
            f"time, or report it to its support: {names}"
        )

    def advanced(self, saved: int | None, newest: int | None) -> int:
        """The cursor to save: never behind the last one, never ahead of this sync's start.

        A time in the future, which customers may set, would otherwise hide everything until then.
        """
        began = int(self._stream.began(self._began).timestamp())
        reached = min(began, self._start if newest is None else newest)
        return reached if saved is None else max(saved, reached)


def _is_written_otherwise(value: Any) -> bool:
    """Whether a value is a whole number that was written as text or with a fraction of 0."""
    return (isinstance(value, str) and value.isascii() and value.isdigit()) or (
        isinstance(value, float) and value.is_integer()
    )


def later(one: int | None, other: int | None) -> int | None:
    """The later of two times, of which either may be missing."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
