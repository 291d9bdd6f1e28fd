"""How Heap writes an instant, and what instant a written value means.

Three columns hold Heap's own instants: `time`, and `joindate` and `last_modified` of users. Their encoding differs by
table and era (all observed by third parties, none promised by the vendor): text in event tables, integer microseconds
for users until 2020, text for users in 2023, milliseconds in the vendor's current documentation, and the integer 0 in
`user_migrations`, which stands for no instant at all. `session_time` of event tables is text with an instant in older
exports, and the seconds since the session began by the vendor's documentation.

The two halves of this module share no code: a test that compares a connector with `instant_micros` compares two
independent readings of the same paragraph.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction

TIME_COLUMNS = frozenset({"time", "joindate", "last_modified"})
SESSION_TIME = "session_time"
"""The only columns whose values are instants. A customer's own `renewal_time` stays what it is."""


class TimeEncoding(StrEnum):
    """One way to write an instant. `ZERO` and `GARBAGE` lose it."""

    TEXT = "text"
    """`2024-05-01 12:34:56.789`, the zeros at the end of the fraction cut, without a zone: UTC."""
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
        """Written as an Avro long rather than a string."""
        return self in _NUMERIC


_NUMERIC = frozenset(
    {TimeEncoding.EPOCH_MS, TimeEncoding.EPOCH_US, TimeEncoding.EPOCH_NS, TimeEncoding.SECONDS, TimeEncoding.ZERO}
)
_GARBAGE = ("yesterday", "", "0000-00-00 00:00:00", "2024-13-45 99:00:00", "null")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_instant(micros: int, encoding: TimeEncoding) -> str | int:
    """The instant (microseconds since 1970) as a file holds it. Coarser encodings round down."""
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
"""A magnitude below the first number is in units of that many microseconds: seconds, milliseconds, microseconds."""


def instant_micros(value: object) -> int | None:
    """The instant that a value of a time column means, in microseconds since 1970; None where it means none.

    Null stays null, 0 is no instant, a number's magnitude tells its unit (nanoseconds from 10**17 on), text without a
    zone is UTC, text that is a number is that number, everything else is no instant. Finer than a microsecond is cut.
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
