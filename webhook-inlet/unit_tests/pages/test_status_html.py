"""The page for people: its words, its plot, and what a hostile text does to it."""

from __future__ import annotations

import base64
import re
import time
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from memory_service import LANE, Client, MemoryStore
from webhook_inlet.pages import status_html
from webhook_inlet.service import Service
from webhook_inlet.stats import Outcome
from webhook_inlet.store import StoreError

HTML = {"Accept": "text/html,application/xhtml+xml"}


def text(client: Client, path: str = "/status") -> str:
    """The words of the page, each gap one space."""
    words: list[str] = []

    class Words(HTMLParser):
        def handle_data(self, data: str) -> None:
            words.append(data)

    answer = client.ask(path, headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    Words().feed(answer.text.partition("<body>")[2])
    return " ".join(" ".join(words).split()).replace(" ,", ",")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert status_html.duration(seconds) == words


def test_ages_are_words() -> None:
    assert status_html.ago(None, 0) == "never"
    assert status_html.ago("1970-01-01T00:01:40.000Z", 100.5) == "just now"
    assert status_html.ago("1970-01-01T00:01:40.000Z", 112.0) == "12 s ago"
    assert status_html.ago("1970-01-01T00:01:40.000Z", 50.0) == "just now"  # a clock that was set back


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (12_345, "12,345"),
        (999_999, "999,999"),
        (1_234_567, "1.23 M"),
        (98_765_432, "98.8 M"),
        (999_400_000, "999 M"),
        (1_234_567_890, "1.23 bn"),
    ],
)
def test_numbers_have_room_on_a_phone(count: int, words: str) -> None:
    assert status_html.number(count) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (53_687_091_200, "53.7 GB"), (2e15, "2000.0 TB")],
)
def test_sizes_are_words(count: int, words: str) -> None:
    assert status_html.size(count) == words


def test_the_axis_ends_at_an_even_number_not_far_above_the_plot() -> None:
    for count in [*range(1, 2_000), 123_456, 9_999_999]:
        top = status_html.round_up(count)
        assert top % 2 == 0
        assert count <= top <= max(2, 1.6 * count)
    assert status_html.round_up(0) == 2


def test_a_bar_is_as_high_as_its_count_and_says_its_minute() -> None:
    chart = status_html.plot([*[0] * 58, 50, 100], 36_000.0)
    assert chart.top == 100
    assert chart.bars[-1] == (59, 100.0, "10:00 UTC: 100")
    assert chart.bars[-2] == (58, 50.0, "09:59 UTC: 50")
    assert chart.bars[0] == (0, 0.0, "09:01 UTC: 0")
    assert "150 in all, 100 at most" in chart.words


def test_the_page_allows_no_script_and_its_own_style_only(client: Client) -> None:
    answer = client.ask("/status", headers=HTML)
    style = re.search("<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(sha256(style.group(1).encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script|style=|\son\w+=", answer.text)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_a_text_from_outside_is_shown_and_not_run(client: Client, service: Service, store: MemoryStore) -> None:
    hostile = '"><script>alert(1)</script>'
    service.inlets["prod"].stats.failed(hostile)
    store.words = hostile
    page = client.ask("/status", headers=HTML).text
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2


def test_the_page_renews_itself_unless_it_is_paused(client: Client) -> None:
    assert '<meta http-equiv="refresh" content="5">' in client.ask("/status", headers=HTML).text
    assert 'http-equiv="refresh"' not in client.ask("/status?refresh=off", headers=HTML).text


def test_an_inlet_without_an_event_says_what_to_do(client: Client) -> None:
    words = text(client)
    assert words.count("No event yet") == 2
    assert "webhook-inlet url guides --config FILE" in words
    assert "Nothing was posted" in words


def test_a_refused_signature_is_loud_for_an_hour_and_until_a_post_is_verified(client: Client, service: Service) -> None:
    stats = service.inlets["prod"].stats
    stats.count(Outcome.BAD_SIGNATURE)
    stats.failed("A post had a signature that none of the 2 secrets made.")
    words = text(client)
    assert "Wrong signature: a post was refused just now, 1 in the last hour" in words
    assert "Customer.io waits an hour" in words
    assert "Last error" not in words  # it is the same one
    stats.last_bad_signature_at = stats.last_error_at = time.time() - 3_700
    assert "a post was refused 1 h ago" in text(client)  # the sender may still wait
    stats.last_event_at = time.time() - 60
    words = text(client)
    assert "a post was refused" not in words
    assert "Last error, 1 h ago A post had a signature that none of the 2 secrets made." in words


def test_another_error_is_shown_beside_a_refused_signature(client: Client, service: Service) -> None:
    stats = service.inlets["prod"].stats
    stats.count(Outcome.BAD_SIGNATURE)
    stats.failed("The disk is full.")
    stats.last_bad_signature_at = time.time() - 60
    words = text(client)
    assert "a post was refused 1 min ago" in words
    assert "Last error, just now The disk is full." in words


def test_what_is_not_ready_is_said_at_the_top(client: Client, store: MemoryStore) -> None:
    store.words = "The disk is full."
    assert "Not receiving: The disk is full. Posts are answered with 503" in text(client)
    assert "<title>Not receiving - webhook-inlet</title>" in client.ask("/status", headers=HTML).text


def test_a_secret_that_is_idle_is_seen(client: Client, service: Service) -> None:
    service.inlets["prod"].stats.count(Outcome.STORED)
    service.inlets["prod"].stats.key_used(0)
    words = text(client)
    assert "Place 0 1 just now" in words
    assert "Place 1 0 not since the start" in words


def test_a_reader_that_retention_overtook_is_marked(client: Client, store: MemoryStore) -> None:
    store.add("prod", LANE, 3, 3, 3)
    client.ask(f"/log/v1/prod/{LANE}/1")
    store.first[LANE] = 3
    words = text(client)
    assert "Segments removed before it fetched them: 1." in words
    assert f"fetched up to {LANE}: segment 2, line 0" in words


def test_many_lanes_are_folded_away(client: Client, store: MemoryStore) -> None:
    for number in range(status_html.MOST_LANES + 10):
        store.add("prod", f"20261126T220100Z-{number:06d}", 1)
    words = text(client)
    assert "Lanes of the log (60)" in words
    assert "20261126T220100Z-000059" in words
    assert "20261126T220100Z-000009" not in words
    assert "The newest 50" in words
    assert "<details open" not in client.ask("/status", headers=HTML).text


def test_a_store_that_does_not_answer_is_said(client: Client, service: Service, store: MemoryStore) -> None:
    service.inlets["prod"].stats.count(Outcome.STORED)
    store.failing = StoreError("The bucket does not answer.")
    assert "The store does not say what it holds The bucket does not answer." in text(client)


def test_head_of_the_page_is_answered(client: Client) -> None:
    answer = client.ask("/status", headers=HTML, method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
