"""Windows of time for deliveries."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from source_customerio.streams.deliveries import DAY, WIDEST, Window, windows

SECONDS = st.integers(min_value=0, max_value=4_102_444_800)


@given(start=SECONDS, length=st.integers(min_value=1, max_value=20 * 365 * DAY), workers=st.integers(1, 10))
def test_windows_meet_without_gap_or_overlap_and_are_at_most_30_days_wide(
    start: int, length: int, workers: int
) -> None:
    """A wider range is cut silently, and both bounds are inclusive."""
    end = start + length - 1
    found = windows(start, end, workers)
    assert found[0].start == start
    assert found[-1].end == end
    assert all(0 < window.end - window.start + 1 <= WIDEST for window in found)
    assert all(later.start == earlier.end + 1 for earlier, later in itertools.pairwise(found))


@given(start=SECONDS, days=st.integers(min_value=1, max_value=60), workers=st.integers(1, 10))
def test_a_short_range_is_split_among_the_workers_but_not_below_a_day(start: int, days: int, workers: int) -> None:
    found = windows(start, start + days * DAY - 1, workers)
    assert len(found) <= max(2 * workers, -(-days // 30))
    assert all(window.end - window.start + 1 >= DAY for window in found[:-1])


def test_a_single_second_is_a_window_of_its_own() -> None:
    assert windows(5, 5, 3) == [Window(5, 5)]


def test_a_start_after_the_end_gives_no_window() -> None:
    """A start date in the future asks for nothing."""
    assert windows(6, 5, 3) == []
