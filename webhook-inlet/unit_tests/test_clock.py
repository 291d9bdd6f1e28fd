"""A clock that somebody moves is noticed, one that a time server corrects is not."""

from __future__ import annotations

import pytest
from webhook_inlet.clock import ClockWatch, since_boot


@pytest.mark.parametrize(
    ("moved_by", "seen"), [(0, 0), (60, 0), (-60, 0), (7200, 7200), (-7200, -7200), (56 * 365 * 86_400, 1_766_016_000)]
)
def test_only_a_clock_that_was_moved_by_more_than_an_hour_is_told(moved_by: float, seen: float) -> None:
    now = [1000.0, 50.0]
    watch = ClockWatch(lambda: now[0], lambda: now[1])
    for elapsed in (10.0, 40 * 86_400.0):
        now[0] += elapsed
        now[1] += elapsed
        assert watch.moved() == 0
    now[0] += moved_by
    assert watch.moved() == pytest.approx(seen)


def test_the_clock_of_this_machine_was_not_moved() -> None:
    assert ClockWatch().moved() == 0
    assert since_boot() <= since_boot()
