"""Group commit: one thread stores what came in during the last commit, then wakes those who wait.

A post is answered only after the commit of its own line. No window is needed on a disk: batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from webhook_inlet.store import Store


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, for the metrics."""

    events: int
    bytes: int
    seconds: float


class Writer(Protocol):
    """The interface that `receive` and the pages use.

    Made by `start_writer(store, observe)`; `observe(Commit)` is called on the loop after each commit.
    """

    store: Store
    #: Lines and bytes that wait for a commit, those of the running one included
    queued_lines: int
    queued_bytes: int
    #: When the oldest of them came (time.monotonic), None if none waits
    oldest: float | None
    #: Why the process must end, set once (a failed fdatasync); None while all is well
    fatal: str | None
    #: When the last commit succeeded (time.monotonic); None before the first
    last_commit: float | None

    def submit(self, inlet: str, line: bytes) -> asyncio.Future[None]:
        """Queues a line, on the loop. The future ends when the line is durable, or with a StoreError."""

    async def close(self) -> None:
        """Commits what waits, closes the store, ends the thread."""


Observer = Callable[[Commit], None]
