"""Metric arrays to rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from source_customerio.series import EASTERN, Resolution, from_start, instant_or_none, months_touched, until_now


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        (1_735_689_600, "2025-01-01T00:00:00+00:00"),
        ("2025-01-01 00:00:00 UTC", "2025-01-01T00:00:00+00:00"),
        ("2025-01-01 00:00:00 -0300 -03", "2025-01-01T03:00:00+00:00"),
        ("2025-01-01 00:00:00 +0000 UTC", "2025-01-01T00:00:00+00:00"),
        ("2025-01-01 00:00:00.123 +0000 UTC", "2025-01-01T00:00:00.123000+00:00"),
        ("2025-07-01 00:00:00 -0400 EDT", "2025-07-01T04:00:00+00:00"),
        ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00+00:00"),
    ],
)
def test_an_instant_as_go_prints_it_is_understood(value: object, iso: str) -> None:
    """Version 2 writes dates that are not ISO 8601."""
    found = instant_or_none(value)
    assert found is not None
    assert found.isoformat() == iso


@pytest.mark.parametrize("value", [None, "", "soon", "0001-01-01 00:00:00 +0000 UTC", 10**30, -1, [1], True])
def test_what_is_no_instant_of_this_world_is_none(value: object) -> None:
    """Go prints the year 1 for a time that was never set."""
    assert instant_or_none(value) is None


def test_a_series_from_a_start_gets_a_period_for_each_value() -> None:
    rows = list(from_start({"sent": [1, 2], "opened": [3]}, datetime(2024, 2, 29, tzinfo=UTC), Resolution.DAYS))
    assert rows == [
        {"period_start": 1_709_164_800, "metrics": {"sent": 1, "opened": 3}},
        {"period_start": 1_709_251_200, "metrics": {"sent": 2}},
    ]


def test_months_are_calendar_months() -> None:
    rows = list(from_start({"sent": [1, 2, 3]}, datetime(2024, 12, 1, tzinfo=UTC), Resolution.MONTHS))
    starts = [datetime.fromtimestamp(row["period_start"], UTC).date().isoformat() for row in rows]
    assert starts == ["2024-12-01", "2025-01-01", "2025-02-01"]


def test_a_series_until_now_ends_with_the_present_day_on_eastern_time() -> None:
    """At two in the morning UTC, Eastern time still has the day before."""
    rows = list(until_now({"sent": [1, 2]}, datetime(2026, 1, 10, 2, tzinfo=UTC), Resolution.DAYS))
    starts = [datetime.fromtimestamp(row["period_start"], UTC).isoformat() for row in rows]
    assert starts == ["2026-01-08T05:00:00+00:00", "2026-01-09T05:00:00+00:00"]


def test_days_keep_their_names_over_a_change_of_clocks() -> None:
    rows = list(until_now({"sent": [1, 2, 3]}, datetime(2026, 3, 9, 12, tzinfo=UTC), Resolution.DAYS))
    starts = [datetime.fromtimestamp(row["period_start"], UTC).isoformat() for row in rows]
    assert starts == ["2026-03-07T05:00:00+00:00", "2026-03-08T05:00:00+00:00", "2026-03-09T04:00:00+00:00"]


def test_null_values_are_dropped() -> None:
    rows = list(from_start({"sent": [1, None]}, datetime(2024, 1, 1, tzinfo=UTC), Resolution.DAYS))
    assert [row["metrics"] for row in rows] == [{"sent": 1}, {}]


def test_no_series_is_no_period() -> None:
    assert list(until_now({}, datetime(2024, 1, 1, tzinfo=UTC), Resolution.DAYS)) == []


def test_months_are_counted_by_the_calendar() -> None:
    start, end = datetime(2024, 1, 31, 23, tzinfo=UTC), datetime(2024, 2, 1, 1, tzinfo=UTC)
    assert months_touched(start, end) == 2
    assert months_touched(end, start) == 1
    assert months_touched(datetime(2024, 2, 1, 4, tzinfo=UTC), end.astimezone(EASTERN)) == 1
