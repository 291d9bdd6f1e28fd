"""How much there is of everything in a simulated subscription."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DEFAULT_NOW = datetime(2026, 3, 20, 16, 30, tzinfo=UTC)
"""The simulated present. In the 24 days before it New York enters daylight saving time (2026-03-08)."""


@dataclass(frozen=True)
class Size:
    """Counts.

    Event figures are sessions, events and days; a session leaves one to three hourly rows in each grouped source.
    """

    accounts: int
    visitors: int
    anonymous: int
    objects: int
    sessions_per_day: int
    guide_events_per_day: int
    poll_events_per_day: int
    crowd: int
    """Rows of one visitor in one day and half the rows of the busy day: more than the page that a test asks for."""
    days: int = 24
    """Days that have data, the present day included."""
    future_days: int = 12
    """Days that come to light as the clock is advanced."""


SIZES = {
    "tiny": Size(
        accounts=24,
        visitors=45,
        anonymous=15,
        objects=9,
        sessions_per_day=10,
        guide_events_per_day=12,
        poll_events_per_day=5,
        crowd=60,
    ),
    "demo": Size(
        accounts=150,
        visitors=1200,
        anonymous=400,
        objects=40,
        sessions_per_day=130,
        guide_events_per_day=300,
        poll_events_per_day=60,
        crowd=300,
    ),
}
