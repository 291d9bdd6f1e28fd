"""Sizes of a simulated subscription: numbers of accounts, visitors, objects and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DEFAULT_NOW = datetime(2026, 3, 20, 16, 30, tzinfo=UTC)
"""The simulated present. In the 24 days before it New York enters daylight saving time (2026-03-08)."""


@dataclass(frozen=True)
class Size:
    """Numbers of rows. Each session gives one to three hourly rows in each grouped source."""

    accounts: int
    visitors: int
    anonymous: int
    objects: int
    sessions_per_day: int
    guide_events_per_day: int
    poll_events_per_day: int
    crowd: int
    """Rows of one visitor on one day, and half the rows of the busy day. Must be more than a page of a test."""
    days: int = 24
    """Days with data up to the present day, included."""
    dormant_days: int = 0
    """The least engaged visitor was last there up to so many days ago; 0: everybody was in the last 20 days."""
    future_days: int = 12
    """Days with data after the present. They become visible when the clock is advanced."""


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
        accounts=60,
        visitors=150,
        anonymous=900,
        objects=16,
        sessions_per_day=150,
        guide_events_per_day=90,
        poll_events_per_day=25,
        crowd=45,
        dormant_days=360,
    ),
}
