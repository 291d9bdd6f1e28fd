"""When a sender posts again: the vendor's table, and the sender against a receiver that fails by a script."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from itertools import islice

import orjson
import pytest
from scripted_receiver import Received, Receiver, Send
from simulators.webhooks import signatures
from simulators.webhooks.connection import Target
from simulators.webhooks.events import Event
from simulators.webhooks.ledger import Ledger
from simulators.webhooks.retries import CustomerioRetries, PendoRetries
from simulators.webhooks.sender import Habits, Sending, Webhook

HOUR, WEEK = 3600.0, 7 * 24 * 3600.0


@pytest.mark.parametrize("answer", [400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521])
def test_customerio_waits_an_hour_after_the_statuses_of_its_list(answer: int) -> None:
    assert CustomerioRetries().wait(answer, 1, 0) == HOUR


@pytest.mark.parametrize("answer", ["eof", "refused", "reset", "dns", "certificate", "lost"])
def test_customerio_waits_an_hour_when_the_connection_fails(answer: str) -> None:
    assert CustomerioRetries().wait(answer, 5, 0) == HOUR


@pytest.mark.parametrize("answer", [503, 504, 413, 415, 422, 301, "timeout"])
def test_customerio_backs_off_after_everything_else(answer: int | str) -> None:
    retries = CustomerioRetries(first_delay=5)
    assert [retries.wait(answer, failures, 0) for failures in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert retries.wait(answer, 100, 0) == HOUR


def test_customerio_drops_an_event_after_seven_days_and_not_before() -> None:
    retries = CustomerioRetries()
    assert retries.wait(500, 100, WEEK - 60) == 60
    assert retries.wait(500, 101, WEEK) is None


def test_the_time_scale_shortens_the_hour_and_the_seven_days() -> None:
    retries = CustomerioRetries(time_scale=3600)
    assert retries.wait(500, 1, 0) == 1
    assert retries.wait(500, 1, 167) == 1
    assert retries.wait(500, 1, 168) is None


def test_pendo_retries_not_at_all_or_three_times_or_for_an_hour() -> None:
    assert PendoRetries(0).wait(500, 1, 0) is None
    assert [PendoRetries(3).wait(500, failures, 0) for failures in (1, 2, 3, 4)] == [1, 2, 4, None]
    assert PendoRetries(None).wait(500, 10, 3000) == 512
    assert PendoRetries(None).wait(500, 10, 3100) is None


def ids(posts: list[Received]) -> list[str]:
    """The event ids as they came."""
    return [orjson.loads(post.body)["event_id"] for post in posts]


def test_later_events_wait_behind_one_that_fails(send: Send) -> None:
    posts, ledger = send(lambda number, _: 503 if 2 <= number < 5 else 200, 6)
    received = ids(posts)
    assert received[2] == received[3] == received[4] == received[5]
    assert len(set(received)) == 6
    assert [len(entry.posts) for entry in ledger.entries] == [1, 1, 4, 1, 1, 1]


@pytest.mark.slow
def test_an_event_is_dropped_after_seven_days_and_the_next_is_tried(send: Send) -> None:
    first: list[str] = []

    def script(_: int, post: Received) -> int:
        event_id = orjson.loads(post.body)["event_id"]
        first.append(event_id)
        return 500 if event_id == first[0] else 200

    posts, ledger = send(script, 3, retries=CustomerioRetries(time_scale=36_000 * 40))
    assert [entry.dropped for entry in ledger.entries] == [True, False, False]
    assert ledger.entries[0].accepted_at is None
    assert 100 < len(ledger.entries[0].posts) < 175, "an hour apart, for 7 days"
    assert len(posts) == len(ledger.entries[0].posts) + 2


@pytest.mark.slow
def test_pendo_goes_on_while_an_event_fails(send: Send, pendo_events: Iterator[Event]) -> None:
    failed: list[bytes] = []

    def script(_: int, post: Received) -> int:
        failed[:] = failed or [post.body]
        return 500 if post.body == failed[0] else 200

    posts, ledger = send(
        script, 20, events=pendo_events, retries=PendoRetries(3, first_delay=0.05), habits=Habits(parallel=2)
    )
    dropped = [entry for entry in ledger.entries if entry.dropped]
    assert [entry.posts[0].sha256 for entry in dropped] == [hashlib.sha256(failed[0]).hexdigest()]
    assert len(ledger.entries) == 20
    assert len(posts) == 4 + 19
    assert {post.body for post in posts[-4:]} & {failed[0]}, "its last post is among the last"


@pytest.mark.parametrize(("answer", "kind"), [("reset", "reset"), ("eof", "eof"), (302, 302), (204, 204)])
def test_the_ledger_says_how_a_post_ended(send: Send, answer: int | str, kind: int | str) -> None:
    posts, ledger = send(lambda number, _: answer if number == 0 else 200, 1)
    assert ledger.entries[0].posts[0].answer == kind
    assert len(posts) == len(ledger.entries[0].posts) == (1 if answer == 204 else 2)


@pytest.mark.slow
def test_a_refused_connection_costs_an_hour(customerio_events: Iterator[Event]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ledger = Ledger()
    webhook = Webhook(
        islice(customerio_events, 1),
        [Target.parse(f"http://127.0.0.1:{port}/")],
        CustomerioRetries(time_scale=72_000),
        lambda _, body: signatures.customerio("key", body),
    )
    with Sending([webhook], ledger) as sending:
        sending.wait(0.2)
    assert set(ledger.answers) == {"refused"}
    assert 2 <= len(ledger.entries[0].posts) <= 5, "0.05 s apart"


@pytest.mark.slow
def test_a_late_answer_brings_the_same_event_again(send: Send) -> None:
    posts, ledger = send(
        lambda number, _: "late:0.6" if number == 0 else 200, 2, retries=CustomerioRetries(36_000, timeout=0.2)
    )
    received = ids(posts)
    assert received[0] == received[1] != received[2]
    assert [post.answer for post in ledger.entries[0].posts] == ["timeout", 200]


@pytest.mark.slow
def test_lost_answers_bring_events_again_with_the_same_bytes(send: Send) -> None:
    posts, ledger = send(
        lambda *_: 200, 20, retries=CustomerioRetries(time_scale=360_000), habits=Habits(lost_answers=0.4)
    )
    lost = [entry for entry in ledger.entries if entry.posts[0].answer == "lost"]
    assert lost
    assert len(posts) == ledger.posts, "what was lost was whole at the receiver"
    assert all(len({post.sha256 for post in entry.posts}) == 1 for entry in lost)


def test_answers_that_count_as_late_bring_events_again(send: Send) -> None:
    posts, ledger = send(lambda *_: 200, 20, habits=Habits(late_answers=0.4))
    assert ledger.answers["timeout"] > 0
    assert len(posts) == ledger.posts > 20
    assert ledger.accepted == 20


def test_a_retry_can_have_the_same_document_in_other_bytes(send: Send) -> None:
    posts, ledger = send(lambda number, _: 503 if number < 8 else 200, 1, habits=Habits(encode_again=True))
    assert len({post.body for post in posts}) > 1
    assert len({orjson.dumps(orjson.loads(post.body), option=orjson.OPT_SORT_KEYS) for post in posts}) == 1
    assert [post.sha256 for post in ledger.entries[0].posts] == [
        hashlib.sha256(post.body).hexdigest() for post in posts
    ]
    assert ledger.entries[0].acknowledged == {hashlib.sha256(posts[-1].body).hexdigest()}


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.slow
def test_a_retry_is_signed_anew_or_keeps_its_signature(send: Send, again: bool) -> None:
    posts, _ = send(
        lambda number, _: 500 if number == 0 else 200,
        1,
        retries=CustomerioRetries(time_scale=3000),
        habits=Habits(sign_again=again),
    )
    times = [post.headers["x-cio-timestamp"] for post in posts]
    assert (times[0] != times[1]) == again
    for post in posts:
        lines = signatures.customerio("signing-key", post.body, int(post.headers["x-cio-timestamp"])).decode()
        assert lines.split()[-1] == post.headers["x-cio-signature"]


def test_duplicates_have_the_same_bytes(send: Send, pendo_events: Iterator[Event]) -> None:
    posts, ledger = send(lambda *_: 200, 60, events=pendo_events, retries=PendoRetries(), habits=Habits(duplicates=0.3))
    assert 65 < len(posts) == ledger.posts
    assert len({post.body for post in posts}) == 60
    assert ledger.accepted == 60


def test_shuffled_events_all_come_in_another_order(send: Send, pendo_events: Iterator[Event]) -> None:
    events = list(islice(pendo_events, 100))
    posts, _ = send(lambda *_: 200, 100, events=iter(events), retries=PendoRetries(), habits=Habits(shuffled=20))
    assert [post.body for post in posts] != [event.body for event in events]
    assert sorted(post.body for post in posts) == sorted(event.body for event in events)


def test_the_rate_is_held(send: Send) -> None:
    posts, _ = send(lambda *_: 200, 30, habits=Habits(rate=200))
    assert 0.1 <= posts[-1].at - posts[0].at <= 1.0


def test_connections_are_kept_or_made_anew(customerio_events: Iterator[Event]) -> None:
    for keep_alive, expected in ((True, 1), (False, 10)):
        with Receiver(lambda *_: 200) as receiver:
            webhook = Webhook(
                islice(customerio_events, 10),
                [Target.parse(receiver.url)],
                CustomerioRetries(),
                lambda *_: b"",
                Habits(keep_alive=keep_alive),
            )
            with Sending([webhook], Ledger()) as sending:
                assert sending.wait(10)
            assert receiver.connections == expected
            assert receiver.posts[0].path == "/in/path?x=1"


def test_replicas_share_the_posts_and_webhooks_each_get_all(customerio_events: Iterator[Event]) -> None:
    with Receiver(lambda *_: 200) as one, Receiver(lambda *_: 200) as two:
        targets = [Target.parse(one.url), Target.parse(two.url)]
        shared = Webhook(islice(customerio_events, 10), targets, CustomerioRetries(), lambda *_: b"")
        with Sending([shared], Ledger()) as sending:
            assert sending.wait(10)
        assert (len(one.posts), len(two.posts)) == (5, 5)
