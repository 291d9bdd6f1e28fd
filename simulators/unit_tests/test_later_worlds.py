"""The same simulated vendor some days later: what was there stays, and each day adds and changes some."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.replay import replay
from simulators.pendo import PendoSimulator

NOW = datetime(2026, 3, 20, 16, 0, tzinfo=UTC)
DAY = 86_400
KEPT = {
    "pendo": ("guide_events", "poll_events", "email_events", "visitor_history", "feedback_votes"),
    "customerio": ("customer_topics", "esp_suppressions", "segment_memberships", "object_relationships"),
}
CHANGED = {
    "pendo": ("page_events", "accounts", "visitors", "feedback_items", "guides_seen"),
    "customerio": ("messages", "customers", "campaigns", "campaign_actions", "newsletters", "snippets"),
}


def world(vendor: str, later: int, size: str = "tiny") -> Any:
    """A simulator that serves nothing."""
    if vendor == "pendo":
        return PendoSimulator(size=size, now=NOW, later=later)
    return CustomerioSimulator(size=size, now=int(NOW.timestamp()), later=later)


def rows(simulator: Any, stream: str) -> Counter[str]:
    """The rows of a stream as texts."""
    return Counter(map(repr, simulator.truth(stream)))


@pytest.mark.parametrize("vendor", KEPT)
def test_a_day_later_what_happened_stays_and_more_has_happened(vendor: str) -> None:
    before, after = world(vendor, 0), world(vendor, 1)
    for stream in KEPT[vendor]:
        assert rows(before, stream) <= rows(after, stream), stream
    assert any(rows(before, stream) < rows(after, stream) for stream in KEPT[vendor])


@pytest.mark.parametrize("vendor", CHANGED)
def test_a_day_changes_few_rows_of_many(vendor: str) -> None:
    before, after = world(vendor, 0), world(vendor, 2)
    for stream in CHANGED[vendor]:
        old, new = rows(before, stream), rows(after, stream)
        assert old - new, stream
        assert (old & new).total() > old.total() // 2, stream


@pytest.mark.parametrize("vendor", KEPT)
def test_days_that_pass_one_by_one_are_the_days_that_pass_at_once(vendor: str) -> None:
    once, again, next_day = world(vendor, 2), world(vendor, 2), world(vendor, 3)
    for stream in KEPT[vendor]:
        assert rows(once, stream) == rows(again, stream)
        assert rows(once, stream) <= rows(next_day, stream)


def test_a_heap_bucket_has_one_more_dump_for_each_night() -> None:
    before, after = (demo_dumps(Size.TINY, now=NOW, later=days) for days in (0, 2))
    assert len(after) == len(before) + 2
    assert [list(dump.objects()) for dump in after[: len(before)]] == [list(dump.objects()) for dump in before]
    old, new = replay(before), replay(after)
    assert len(new["sessions"].rows) > len(old["sessions"].rows)
    keys = [row["user_id"] for row in new["users"].emitted()]
    assert len(set(keys)) < len(keys), "no user changed"


def test_the_last_dump_is_from_the_midnight_before_the_present() -> None:
    times = [row["time"] for row in replay(demo_dumps(Size.DEMO, now=NOW))["sessions"].emitted()]
    assert max(times)[:10] == "2026-03-19"
    assert min(times)[:10] == "2026-02-08"


def test_page_views_and_sign_ups_belong_to_fewer_and_fewer_sessions() -> None:
    live = replay(demo_dumps(Size.DEMO, now=NOW))
    sessions, viewed, signed_up = (
        {row["session_id"] for row in live[table].emitted()}
        for table in ("sessions", "pageviews", "sign_up_click_link")
    )
    assert sessions > viewed
    assert sessions > signed_up
    assert len(sessions) > len(viewed) > 3 * len(signed_up) > 0


def test_fewer_visitors_come_to_each_step_of_pendos_funnel() -> None:
    simulator = world("pendo", 0, "demo")
    steps = ("page_events", "feature_events", "guide_events", "poll_events")
    numbers = [len({row["visitorId"] for row in simulator.truth(step)}) for step in steps]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] < 0.7 * numbers[0]


def test_weekends_are_quieter_and_some_pages_more_popular() -> None:
    pages = world("pendo", 0, "demo").truth("page_events")
    days = Counter(datetime.fromtimestamp(row["day"] / 1000, UTC).weekday() for row in pages)
    assert max(days[5], days[6]) < min(days[weekday] for weekday in range(5))
    counts = Counter(row["pageId"] for row in pages).most_common()
    assert counts[0][1] > 2 * counts[-1][1]


def test_campaigns_have_sizes_and_open_rates_of_their_own() -> None:
    messages = world("customerio", 0, "demo").truth("messages")
    mails = [row for row in messages if row["type"] == "email" and row["campaign_id"]]
    sent = Counter(row["campaign_id"] for row in mails)
    opened = Counter(row["campaign_id"] for row in mails if "opened" in row["metrics"])
    clicked = Counter(row["campaign_id"] for row in mails if "clicked" in row["metrics"])
    assert len(set(sent.values())) == len(sent)
    rates = sorted(opened[number] / sent[number] for number in sent)
    assert rates[-1] > 1.5 * rates[0]
    assert 0 < clicked.total() < opened.total() < sent.total()


@pytest.mark.parametrize("later", [0, 1])
def test_nothing_of_the_demo_lies_in_the_future(later: int) -> None:
    simulator = world("customerio", later, "demo")
    now = simulator.now
    for stream in ("messages", "activities", "customers", "campaigns", "newsletters", "campaign_actions"):
        assert max(times(simulator.truth(stream)), default=0) <= now, stream


def times(value: Any) -> list[int]:
    """All numbers that can be seconds since 1970."""
    if isinstance(value, dict):
        return [at for item in value.values() for at in times(item)]
    if isinstance(value, list):
        return [at for item in value for at in times(item)]
    return [value] if isinstance(value, int) and 10**9 < value < 10**10 else []


def test_metrics_only_shrink_from_step_to_step() -> None:
    for row in world("customerio", 0, "demo").truth("newsletter_metrics"):
        one = row["metrics"]
        steps = [one[name] for name in ("created", "sent", "delivered", "opened", "clicked", "converted")]
        assert steps == sorted(steps, reverse=True)
        assert one["opened"] == one["human_opened"] + one["prefetch_opened"]


def test_days_do_not_go_back() -> None:
    for vendor in ("pendo", "customerio", "heap"):
        command = [sys.executable, "-m", "simulators", vendor, "--later", "-1", *(("--out", "x") * (vendor == "heap"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "days go forward: give 0 or more" in done.stderr
