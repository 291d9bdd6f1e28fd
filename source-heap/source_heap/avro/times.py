"""Normalizes Heap's instants to RFC 3339 in UTC.

Three columns hold instants: `time`, and `joindate` and `last_modified` of users. Their encoding differs by table and
year (observed by third parties, not documented): text in event tables, integer microseconds for users until 2020 and
text in 2023, milliseconds in the vendor's present documentation, and 0 for "no instant" in `user_migrations`. So each
value is read on its own: the magnitude of a number decides its unit, and text without a zone is UTC.

`session_time` of event tables is different. The vendor documents the seconds since the start of the session; older
exports hold an instant as text (both unverified for S3). So it is an instant only if it is text in that form or has a
logical type; other values stay as they are.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

#: The columns whose values are instants. Other columns, such as a customer's own `renewal_time`, are not changed.
TIME_COLUMNS = frozenset({"time", "joindate", "last_modified"})
SESSION_TIME = "session_time"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: (limit, factor): numbers of a smaller magnitude are seconds, milliseconds, microseconds; the factor gives
#: microseconds. 10**11 seconds are the year 5138, 10**11 milliseconds 1973. From 10**17 on they are nanoseconds.
_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
#: The digits are limited because Python converts no more than 4,300. Every instant has fewer than 20.
_NUMBER = re.compile(r"[+-]?\d{1,100}(?:\.\d{1,100})?", re.ASCII)
_TEXT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[ T](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?",
    re.ASCII,
)


class CoercionError(ValueError):
    """A value cannot be coerced to its target type; here: text or a number that is not an instant."""


def normalize(value: Any) -> str | None:
    """`2024-05-01 12:34:56.789` -> `2024-05-01T12:34:56.789000Z`; null and 0 -> None.

    Digits after the microsecond are cut. Raises CoercionError for any other value.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return normalize_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CoercionError
    return _from_number(value)


def normalize_date(value: date, *, zero_is_none: bool) -> str | None:
    """As `normalize`, for values of Avro's logical types: an instant (UTC if it has no zone) or a day (its start).

    With `zero_is_none` a stored 0 becomes None, as for plain numbers.
    """
    at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return None if zero_is_none and at == _EPOCH else write(at)


def normalize_text(text: str) -> str | None:
    """As `normalize`. Looks up the parts of a text in the usual form: the minute, the milliseconds, the rest."""
    try:
        return _MINUTE[text[:16]] + _MILLI[text[16:23]] + _REST[text[23:]]
    except KeyError:
        return _parse(text)


def instant_of(text: str) -> str | None:
    """As `normalize` for a text like `2024-05-01 12:34:56.789`; None for any other text, also for a number."""
    try:
        return _MINUTE[text[:16]] + _MILLI[text[16:23]] + _REST[text[23:]]
    except KeyError:
        pass
    try:
        return _parse(text) if _TEXT.fullmatch(text) else None
    except CoercionError:  # the 31st of February
        return None


def _parse(text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return _from_number(Fraction(text))
    match = _TEXT.fullmatch(text)
    if match is None:
        raise CoercionError
    micros = int((match["fraction"] or "").ljust(6, "0")[:6])
    try:
        day = datetime.fromisoformat(match["date"]).replace(tzinfo=UTC)
        at = day.replace(hour=int(match["hour"]), minute=int(match["minute"]), second=int(match["second"]))
        if match["sign"]:
            offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
            at = at - offset if match["sign"] == "+" else at + offset
    except (ValueError, OverflowError):
        raise CoercionError from None
    if match["sign"] is None:
        _remember(text, f"{at:%H:%M}", match["fraction"] or "")
    return write(at + timedelta(microseconds=micros))


def _from_number(number: float | Fraction) -> str | None:
    if not number:
        return None
    try:
        exact = Fraction(number)
    except (ValueError, OverflowError):  # not a number, infinite
        raise CoercionError from None
    factor = next((factor for limit, factor in _UNITS if abs(exact) < limit), Fraction(1, 1_000))
    try:
        return write(_EPOCH + timedelta(microseconds=(exact * factor).__floor__()))
    except OverflowError:
        raise CoercionError from None


def write(at: datetime) -> str:
    """An aware datetime in UTC as RFC 3339 with microseconds."""
    return (
        f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:{at.second:02d}.{at.microsecond:06d}Z"
    )


# Look-up tables, filled from parsed texts: `2024-05-01 12:34` -> `2024-05-01T12:34`, `:56.78` -> `:56.780`, and the
# rest of the text. A part shorter than `:56.789` must end the text; `:56.78Z` does not show that, so it is not kept.
_KEPT = 100_000
_MINUTE: dict[str, str] = {}
_MILLI: dict[str, str] = {}
_REST = {"": "000Z", "Z": "000Z"}


def _remember(text: str, minute: str, fraction: str) -> None:
    """Adds the parts of a valid text without an offset."""
    for known in (_MINUTE, _MILLI, _REST):
        if len(known) >= _KEPT:
            known.clear()
            _REST.update({"": "000Z", "Z": "000Z"})
    _MINUTE[text[:16]] = f"{text[:10]}T{minute}"
    if len(fraction) >= 3:
        _MILLI[text[16:23]] = text[16:23]
        _REST[text[23:]] = f"{fraction[3:6]:0<3}Z"
    elif len(text) < 23:
        _MILLI[text[16:23]] = f"{text[16:19]}.{fraction:0<3}"
