"""`python -m simulators <vendor> --webhooks URL`, and the load generator."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from scripted_receiver import Receiver
from simulators.webhooks import hostile, ledger, load
from simulators.webhooks.connection import Outcome, Poster, Target
from simulators.webhooks.events import Event


def command(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "simulators", *arguments, "--port", "0", "--size", "tiny"]


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["pendo", "customerio"])
def test_the_command_posts_so_many_events_and_writes_the_truth(vendor: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger.ndjson"
    with Receiver(lambda number, _: 503 if number == 3 else 200) as receiver:
        options = [
            "--webhooks",
            receiver.url,
            "--webhooks-only",
            "--events",
            "50",
            "--rate",
            "0",
            "--ledger",
            str(file),
        ]
        done = subprocess.run(
            command(vendor, *options, "--time-scale", "1000"), capture_output=True, text=True, timeout=60, check=True
        )
    assert "50 bodies, 51 posts, 50 accepted, 0 dropped; answers 200=50 503=1" in done.stdout
    entries = list(ledger.read(file))
    assert len(entries) == 50
    acknowledged = {digest for entry in entries for digest in entry.acknowledged}
    assert acknowledged == {hashlib.sha256(post.body).hexdigest() for post in receiver.posts}
    assert [post.answer for entry in entries for post in entry.posts].count(503) == 1


@pytest.mark.slow
def test_the_command_serves_the_api_while_it_posts() -> None:
    with Receiver(lambda *_: 200) as receiver:
        process = subprocess.Popen(
            command("customerio", "--webhooks", receiver.url, "--rate", "100"), stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split("listening on ")[1].strip()
            assert hostile.get(f"{url}/v1/campaigns").status == 401
            while len(receiver.posts) < 10:
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert " accepted, 0 dropped" in output


@pytest.mark.slow
def test_a_number_of_secrets_that_does_not_fit_is_refused() -> None:
    done = subprocess.run(
        command("pendo", "--webhooks", "http://127.0.0.1:1/", "--secret", "a", "b"), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "--secret has 2 values" in done.stderr


def test_the_closed_loop_posts_each_prepared_request_once(customerio_events: Iterator[Event]) -> None:
    with Receiver(lambda *_: 200) as receiver:
        requests = load.prepared(customerio_events, receiver.url, lambda *_: b"X-Own: 1\r\n", 40)
        result = load.run(lambda: load.closed_loop(receiver.url, requests, connections=4))
    assert result.answers == {200: 40}
    assert result.posts == len({post.body for post in receiver.posts}) == 40
    assert receiver.posts[0].headers["x-own"] == "1"


@pytest.mark.slow
def test_the_open_loop_counts_the_wait_from_the_plan(customerio_events: Iterator[Event]) -> None:
    with Receiver(lambda number, _: "late:0.3" if number == 0 else 200) as receiver:
        requests = load.prepared(customerio_events, receiver.url, lambda *_: b"", 20)
        result = load.run(lambda: load.open_loop(receiver.url, requests, 200))
    assert result.answers == {200: 20}
    assert max(result.seconds) >= 0.3


@pytest.mark.parametrize(
    ("host", "kind"), [("127.0.0.1", "refused"), ("localhost", "refused"), ("no-such-host.invalid", "dns")]
)
def test_a_post_that_reaches_nobody_says_why(host: str, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    target = Target.parse(f"http://{host}:{port}/")
    outcome = load.run(lambda: Poster().post(target, target.request(b"{}"), 4))
    assert (outcome.answer, outcome.accepted) == (kind, False)


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        Target.parse("localhost:80/x")


def test_the_file_of_the_ledger_reads_back_as_it_was(customerio_events: Iterator[Event], tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    with ledger.Ledger(path) as written:
        for event in islice(customerio_events, 3):
            entry = written.begin(0, event.ids, event.kind)
            written.note(entry, 1.5, event.body, Outcome("reset", 0.25))
            written.note(entry, 2.5, event.body + b" ", Outcome(200, 0.5))
            written.finish(entry)
    assert list(ledger.read(path)) == written.entries
    assert written.accepted == 3
