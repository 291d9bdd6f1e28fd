"""Counts of posts, by an invented clock."""

from __future__ import annotations

import pytest
from webhook_inlet.stats import BATCH_BOUNDS, MINUTES, CommitStats, InletStats, Outcome
from webhook_inlet.writer import Commit


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def stats(ticks: Clock) -> InletStats:
    return InletStats(clock=lambda: 1_764_200_000.0 + ticks.now, ticks=ticks)


def test_a_post_is_in_every_window_that_it_is_young_enough_for(stats: InletStats, ticks: Clock) -> None:
    stats.count(Outcome.STORED)
    ticks.now += 10 * 60
    stats.count(Outcome.STORED)
    stats.count(Outcome.SHED)
    assert stats.minutes.last(5)[Outcome.STORED] == 1
    assert stats.minutes.last(60)[Outcome.STORED] == 2
    assert stats.minutes.last(MINUTES)[Outcome.STORED] == 2
    assert stats.minutes.last(5)[Outcome.SHED] == 1
    assert stats.total[Outcome.STORED] == 2


@pytest.mark.parametrize("window", [5, 60, MINUTES])
def test_a_post_leaves_a_window_after_so_many_minutes(stats: InletStats, ticks: Clock, window: int) -> None:
    stats.count(Outcome.DUPLICATE)
    ticks.now += (window - 1) * 60
    assert stats.minutes.last(window)[Outcome.DUPLICATE] == 1
    ticks.now += 60
    assert stats.minutes.last(window)[Outcome.DUPLICATE] == 0
    assert stats.total[Outcome.DUPLICATE] == 1


@pytest.mark.parametrize("days", [1, 2, 30])
def test_a_day_of_silence_leaves_nothing_in_the_windows(stats: InletStats, ticks: Clock, days: int) -> None:
    for _ in range(MINUTES):
        stats.count(Outcome.STORED)
        ticks.now += 60
    ticks.now += days * 86_400
    stats.count(Outcome.STORED)
    assert stats.minutes.last(MINUTES)[Outcome.STORED] == 1
    assert stats.total[Outcome.STORED] == MINUTES + 1


def test_the_running_minute_is_the_last_of_the_plot(stats: InletStats, ticks: Clock) -> None:
    stats.count(Outcome.STORED)
    ticks.now += 3 * 60
    stats.count(Outcome.STORED)
    stats.count(Outcome.TOO_LARGE)
    stats.count(Outcome.DUPLICATE)
    plot = stats.minutes.each(60, Outcome.STORED, Outcome.TOO_LARGE)
    assert len(plot) == 60
    assert plot[-4:] == [1, 0, 0, 2]
    assert sum(plot) == 3


@pytest.mark.parametrize("outcome", [Outcome.STORED, Outcome.DUPLICATE, Outcome.TOO_LARGE])
def test_a_verified_post_is_the_last_event(stats: InletStats, ticks: Clock, outcome: Outcome) -> None:
    assert stats.last_event_at is None
    stats.count(outcome)
    assert stats.last_event_at == 1_764_200_000.0 + ticks.now


@pytest.mark.parametrize("outcome", [Outcome.BAD_SIGNATURE, Outcome.SHED, Outcome.ERROR])
def test_a_post_that_was_not_kept_is_no_event(stats: InletStats, outcome: Outcome) -> None:
    stats.count(outcome)
    assert stats.last_event_at is None


def test_a_refused_signature_is_remembered_with_its_time(stats: InletStats, ticks: Clock) -> None:
    stats.count(Outcome.BAD_SIGNATURE)
    ticks.now += 5
    stats.count(Outcome.STORED)
    assert stats.last_bad_signature_at == 1_764_200_000.0 + ticks.now - 5


def test_after_a_restart_the_last_event_is_that_of_the_store(stats: InletStats, ticks: Clock) -> None:
    stats.remember(None)
    assert stats.last_event_at is None
    stats.remember(1_764_200_000_500_000)
    assert stats.last_event_at == 1_764_200_000.5
    stats.count(Outcome.STORED)
    stats.remember(1_764_200_000_500_000)
    assert stats.last_event_at == 1_764_200_000.0 + ticks.now


def test_answers_are_counted_by_their_seconds_but_not_those_of_bad_signatures(stats: InletStats) -> None:
    stats.count(Outcome.STORED, 0.001)
    stats.count(Outcome.STORED, 0.0011)
    stats.count(Outcome.SHED, 9.0)
    stats.count(Outcome.BAD_SIGNATURE, 0.5)
    assert stats.answers.counts[0] == 1
    assert stats.answers.counts[1] == 1
    assert stats.answers.counts[-1] == 1
    assert sum(stats.answers.counts) == 3
    assert stats.answers.sum == pytest.approx(9.0021)


def test_secrets_are_counted_by_their_place(stats: InletStats) -> None:
    for place in (0, 1, 0):
        stats.key_used(place)
    assert stats.keys_used == {0: 2, 1: 1}


def test_the_last_error_has_its_time(stats: InletStats, ticks: Clock) -> None:
    stats.failed("The disk is full.")
    assert stats.last_error == "The disk is full."
    assert stats.last_error_at == 1_764_200_000.0 + ticks.now


def test_commits_are_counted_by_seconds_and_events() -> None:
    commits = CommitStats()
    commits.committed(Commit(events=5, bytes=5_000, seconds=0.004))
    commits.committed(Commit(events=5_000, bytes=5_000_000, seconds=0.3))
    assert commits.events.counts[BATCH_BOUNDS.index(5)] == 1
    assert commits.events.counts[-1] == 1
    assert commits.seconds.sum == pytest.approx(0.304)
