"""A clock that is set forward is noticed once; one that runs, is set back or is corrected a little is not."""

from __future__ import annotations

from webhook_inlet.clock import ClockWatch


def test_a_clock_that_was_set_forward_is_noticed_once() -> None:
    day = [1_000_000.0]
    ticks = [50.0]
    watch = ClockWatch(lambda: day[0], lambda: ticks[0])

    def pass_by(seconds: float, moved: float = 0.0) -> float:
        ticks[0] += seconds
        day[0] += seconds + moved
        return watch.set_forward()

    assert pass_by(3600) == 0
    assert pass_by(3600, 600) == 0, "a correction"
    assert pass_by(3600, 40 * 86_400) == 40 * 86_400
    assert pass_by(3600) == 0
    assert pass_by(3600, -40 * 86_400) == 0
    assert pass_by(40 * 86_400) == 0
