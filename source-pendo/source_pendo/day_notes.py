"""What Pendo's answers say about the days that are read: when they begin, how far they are processed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from source_pendo.aggregation import Scope, app_id_of

#: Other numbers are no times in epoch milliseconds: these lie between 1973 and 5138, and seconds of today are smaller
_MILLIS: Final = range(10**11, 10**14)


@dataclass(frozen=True, slots=True, order=True)
class Processed:
    """How far Pendo has processed the events of an application: a time in epoch milliseconds, and its id."""

    through: int
    app: str


@dataclass(slots=True)
class DayNote:
    """What is known of a day that was read.

    `began` is when it began, in epoch milliseconds, None or any value if Pendo does not say it; `processed` belongs to
    the application that is least far; `complete` is False if rows may be missing.
    """

    began: Any = None
    processed: Processed | None = None
    complete: bool = True


class DayNotes:
    """The notes of a sync's days. Several threads may share it, each for days of its own."""

    def __init__(self, apps: Collection[str]) -> None:
        """`apps` are the applications that are read; empty for all."""
        self._apps = apps
        self._notes: dict[date, DayNote] = {}

    def add(self, scope: Scope, envelope: Mapping[str, Any]) -> None:
        """Note what an answer has beside its rows."""
        note = self._of(scope.day)
        if scope.hours is None or scope.hours.first == 0:
            note.began = envelope.get("startTime", note.began)
        found = processed(envelope.get("details"), self._apps)
        note.processed = min(filter(None, (note.processed, found)), default=None)

    def doubt(self, day: date) -> None:
        """Note that rows of a day may be missing."""
        self._of(day).complete = False

    def take(self, day: date) -> DayNote:
        """The note of a day that was read. It is not kept."""
        return self._notes.pop(day, None) or DayNote()

    def _of(self, day: date) -> DayNote:
        return self._notes.setdefault(day, DayNote())


def processed(details: Any, apps: Collection[str]) -> Processed | None:
    """The application that is processed least far, by the `details` of an answer; None if they do not say it.

    Pendo's API documentation (August 2025): with `details=true` an answer has `details.validThrough`, an object from an
    application's id to the time up to which its events are processed. Milliseconds are inferred. What an application
    has that sends nothing is not documented. What is no such time is ignored.
    """
    through = details.get("validThrough") if isinstance(details, dict) else None
    if not isinstance(through, dict):
        return None
    found = []
    for name, at in through.items():
        app = app_id_of({"appId": name})
        if app and (not apps or app in apps) and isinstance(at, int | float) and int(at) in _MILLIS:
            found.append(Processed(int(at), app))
    return min(found, default=None)
