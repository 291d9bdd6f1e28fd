"""Heap's instants as RFC 3339 in UTC, value by value.

Four columns hold them: `time` and the legacy `session_time` of event tables, `joindate` and `last_modified` of users.
Their encoding differs by table and year (observed by third parties, promised nowhere): text in event tables, integer
microseconds for users until 2020 and text in 2023, milliseconds in the vendor's present documentation, and 0 for "no
instant" in `user_migrations`. So nothing is assumed about a column, only about a value: the size of a number tells its
unit, text without a zone is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

#: The columns whose values are instants. A customer's own `renewal_time` is not ours to change.
TIME_COLUMNS = frozenset({"time", "session_time", "joindate", "last_modified"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Numbers of a smaller magnitude are seconds, milliseconds, microseconds: the factor makes microseconds of them.
#: 10**11 seconds are the year 5138, 10**11 milliseconds 1973. From 10**17 on they are nanoseconds.
_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_TEXT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[ T](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?",
    re.ASCII,
)


class Unfit(ValueError):
    """A value that cannot be what the catalog promised; here: text or a number that means no instant."""


def normalize(value: Any) -> str | None:
    """`2024-05-01 12:34:56.789` -> `2024-05-01T12:34:56.789000Z`; null and 0 -> None. Raises Unfit for the rest.

    Digits beyond the microsecond are cut.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return normalize_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit
    return _from_number(value)


def normalize_text(text: str) -> str | None:
    """As `normalize`, by looking up the parts of texts of the usual shapes. They repeat: a day has 1,440 minutes."""
    try:
        return _DAY[text[:10]] + _MINUTE[text[10:16]] + _SECOND[text[16:19]] + _MILLI[text[19:23]] + _MICRO[text[23:]]
    except KeyError:
        return _parse(text)


def _parse(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return _from_number(Fraction(text))
    match = _TEXT.fullmatch(text)
    if match is None:
        raise Unfit
    micros = int((match["fraction"] or "").ljust(6, "0")[:6])
    try:
        day = datetime.fromisoformat(match["date"]).replace(tzinfo=UTC)
        at = day.replace(hour=int(match["hour"]), minute=int(match["minute"]), second=int(match["second"]))
        if match["sign"]:
            offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
            at = at - offset if match["sign"] == "+" else at + offset
    except (ValueError, OverflowError):
        raise Unfit from None
    _remember(match["date"])
    return write(at + timedelta(microseconds=micros))


def _from_number(number: float | Fraction) -> str | None:
    if not number:
        return None
    try:
        exact = Fraction(number)
    except (ValueError, OverflowError):  # not a number, infinite
        raise Unfit from None
    factor = next((factor for limit, factor in _UNITS if abs(exact) < limit), None)
    micros = exact * factor if factor else exact / 1_000
    try:
        return write(_EPOCH + timedelta(microseconds=micros.__floor__()))
    except OverflowError:
        raise Unfit from None


def write(at: datetime) -> str:
    """An aware datetime in UTC, six digits behind the second."""
    return (
        f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:{at.second:02d}.{at.microsecond:06d}Z"
    )


# The look-ups. Days are added as they are met, after the calendar was asked; the rest is complete from the start.
_DAYS_KEPT = 50_000
_DAY: dict[str, str] = {}
_MINUTE = {
    f"{separator}{hour:02d}:{minute:02d}": f"T{hour:02d}:{minute:02d}"
    for separator in " T"
    for hour in range(24)
    for minute in range(60)
}
_SECOND = {f":{second:02d}": f":{second:02d}" for second in range(60)}
#: The four characters behind the second, and the rest. Heap's writer cuts zeros at the end, so the four may be fewer,
#: and the text ends with them. Only ".12Z" could be followed by something else, so it is left to the parser.
_MILLI = {"": ".000", "Z": ".000"}
_MICRO = {"": "000Z", "Z": "000Z"}
for _digits in (1, 2, 3):
    for _number in range(10**_digits):
        _written = f"{_number:0{_digits}d}"
        _padded = _written.ljust(3, "0")
        _MILLI[f".{_written}"] = f".{_padded}"
        _MICRO[_written] = _MICRO[f"{_written}Z"] = f"{_padded}Z"
        if _digits == 1:
            _MILLI[f".{_written}Z"] = f".{_padded}"


def _remember(day: str) -> None:
    if len(_DAY) >= _DAYS_KEPT:
        _DAY.clear()
    _DAY[day] = day
