"""Times as people and JavaScript write them: the formats that Pendo's documentation names for metadata."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: UTC offsets, in hours, of the zone names that are unambiguous (RFC 2822); several countries use the other names
_ZONES: Final = {
    **dict.fromkeys(("z", "ut", "utc", "gmt"), 0),
    **{"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7},
}
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
#: An offset wins over the name after it: `GMT-0500 (EST)`, `+0000 UTC`
_ZONE: Final = (
    r"(?:\s*(?:(?:GMT|UTC)?(?P<offset>[+-]\d\d:?\d\d)(?:\s+\(?[A-Za-z][A-Za-z ]*\)?)?|(?P<zone>[A-Za-z]{1,5})))?"
)
_FORMATS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"[a-z]{{3}},? (?P<month>[a-z]{{3}}) (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})(?:\s+{_CLOCK}{_ZONE})?",
        rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}}) {_CLOCK}\s?(?P<half>[ap]m)",
        rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)[T ]{_CLOCK}{_ZONE}",
    )
)


def parse_written_time(text: str) -> str | None:
    """A time in one of the formats as an ISO text in UTC; None for any other text.

    Without a zone it is UTC.
    """
    for form in _FORMATS:
        found = form.fullmatch(text)
        if found is not None:
            try:
                return _instant(found.groupdict())
            except (ValueError, KeyError, OverflowError):
                return None
    return None


def _instant(parts: dict[str, str | None]) -> str:
    """Raises ValueError, also for an hour that a clock of twelve hours does not have."""
    month, hour, half = str(parts["month"]).lower(), int(parts["hour"] or 0), parts.get("half")
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    at = datetime(
        int(parts["year"] or 0),
        int(month) if month.isdecimal() else _MONTHS.index(month) + 1,
        int(parts["day"] or 0),
        hour,
        int(parts["minute"] or 0),
        int(parts["second"] or 0),
        int((parts.get("fraction") or "0").ljust(6, "0")[:6]),
        tzinfo=_zone(parts.get("offset"), parts.get("zone")),
    )
    return at.astimezone(UTC).isoformat()


def _zone(offset: str | None, name: str | None) -> timezone:
    """Raises KeyError for the name of an unknown or ambiguous zone."""
    if offset is None:
        return timezone(timedelta(hours=_ZONES[name.lower()])) if name else UTC
    digits = offset[1:].replace(":", "")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-span if offset[0] == "-" else span)
