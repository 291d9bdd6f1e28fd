"""Prepared posts, as many as the machine can: the load generator of tests and benchmarks.

    result = load.run(lambda: load.closed_loop(url, requests, connections=64))
    result.per_second, result.quantile(0.99)

A request is built and signed before the clock starts, so the generator costs little beside the receiver.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from simulators.webhooks import ledger
from simulators.webhooks.connection import Poster, Target, run
from simulators.webhooks.events import Event
from simulators.webhooks.signatures import Sign

__all__ = ["Result", "closed_loop", "open_loop", "prepared", "run"]


@dataclass
class Result:
    """What a run of posts was answered. `seconds` has the latency of each post, in the order of their ends."""

    answers: Counter[int | str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0

    @property
    def posts(self) -> int:
        """All of them."""
        return len(self.seconds)

    @property
    def per_second(self) -> float:
        """Posts a second."""
        return self.posts / self.wall if self.wall else 0.0

    def quantile(self, share: float) -> float:
        """Latency in seconds."""
        return ledger.quantile(self.seconds, share)


def prepared(events: Iterable[Event], url: str, sign: Sign, count: int, *, keep_alive: bool = True) -> list[bytes]:
    """`count` signed requests, ready to be written."""
    target, end = Target.parse(url), b"" if keep_alive else b"Connection: close\r\n"
    return [target.request(one.body, sign(one.ids[0], one.body) + end) for one in islice(events, count)]


async def closed_loop(
    url: str,
    requests: Iterable[bytes],
    *,
    connections: int = 64,
    timeout: float = 30.0,
    keep_alive: bool = True,
    seconds: float | None = None,
) -> Result:
    """Each of the connections posts its next request when the one before is answered. Ends with the requests, or
    after `seconds`."""
    result, waiting = Result(), iter(requests)
    poster, target = Poster(keep_alive), Target.parse(url)
    began = time.monotonic()
    end = began + seconds if seconds is not None else float("inf")

    async def work() -> None:
        while time.monotonic() < end and (request := next(waiting, None)) is not None:
            _note(result, *(await poster.post(target, request, timeout))[:2])

    await asyncio.gather(*(work() for _ in range(connections)))
    result.wall = time.monotonic() - began
    poster.close()
    return result


async def open_loop(
    url: str,
    requests: Iterable[bytes],
    rate: float,
    *,
    timeout: float = 30.0,
    keep_alive: bool = True,
    late: Callable[[float], None] = lambda _: None,
) -> Result:
    """Posts at a rate, whether the answers come or not; the latency of a post is counted from its place in the plan.

    `late` gets the seconds by which a post began behind the plan: a generator that is too slow itself shows there.
    """
    result, poster, target = Result(), Poster(keep_alive), Target.parse(url)
    began = time.monotonic()
    running: set[asyncio.Task[None]] = set()

    async def post(request: bytes, due: float) -> None:
        answer = (await poster.post(target, request, timeout)).answer
        _note(result, answer, time.monotonic() - due)

    for request, due in zip(requests, _plan(began, rate), strict=False):
        if (rest := due - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        late(time.monotonic() - due)
        task = asyncio.create_task(post(request, due))
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.gather(*running)
    result.wall = time.monotonic() - began
    poster.close()
    return result


def _plan(began: float, rate: float) -> Iterator[float]:
    number = 0
    while True:
        yield began + number / rate
        number += 1


def _note(result: Result, answer: int | str, seconds: float) -> None:
    result.answers[answer] += 1
    result.seconds.append(seconds)
