"""Instants on the wire: epoch milliseconds in, RFC 3339 in UTC out, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS = 60_000
#: "00.000Z" ... "59.999Z": the tail of every timestamp, so that formatting is two look-ups
_MILLIS = tuple(f".{ms:03d}Z" for ms in range(1000))
_TAILS = tuple(second + millis for second in map("{:02d}".format, range(60)) for millis in _MILLIS)
_MINUTES: dict[int, str] = {}
_MINUTES_KEPT = 100_000


def iso_millis(epoch_ms: float) -> str:
    """`1772341200123` -> `2026-03-01T05:00:00.123Z`. Fractions of a millisecond are cut.

    Raises OverflowError for an instant outside the years 1 to 9999.
    """
    minute, tail = divmod(int(epoch_ms), _MINUTE_MS)
    head = _MINUTES.get(minute)
    if head is None:
        if len(_MINUTES) >= _MINUTES_KEPT:
            _MINUTES.clear()
        at = _EPOCH + timedelta(minutes=minute)
        head = _MINUTES[minute] = f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:"
    return head + _TAILS[tail]


def epoch_millis(at: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime, exact."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def parse_instant(text: str) -> datetime:
    """An RFC 3339 or ISO 8601 date or date-time as an aware datetime; without a zone it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text.strip())
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def utc_now() -> datetime:
    """The present, aware, UTC: the one clock of the connectors, so that tests can move it."""
    return datetime.now(UTC)
