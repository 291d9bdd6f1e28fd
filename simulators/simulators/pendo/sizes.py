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
