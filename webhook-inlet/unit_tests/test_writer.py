"""The writer: what is answered when, with stores that are slow, refuse or break."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest
from webhook_inlet.store import SEAL_BYTES, Store, StoreError, StoreFailed
from webhook_inlet.writer import Commit, Writer


class SlowStore:
    """Keeps batches in memory. A commit lasts until `go` is set."""

    def __init__(self, gather_seconds: float = 0.0) -> None:
        self.gather_seconds = gather_seconds
        self.batches: list[dict[str, list[bytes]]] = []
        self.at: list[float] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.answer: Callable[[Mapping[str, Sequence[bytes]]], Mapping[str, StoreError]] = lambda batches: {}
        self.maintained = 0
        self.closed = self.hurried = 0

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        self.at.append(time.monotonic())
        self.entered.set()
        assert self.go.wait(10)
        refused = self.answer(batches)
        self.batches.append({inlet: list(lines) for inlet, lines in batches.items()})
        return refused

    def maintain(self) -> None:
        self.maintained += 1

    def hurry(self) -> None:
        self.hurried += 1

    def close(self) -> None:
        self.closed += 1


def run(store: SlowStore, test: Callable[[Writer, list[Commit]], Coroutine[Any, Any, None]]) -> list[Commit]:
    async def main() -> None:
        unlike: Any = store  # it has no methods for readers
        checked: Store = unlike
        writer = Writer(checked, commits.append)
        try:
            await test(writer, commits)
        finally:
            store.go.set()
            await writer.close()

    commits: list[Commit] = []
    asyncio.run(main())
    return commits


async def entered(store: SlowStore) -> None:
    assert await asyncio.to_thread(store.entered.wait, 5)


def test_a_line_is_answered_after_its_commit_and_not_before() -> None:
    store = SlowStore()

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        future = writer.submit("prod", b"a")
        await entered(store)
        assert not future.done()
        assert writer.queued_lines == 1
        assert writer.queued_bytes == 1
        store.go.set()
        await future
        assert writer.queued_lines == writer.queued_bytes == 0

    commits = run(store, test)
    assert [(commit.events, commit.bytes) for commit in commits] == [(1, 1)]
    assert store.closed == 1


def test_what_comes_during_a_commit_is_the_next_batch_by_inlet_and_in_order() -> None:
    store = SlowStore()

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        first = writer.submit("prod", b"0")
        await entered(store)
        rest = [writer.submit("prod" if number % 2 else "eu", b"%d" % number) for number in range(1, 7)]
        store.go.set()
        await asyncio.gather(first, *rest)

    run(store, test)
    assert store.batches == [{"prod": [b"0"]}, {"prod": [b"1", b"3", b"5"], "eu": [b"2", b"4", b"6"]}]


def test_a_batch_has_a_limit_in_bytes_but_takes_any_single_line() -> None:
    store = SlowStore()
    half = b"x" * (SEAL_BYTES // 2)

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        futures = [writer.submit("prod", b"0")]
        await entered(store)
        futures += [writer.submit("prod", line) for line in (half, half, half, half * 3)]
        store.go.set()
        await asyncio.gather(*futures)

    run(store, test)
    assert [len(batch["prod"]) for batch in store.batches] == [1, 2, 1, 1]


def test_a_refused_inlet_gets_its_error_and_the_other_one_its_success() -> None:
    store = SlowStore()
    store.answer = lambda batches: {"eu": StoreError("The disk is full.")} if "eu" in batches else {}

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        first = writer.submit("prod", b"0")
        await entered(store)
        good, bad = writer.submit("prod", b"1"), writer.submit("eu", b"2")
        store.go.set()
        await first
        await good
        with pytest.raises(StoreError, match=r"^The disk is full\.$"):
            await bad
        assert writer.fatal is None
        store.answer = lambda batches: {}
        await writer.submit("eu", b"3")

    run(store, test)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreFailed("fdatasync failed."), "fdatasync failed."),
        (
            RuntimeError("secret"),
            "The store failed with RuntimeError. Its stack trace is in the log; start the inlet again.",
        ),
    ],
)
def test_a_store_that_fails_is_used_never_again(error: Exception, words: str) -> None:
    store = SlowStore()

    def fail(batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        raise error

    store.answer = fail

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        first = writer.submit("prod", b"0")
        await entered(store)
        second = writer.submit("prod", b"1")
        store.go.set()
        answers = await asyncio.gather(first, second, return_exceptions=True)
        assert [(type(answer), str(answer)) for answer in answers] == [(StoreFailed, words)] * 2
        assert writer.fatal == words
        assert writer.queued_lines == 0
        with pytest.raises(StoreFailed):
            await writer.submit("prod", b"2")

    assert run(store, test) == []
    assert len(store.at) == 1
    assert store.closed == 1


def test_a_sender_that_left_stops_nobody() -> None:
    store = SlowStore()

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        gone, stays = writer.submit("prod", b"0"), writer.submit("prod", b"1")
        gone.cancel()
        store.go.set()
        await stays

    run(store, test)
    assert sum(len(batch["prod"]) for batch in store.batches) == 2


def test_close_commits_what_waits_and_takes_nothing_more() -> None:
    store = SlowStore()

    async def test(writer: Writer, commits: list[Commit]) -> None:
        store.go.clear()
        futures = [writer.submit("prod", b"%d" % number) for number in range(5)]
        closing = asyncio.create_task(writer.close())
        await asyncio.sleep(0.01)
        with pytest.raises(StoreFailed, match="being stopped"):
            await writer.submit("prod", b"late")
        store.go.set()
        await closing
        assert store.hurried == 1
        assert all(future.done() and future.exception() is None for future in futures)

    run(store, test)
    assert store.closed == 1


def test_a_store_whose_commits_are_dear_gathers_only_while_it_is_busy() -> None:
    store = SlowStore(gather_seconds=0.1)

    async def test(writer: Writer, commits: list[Commit]) -> None:
        await writer.submit("prod", b"idle")
        await asyncio.sleep(0.02)
        store.go.clear()
        store.entered.clear()
        first = writer.submit("prod", b"0")
        await entered(store)
        second = writer.submit("prod", b"1")
        store.go.set()
        await first
        third = writer.submit("prod", b"2")
        await asyncio.gather(second, third)

    run(store, test)
    assert [batch["prod"] for batch in store.batches] == [[b"idle"], [b"0"], [b"1", b"2"]]
    assert store.at[2] - store.at[1] >= 0.1


@pytest.mark.slow
def test_a_store_is_maintained_each_second_also_under_load() -> None:
    store = SlowStore()

    async def test(writer: Writer, commits: list[Commit]) -> None:
        while not store.maintained:
            await writer.submit("prod", b"x")
        while store.maintained < 2:
            await asyncio.sleep(0.01)

    run(store, test)
