"""Posts whose lines wait for their commit. A second copy of an event waits for the first one's."""

from __future__ import annotations

import asyncio
import time

from webhook_inlet.receiving.window import KeyWindow
from webhook_inlet.stats import Outcome
from webhook_inlet.store import StoreError


class Pending:
    """One line on its way into the store. `answer` ends with STORED, ERROR, or SHED for what takes too long."""

    __slots__ = ("_digest", "_lines", "answer", "problem", "since")

    def __init__(self, lines: PendingLines, digest: bytes, answer: asyncio.Future[Outcome]) -> None:
        self._lines = lines
        self._digest = digest
        self.answer = answer
        self.since = time.monotonic()
        self.problem: str | None = None

    def done(self, commit: asyncio.Future[None]) -> None:
        """The commit ended. A line that became durable is known from now on, also if its post was given up."""
        del self._lines.by_digest[self._digest]
        outcome = Outcome.ERROR
        if commit.cancelled():
            self.problem = "The process ended before the event was stored."
        elif (error := commit.exception()) is None:
            self._lines.window.add(self._digest)
            outcome = Outcome.STORED
        else:
            self.problem = (
                str(error) if isinstance(error, StoreError) else f"The store failed ({type(error).__name__})."
            )
        if not self.answer.done():
            self.answer.set_result(outcome)


class PendingLines:
    """All of them, the oldest first."""

    def __init__(self, window: KeyWindow) -> None:
        self.window = window
        self.by_digest: dict[bytes, Pending] = {}

    def add(self, digest: bytes, commit: asyncio.Future[None]) -> Pending:
        """A line that was submitted."""
        pending = Pending(self, digest, commit.get_loop().create_future())
        self.by_digest[digest] = pending
        commit.add_done_callback(pending.done)
        return pending

    def oldest(self) -> float | None:
        """Since when the oldest of them waits (time.monotonic), None if none waits."""
        return next((pending.since for pending in self.by_digest.values()), None)

    def give_up(self, since: float) -> None:
        """Answers the posts that have waited since before `since` (time.monotonic): their senders must not time out."""
        for pending in self.by_digest.values():
            if pending.since > since:
                break
            if not pending.answer.done():
                pending.answer.set_result(Outcome.SHED)
