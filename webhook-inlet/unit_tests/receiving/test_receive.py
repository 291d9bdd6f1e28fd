"""What becomes of a post while its line waits for the commit, with a writer that the test holds in its hand."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest
from webhook_inlet.config import Config
from webhook_inlet.receiving import receive
from webhook_inlet.receiving.app import application
from webhook_inlet.receiving.body import Room
from webhook_inlet.receiving.receive import Receiver
from webhook_inlet.receiving.window import KeyWindow
from webhook_inlet.service import Service
from webhook_inlet.stats import Outcome
from webhook_inlet.store import Store, StoreError, StoreFailed
from webhook_inlet.writer import Writer

PATH = "c" * 22


class HeldWriter:
    """A writer whose commits end when the test says so."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, asyncio.Future[None]]] = []
        self.queued_lines = self.queued_bytes = 0
        self.fatal: str | None = None

    def submit(self, _inlet: str, line: bytes) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.lines.append((line, future))
        return future


class Bench:
    """The application over a held writer."""

    def __init__(self) -> None:
        config = Config.model_validate(
            {
                "store": {"type": "volume", "path": "/nowhere"},
                "read_token": "t",
                "inlets": [{"name": "cio", "source": "customerio", "path": PATH, "secrets": ["key"], "max_body": 1024}],
            }
        )
        self.writer = HeldWriter()
        self.service = Service(config, cast(Store, None), cast(Writer, self.writer))
        self.window = KeyWindow(1000)
        self.service.configure(config)
        self.receiver = Receiver(self.service, self.window)
        self.app = application(self.service, self.receiver, _no_pages)

    def post(self, body: bytes, *pieces: bytes) -> asyncio.Task[int]:
        """Posts a signed body, in pieces if they are given."""
        stamp = b"1764200000"
        signature = hmac.digest(b"key", b"v0:%b:%b" % (stamp, body), "sha256").hex().encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/in/{PATH}",
            "headers": [(b"x-cio-timestamp", stamp), (b"x-cio-signature", signature)],
        }
        return asyncio.create_task(_status(self.app, scope, list(pieces) or [body]))

    @property
    def total(self) -> dict[Outcome, int]:
        return {outcome: count for outcome, count in self.service.inlets["cio"].stats.total.items() if count}


async def _no_pages(*_: Any) -> None:
    raise AssertionError("no page was asked for")


async def _status(app: Callable[..., Awaitable[None]], scope: dict[str, Any], pieces: list[bytes]) -> int:
    sent: list[dict[str, Any]] = []

    async def receive_one() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive_one, send)
    assert [message["type"] for message in sent][:2] == ["http.response.start", "http.response.body"]
    return int(sent[0]["status"])


def run(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Bench())

    asyncio.run(main())


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def event(name: str) -> bytes:
    return b'{"event_id":"%b"}' % name.encode()


def test_a_post_is_answered_after_its_own_commit() -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.post(event("1")), bench.post(event("2"))
        await turn()
        assert len(bench.writer.lines) == 2
        assert not first.done()
        bench.writer.lines[1][1].set_result(None)
        assert await second == 200
        assert not first.done()
        bench.writer.lines[0][1].set_result(None)
        assert await first == 200
        assert bench.total == {Outcome.STORED: 2}

    run(test)


def test_a_second_copy_waits_for_the_commit_of_the_first_and_shares_its_fate() -> None:
    async def test(bench: Bench) -> None:
        for error, expected in ((StoreError("The disk is full."), 503), (StoreFailed("It broke."), 503), (None, 200)):
            copies = [bench.post(event("same")) for _ in range(3)]
            await turn()
            (waiting,) = bench.writer.lines
            assert not any(copy.done() for copy in copies)
            waiting[1].set_exception(error) if error else waiting[1].set_result(None)
            assert [await copy for copy in copies] == [expected] * 3
            bench.writer.lines.clear()
        assert bench.total == {Outcome.ERROR: 6, Outcome.STORED: 1, Outcome.DUPLICATE: 2}
        assert await bench.post(event("same")) == 200
        assert not bench.writer.lines
        assert bench.service.inlets["cio"].stats.last_error == "It broke."
        assert not bench.receiver.lines.by_digest

    run(test)


def test_a_post_that_waits_too_long_is_given_up_but_known_once_it_is_durable() -> None:
    async def test(bench: Bench) -> None:
        late = bench.post(event("late"))
        await turn()
        (pending,) = bench.receiver.lines.by_digest.values()
        pending.since -= receive.SHED_SECONDS + 0.1
        bench.receiver.look()
        assert await bench.post(event("next")) == 503  # shed: the oldest waits for two seconds
        assert not late.done()
        pending.since -= receive.GIVE_UP_SECONDS - receive.SHED_SECONDS
        bench.receiver.look()
        assert await late == 503
        assert await bench.post(event("late")) == 503
        bench.writer.lines[0][1].set_result(None)
        await turn()
        bench.receiver.look()
        assert await bench.post(event("late")) == 200
        assert bench.total == {Outcome.SHED: 3, Outcome.DUPLICATE: 1}

    run(test)


def test_a_full_queue_and_a_failed_store_are_503() -> None:
    async def test(bench: Bench) -> None:
        for name, value in (("queued_bytes", 10**9), ("queued_lines", 10**6), ("fatal", "fdatasync failed")):
            before = getattr(bench.writer, name)
            setattr(bench.writer, name, value)
            assert await bench.post(event("x")) == 503
            setattr(bench.writer, name, before)
        assert not bench.writer.lines

    run(test)


def test_an_error_of_the_inlet_itself_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(bench.writer, "submit", lambda *_: 1 / 0)
        assert await bench.post(event("x")) == 503
        assert bench.total == {Outcome.ERROR: 1}
        assert bench.service.inlets["cio"].stats.last_error == (
            "A post failed by an error of the inlet itself (ZeroDivisionError)."
        )

    run(test)


def test_bodies_in_pieces_are_held_within_their_room() -> None:
    async def test(bench: Bench) -> None:
        bench.receiver.room = Room(100)
        pieces = [b"x" * 40] * 3
        assert await bench.post(b"".join(pieces), *pieces) == 503
        assert bench.receiver.room.taken == 0
        stored = bench.post(b"x" * 80, *pieces[:2])
        await turn()
        assert bench.receiver.room.taken == 0
        bench.writer.lines[0][1].set_result(None)
        assert await stored == 200
        assert bench.total == {Outcome.SHED: 1, Outcome.STORED: 1}

    run(test)


def test_a_body_that_was_cut_keeps_its_hash_as_the_key() -> None:
    async def test(bench: Bench) -> None:
        body = b'{"event_id":"1"}'.ljust(3000)
        for pieces in ((body,), (body[:2000], body[2000:])):
            big = bench.post(body, *pieces)
            await turn()
            line, future = bench.writer.lines.pop()
            assert b'"truncated":true' in line
            future.set_exception(StoreError("no"))
            assert await big == 503
            key = line.split(b'"')[5]
            assert key.startswith(b"customerio:sha256:")
        assert not bench.writer.lines

    run(test)
