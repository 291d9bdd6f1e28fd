"""Avro's logical types of time, value by value, for fastavro to read with.

fastavro's own readers end a whole file at the first value that Python's types cannot hold: an instant beyond the year
9999, a time of day beyond its end (a negative one becomes another time silently). These make `BEYOND` of such a value,
which loses it alone. A `uuid` stays the text that it is, also where it is none.

The pairs of underlying and logical type are the Avro 1.11 specification's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

#: Stands for a value that has no notation; `values.plain` takes it for unfit.
BEYOND = object()

_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local timestamp has no zone
_EPOCH = _LOCAL_EPOCH.replace(tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY = timedelta(days=1)
_MILLISECOND, _MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)

#: (value, the writer's schema, the reader's schema) -> value, as fastavro calls it
_Reader = Callable[..., Any]


def _instant(epoch: datetime, unit: timedelta) -> _Reader:
    def read(count: int, *_: Any) -> Any:
        try:
            return epoch + count * unit
        except OverflowError:
            return BEYOND

    return read


def _day(days: int, *_: Any) -> Any:
    try:
        return date.fromordinal(_EPOCH_DAY + days)
    except (OverflowError, ValueError):
        return BEYOND


def _time_of_day(unit: timedelta) -> _Reader:
    def read(count: int, *_: Any) -> Any:
        return (_LOCAL_EPOCH + count * unit).time() if 0 <= count < _DAY // unit else BEYOND

    return read


#: By fastavro's names: underlying type, hyphen, logical type
READERS: Mapping[str, _Reader] = {
    "long-timestamp-millis": _instant(_EPOCH, _MILLISECOND),
    "long-timestamp-micros": _instant(_EPOCH, _MICROSECOND),
    "long-local-timestamp-millis": _instant(_LOCAL_EPOCH, _MILLISECOND),
    "long-local-timestamp-micros": _instant(_LOCAL_EPOCH, _MICROSECOND),
    "int-date": _day,
    "int-time-millis": _time_of_day(_MILLISECOND),
    "long-time-micros": _time_of_day(_MICROSECOND),
    "string-uuid": lambda text, *_: text,
}
