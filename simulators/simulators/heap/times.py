"""How Heap writes an instant, and which instant a written value means.

Three columns have Heap's own instants: `time`, and `joindate` and `last_modified` of users. Their encoding differs by
table and year: text in event tables, integer microseconds for users until 2020, text for users in 2023, and the integer
0 in `user_migrations`, which means no instant (all observed by third parties; the vendor guarantees none of it). The
vendor's current documentation has milliseconds. `session_time` of event tables is a text with an instant in older
exports; by the vendor's documentation it is the number of seconds since the start of the session.

Writing and reading share no code here, and the connector has its own code too. So a test that compares the connector
with `instant_micros` compares two independent implementations.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

TIME_COLUMNS = frozenset({"time", "joindate", "last_modified"})
SESSION_TIME = "session_time"
"""Beside `TIME_COLUMNS` the only column with instants. A customer's own column, such as `renewal_time`, is text."""


class TimeEncoding(StrEnum):
    """How an instant is written. `ZERO` and `GARBAGE` lose the instant."""

    TEXT = "text"
    """`2024-05-01 12:34:56.789`: UTC, without a zone and without zeros at the end of the fraction."""
    ISO_Z = "iso-z"
    ISO_OFFSET = "iso-offset"
    EPOCH_MS = "epoch-ms"
    EPOCH_US = "epoch-us"
    EPOCH_NS = "epoch-ns"
    SECONDS = "seconds"
    MS_TEXT = "epoch-ms-text"
    ZERO = "0"
    GARBAGE = "garbage"

    @property
    def numeric(self) -> bool:
        """Whether the value is an Avro long. Otherwise it is a string."""
        return self in _NUMERIC


_NUMERIC = frozenset(
    {TimeEncoding.EPOCH_MS, TimeEncoding.EPOCH_US, TimeEncoding.EPOCH_NS, TimeEncoding.SECONDS, TimeEncoding.ZERO}
)
_GARBAGE = ("yesterday", "", "0000-00-00 00:00:00", "2024-13-45 99:00:00", "null")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_instant(micros: int, encoding: TimeEncoding) -> str | int:
    """An instant (microseconds since 1970) as a file holds it. Coarser encodings round down."""
    integers = {
        TimeEncoding.EPOCH_MS: micros // 1_000,
        TimeEncoding.EPOCH_US: micros,
        TimeEncoding.EPOCH_NS: micros * 1_000,
        TimeEncoding.SECONDS: micros // 1_000_000,
        TimeEncoding.ZERO: 0,
    }
    if encoding in integers:
        return integers[encoding]
    if encoding is TimeEncoding.GARBAGE:
        return _GARBAGE[micros % len(_GARBAGE)]
    if encoding is TimeEncoding.MS_TEXT:
        return str(micros // 1_000)
    shift = timedelta(hours=2) if encoding is TimeEncoding.ISO_OFFSET else timedelta()
    moment = _EPOCH + timedelta(microseconds=micros) + shift
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    if encoding is TimeEncoding.TEXT:
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{'Z' if encoding is TimeEncoding.ISO_Z else '+02:00'}"


_WRITTEN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
"""Pairs of a limit and a unit in microseconds. A number below the limit has this unit: s, ms, us."""


def instant_micros(value: object) -> int | None:
    """The instant that a value of a time column means, in microseconds since 1970; None for no instant.

    Null and 0 mean no instant. The size of a number gives its unit (nanoseconds from 10**17 on). A text without a zone
    is UTC. A text with a number is read as this number. Everything else is no instant. Fractions of a microsecond are
    dropped.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _from_number(Fraction(value))
    if not isinstance(value, str):
        return None
    if _NUMBER.fullmatch(value):
        return _from_number(Fraction(value))
    match = _WRITTEN.fullmatch(value)
    return _from_text(match) if match else None


def instant_text(value: object) -> str | None:
    """`instant_micros` as RFC 3339 in UTC with six digits: `2024-05-01T12:34:56.789000Z`."""
    micros = instant_micros(value)
    if micros is None:
        return None
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _from_number(number: Fraction) -> int | None:
    if number == 0:
        return None
    for limit, micros in _UNITS:
        if abs(number) < limit:
            return _in_calendar(number * micros)
    return _in_calendar(number / 1_000)


def _in_calendar(micros: Fraction) -> int | None:
    whole = micros.numerator // micros.denominator
    try:
        _EPOCH + timedelta(microseconds=whole)
    except OverflowError:
        return None
    return whole


def _from_text(match: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
        if match[9]:
            offset = timedelta(hours=int(match[10]), minutes=int(match[11] or 0))
            moment = moment - offset if match[9] == "+" else moment + offset
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1)
