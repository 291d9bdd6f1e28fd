"""Delivers a stream of events to a webhook as its vendor does, and writes the ledger.

webhook = Webhook(customerio_events(workspace, seed=1), [Target.parse(url)], CustomerioRetries(), sign)
with Ledger() as ledger, Sending([webhook], ledger) as sending:      # posts from a thread of its own
    sending.wait(30)
ledger.entries[0].accepted_at
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from simulators.webhooks import connection
from simulators.webhooks.connection import TIMEOUT, Outcome, Poster, Target
from simulators.webhooks.events import Event
from simulators.webhooks.ledger import Entry, Ledger
from simulators.webhooks.retries import Retries
from simulators.webhooks.signatures import Sign


@dataclass
class Habits:
    """What a sender does beside the plain way. Shares are from 0 to 1."""

    rate: float = 0.0
    """Events a second; 0 as fast as answers come."""
    parallel: int = 1
    keep_alive: bool = True
    sign_again: bool = True
    """Whether a retry gets a new signature, with its own time."""
    encode_again: bool = False
    """Whether a retry has the same document in other bytes."""
    lost_answers: float = 0.0
    """The connection is closed after the request, before the answer."""
    late_answers: float = 0.0
    """The answer counts as not come."""
    duplicates: float = 0.0
    """An accepted event is posted again."""
    shuffled: int = 0
    """Events are sent in random order among so many."""


@dataclass
class Webhook:
    """One webhook of an account: its events, its receiver (several targets are replicas of one), its signature."""

    events: Iterator[Event]
    targets: Sequence[Target]
    retries: Retries
    sign: Sign
    habits: Habits = field(default_factory=Habits)
    seed: int = 1
    user_agent: bytes = b"simulated-sender"
    tls: ssl.SSLContext | None = None


class Sender:
    """Posts the events of one webhook. `run` ends when all are delivered or given up, or after `stop`."""

    def __init__(self, webhook: Webhook, ledger: Ledger, number: int = 0) -> None:
        self._webhook, self._ledger, self._number = webhook, ledger, number
        self._habits, self._retries = webhook.habits, webhook.retries
        self._rng = random.Random(f"{webhook.seed}/sender/{number}")
        self._poster = Poster(webhook.habits.keep_alive, webhook.tls)
        self._targets = itertools.cycle(webhook.targets)
        self._events = shuffled(webhook.events, self._habits.shuffled, self._rng)
        self._failing = 0
        self._clear = asyncio.Event()
        self._clear.set()
        self._stopping = asyncio.Event()
        self._due = 0.0

    async def run(self) -> None:
        """Sends until the end."""
        self._due = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._habits.parallel):
                    group.create_task(self._work())
        finally:
            self._poster.close()

    def stop(self) -> None:
        """No further post; those that wait for their answer still get it. Call it on the loop."""
        self._stopping.set()
        self._clear.set()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            await self._clear.wait()
            event = None if self._stopping.is_set() else next(self._events, None)
            if event is None:
                return
            await self._pace()
            if not self._stopping.is_set():
                await self._deliver(event)

    async def _pace(self) -> None:
        """Holds the rate by a fixed schedule, so that slow answers do not lower it."""
        if not self._habits.rate:
            return
        self._due += 1 / self._habits.rate
        await self._rest(self._due - time.monotonic())

    async def _rest(self, seconds: float) -> None:
        """Never shorter than asked: uvloop rounds a timer to whole milliseconds, 2.5 to 2, and 0.4 to none."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), math.ceil(seconds * 1000) / 1000)

    async def _deliver(self, event: Event) -> None:
        entry = self._ledger.begin(self._number, event.ids, event.kind)
        began, blocking = time.monotonic(), False
        body, signature = event.body, b""
        for failures in itertools.count(1):
            if failures == 1 or self._habits.sign_again or self._habits.encode_again:
                signature = self._webhook.sign(event.ids[0], body)
            if await self._post(entry, body, signature):
                break
            if self._retries.blocks and not blocking:
                blocking = True
                self._block(1)
            wait = self._retries.wait(entry.posts[-1].answer, failures, time.monotonic() - began)
            if wait is None:
                entry.dropped = True
                break
            await self._rest(wait)
            if self._stopping.is_set():
                break
            if self._habits.encode_again:
                body = event.encoded_again(self._rng)
        if blocking:
            self._block(-1)
        while entry.accepted_at and self._rng.random() < self._habits.duplicates and not self._stopping.is_set():
            await self._post(entry, body, signature)
        self._ledger.finish(entry)

    def _block(self, change: int) -> None:
        """Later events wait while an event fails."""
        self._failing += change
        if self._failing and not self._stopping.is_set():
            self._clear.clear()
        else:
            self._clear.set()

    async def _post(self, entry: Entry, body: bytes, signature: bytes) -> bool:
        habits, rng = self._habits, self._rng
        target = next(self._targets)
        headers = b"User-Agent: %b\r\n%b" % (self._webhook.user_agent, signature)
        if not habits.keep_alive:
            headers += b"Connection: close\r\n"
        lose = habits.lost_answers > 0 and rng.random() < habits.lost_answers
        began = time.time()
        outcome = await self._poster.post(
            target, target.request(body, headers), self._retries.timeout, lose_answer=lose
        )
        if habits.late_answers > 0 and rng.random() < habits.late_answers:
            outcome = Outcome(TIMEOUT, outcome.seconds)
        self._ledger.note(entry, began, body, outcome)
        return outcome.accepted


def shuffled(events: Iterator[Event], among: int, rng: random.Random) -> Iterator[Event]:
    """The same events; each place in the order is drawn among the next `among`."""
    if among < 2:
        yield from events
        return
    waiting = list(itertools.islice(events, among))
    for event in events:
        place = rng.randrange(len(waiting))
        yield waiting[place]
        waiting[place] = event
    rng.shuffle(waiting)
    yield from waiting


class Sending:
    """Senders that work in a thread while the context is open. A bug of a sender is raised at its end.

    `at_end` is called in that thread when all is delivered or given up, or after `stop`.
    """

    def __init__(self, webhooks: Sequence[Webhook], ledger: Ledger, at_end: Callable[[], None] = lambda: None) -> None:
        self._webhooks, self._ledger, self._at_end = webhooks, ledger, at_end
        self._thread = threading.Thread(target=self._run, name="senders", daemon=True)
        self._ready, self._over = threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._senders: list[Sender] = []
        self.error: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.error and kind is None:
            raise RuntimeError(self.error)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until everything is delivered or given up; False if it was not within these seconds."""
        return self._over.wait(seconds)

    def stop(self) -> None:
        """Ends the senders. Posts that wait for an answer get it, or time out."""
        if self._loop is not None:
            for sender in self._senders:
                with suppress(RuntimeError):  # the loop has ended by itself
                    self._loop.call_soon_threadsafe(sender.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection.run(self._main)
        except BaseException:
            self.error = traceback.format_exc()
        finally:
            self._at_end()
            self._ready.set()
            self._over.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._senders = [Sender(webhook, self._ledger, number) for number, webhook in enumerate(self._webhooks)]
        self._ready.set()
        async with asyncio.TaskGroup() as group:
            for sender in self._senders:
                group.create_task(sender.run())
