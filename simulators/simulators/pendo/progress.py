"""How far Pendo has processed each application, and the passes that bring late track events to light.

Documented (August 2025): an answer to `?details=true` has `details.validThrough`, the time up to which the data of each
application were processed. A track event with a timestamp in the past is not in the hourly processing. It appears with
the daily or the weekly pass; one that arrives more than 7 days late may never appear, and here it never does. The hour
of a pass is not documented; here it is local midnight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulators.pendo.directory import APPS, iso
from simulators.pendo.events import PROCESSING_MS, HourlyRow
from simulators.pendo.periods import DAY_MS, HOUR_MS, Calendar

NEVER = 1 << 62
_LATEST_ARRIVAL = 7 * DAY_MS


@dataclass
class Progress:
    """`lags` has the milliseconds by which an application is behind the others, `frozen` the time that it stays at."""

    lags: dict[int, int] = field(default_factory=dict)
    frozen: dict[int, int] = field(default_factory=dict)

    def valid_through(self, app: int, now: int) -> int:
        """The time up to which the events of an application are processed: the end of an hour."""
        processed = now - PROCESSING_MS
        processed += HOUR_MS - processed % HOUR_MS
        return min(processed - self.lags.get(app, 0), self.frozen.get(app, NEVER))

    def is_visible(self, app: int, at: int, now: int) -> bool:
        """Whether the events of this instant are processed, as far as the application is behind the others at all."""
        return (app not in self.lags and app not in self.frozen) or at < self.valid_through(app, now)


_FORMS: Mapping[str, Callable[[Mapping[str, int]], Any]] = {
    "usual": lambda through: {"validThrough": through},
    "absent": lambda _: None,
    "empty": lambda _: {},
    "null": lambda _: {"validThrough": None},
    "no_apps": lambda _: {"validThrough": {}},
    "seconds": lambda through: {"validThrough": {app: ms // 1000 for app, ms in through.items()}},
    "texts": lambda through: {"validThrough": {app: str(ms) for app, ms in through.items()}},
    "dates": lambda through: {"validThrough": {app: iso(ms) for app, ms in through.items()}},
    "zero": lambda through: {"validThrough": dict.fromkeys(through, 0)},
    "list": lambda through: {"validThrough": list(through.values())},
}


def details(form: str, progress: Progress, apps: frozenset[int] | None, now: int) -> Any:
    """The member `details` in a form of `Switches.details`; None if the answer has no such member.

    It names the applications of the query. Which ones Pendo names is not documented. KeyError for an unknown form.
    """
    chosen = [app["id"] for app in APPS if apps is None or app["id"] in apps]
    return _FORMS[form]({str(app): progress.valid_through(app, now) for app in chosen})


def after_passes(row: HourlyRow, calendar: Calendar) -> HourlyRow:
    """A row of track events whose late arrival and growth wait for a pass."""
    if row.visible_at > row.hour + PROCESSING_MS:
        row = replace(row, visible_at=_pass_after(row, row.visible_at, calendar))
    if row.growth:
        growth = tuple(replace(item, at=_pass_after(row, item.at, calendar)) for item in row.growth)
        row = replace(row, growth=growth)
    return row


def _pass_after(row: HourlyRow, arrival: int, calendar: Calendar) -> int:
    """The pass that processes what arrived at an instant: weekly for a quarter of the rows, daily for the others."""
    if arrival > row.hour + _LATEST_ARRIVAL:
        return NEVER
    period = "week" if row.first % 4 == 0 else "day"
    return calendar.add(period, calendar.start_of(period, arrival), 1)
