"""The column of times by which the connector filters rows, and the state that is kept of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, NoReturn

from source_kit.errors import config_error
from source_kit.raw_rows import RawRows
from source_kit.stream import Record, Rows

from source_customerio.client import CustomerIoClient

#: Seconds before the saved cursor whose rows are emitted again. An edit that happens while a list is paged may be
#: missed in that sync; its time lies behind the sync's start, which is as far as a cursor ever moves.
LOOKBACK = 3600
#: Rows without a time that the warning names
_NAMED = 5


class Cursor:
    """The column of times `field`, in epoch seconds, of one stream in one sync. `key` names rows in a warning."""

    def __init__(self, client: CustomerIoClient, field: str, key: Sequence[str], sync_start: datetime) -> None:
        self.field = field
        self.sync_start = int(sync_start.timestamp())
        self._client = client
        self._key = key
        self._sync_start = sync_start
        self._start = client.connection.config.start or 0
        self._lock = threading.Lock()
        self._without_time = 0
        self._names: list[str] = []

    def saved(self, state: Mapping[str, Any]) -> int | None:
        """The saved value of the cursor, None for an empty state.

        Raises a config_error for a value that is no time, and for a state without it, which is another stream's.
        """
        if not state:
            return None
        if self.field not in state:
            self.unreadable(f"it has no {self.field!r}")
        return self.time_in(state, self.field)

    def time_in(self, state: Mapping[str, Any], name: str) -> int:
        """The time under a name of a state. Raises a config_error for what is no time."""
        seconds = _seconds(state[name])
        if seconds is None:
            self.unreadable(f"{name!r} must be a number of seconds")
        return seconds

    def unreadable(self, why: str) -> NoReturn:
        """Raises the config_error for a state that is not this stream's."""
        name = self._client.name
        raise config_error(
            f"The saved state of {name} cannot be read: {why}. Reset the stream, so that it is read from the "
            "beginning, or restore its last good state.",
            f"{name}: {why}",
        )

    def floor(self, saved: int | None) -> int:
        """The oldest second to emit, given the saved cursor."""
        return self._start if saved is None else max(self._start, saved - LOOKBACK)

    def times(self, rows: Rows) -> list[Any]:
        """What every row has as its time, None where it has nothing."""
        return rows.columns[self.field] if isinstance(rows, RawRows) else [row.get(self.field) for row in rows]

    def split(self, rows: Rows, floor: int) -> tuple[Rows, int]:
        """The rows that are not older than `floor`, and the newest time of all; 0 where no row has one.

        UNKNOWN-AGE-IS-EMITTED: a row without a time is emitted, moves no state, and is counted for `report`. A time of
        0 or less is none: the vendor writes unset times so.
        """
        if not rows:
            return [], 0
        times = self.times(rows)
        if set(map(type, times)) != {int} or min(times) <= 0:
            return self._split_one_by_one(rows.decoded() if isinstance(rows, RawRows) else rows, floor)
        if min(times) < floor:
            recent = [at >= floor for at in times]
            rows = rows.where(recent) if isinstance(rows, RawRows) else list(compress(rows, recent))
        return rows, max(times)

    def _split_one_by_one(self, rows: list[Record], floor: int) -> tuple[list[Record], int]:
        recent, newest = [], 0
        for row in rows:
            at = _seconds(row.get(self.field))
            if at is not None:
                row[self.field] = at
            if at is None or at <= 0:
                with self._lock:
                    self._without_time += 1
                    if len(self._names) < _NAMED:
                        self._names.append(" ".join(str(row.get(name)) for name in self._key))
                recent.append(row)
                continue
            newest = max(newest, at)
            if at >= floor:
                recent.append(row)
        return recent, newest

    def report(self) -> None:
        """Warns once of the rows without a time."""
        if not self._without_time:
            return
        names = ", ".join(self._names) + (", ..." if self._without_time > len(self._names) else "")
        self._client.logger.warning(
            f"Stream {self._client.name}: {self._without_time} rows have no usable {self.field!r}. They are emitted at "
            "every sync and do not move the state. Open and save these objects in Customer.io, which gives them a "
            f"time, or report it to its support: {names}"
        )

    def advanced(self, saved: int | None, newest: int) -> int:
        """The cursor to save, given the newest time read (0 for none): never behind `saved`, never ahead of the sync.

        A time in the future, which customers may set, would otherwise hide everything until then.
        """
        ceiling = int(self._client.connection.cursor_ceiling(self._sync_start).timestamp())
        reached = min(ceiling, newest or self._start)
        return reached if saved is None else max(saved, reached)


def _seconds(value: Any) -> int | None:
    """A whole number, also one written as text (as Airbyte's own connector does) or with a fraction of 0; else None."""
    if (isinstance(value, str) and value.isascii() and value.isdigit()) or (
        isinstance(value, float) and value.is_integer()
    ):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
