"""Group commit: one thread stores what came in during the last commit, then wakes those who wait.

A post is answered only after the commit of its own line. No window is needed on a disk: batches grow by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from webhook_inlet.store import SEAL_BYTES, Store, StoreError, StoreFailed

logger = logging.getLogger(__name__)

_MAINTAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, for the metrics."""

    events: int
    bytes: int
    seconds: float


Observer = Callable[[Commit], None]


class _Waiting(NamedTuple):
    inlet: str
    line: bytes
    future: asyncio.Future[None]


class Writer:
    """One thread and the queue before it, for a store that is open. Made on the running loop.

    `observe` is called there after each commit.
    """

    def __init__(self, store: Store, observe: Observer) -> None:
        self.store = store
        #: Lines and bytes that wait for a commit, those of the running one included
        self.queued_lines = 0
        self.queued_bytes = 0
        #: Why the process must end, set once (a failed fdatasync); None while all is well
        self.fatal: str | None = None
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._sleeps = False
        self._closing = False
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, inlet: str, line: bytes) -> asyncio.Future[None]:
        """Queues a line, on the loop. The future ends when the line is durable, or with a StoreError."""
        future = self._loop.create_future()
        if self.fatal or self._closing:
            future.set_exception(StoreFailed(self.fatal or "The inlet is being stopped."))
            return future
        self.queued_lines += 1
        self.queued_bytes += len(line)
        with self._changed:
            self._queue.append(_Waiting(inlet, line, future))
            if self._sleeps:
                self._sleeps = False
                self._changed.notify()
        return future

    async def close(self) -> None:
        """Commits what waits, closes the store, ends the thread."""
        self.store.hurry()
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.shield(self._ended)
        self._thread.join()

    def _run(self) -> None:
        """The thread."""
        maintain_at = time.monotonic() + _MAINTAIN_SECONDS
        try:
            while (batch := self._next(maintain_at)) is not None:
                if batch:
                    self._commit(batch)
                if (now := time.monotonic()) >= maintain_at:
                    maintain_at = now + _MAINTAIN_SECONDS
                    self._guarded(self.store.maintain)
            self._guarded(self.store.close)
        finally:
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _next(self, maintain_at: float) -> list[_Waiting] | None:
        """What is to be committed next; nothing if it is time to maintain, None at the end."""
        with self._changed:
            while not self._queue:
                if self._closing:
                    return None
                left = maintain_at - time.monotonic()
                if left <= 0:
                    return []
                self._sleeps = True
                self._changed.wait(left)
                self._sleeps = False
            batch: list[_Waiting] = []
            size = 0
            while self._queue and (not batch or size + len(self._queue[0].line) <= SEAL_BYTES):
                waiting = self._queue.popleft()
                batch.append(waiting)
                size += len(waiting.line)
            return batch

    def _gather(self) -> None:
        """Waits for more if something came during the last commit and a commit is dear; not at the end."""
        until = time.monotonic() + self.store.gather_seconds
        with self._changed:
            busy = bool(self._queue)
            while busy and not self._closing and (left := until - time.monotonic()) > 0:
                if sum(len(waiting.line) for waiting in self._queue) >= SEAL_BYTES:
                    return
                self._changed.wait(min(left, 0.05))

    def _commit(self, batch: list[_Waiting]) -> None:
        by_inlet: dict[str, list[bytes]] = {}
        for waiting in batch:
            by_inlet.setdefault(waiting.inlet, []).append(waiting.line)
        began = time.monotonic()
        refused: Mapping[str, StoreError] = {}
        if self.fatal is None:
            try:
                refused = self.store.commit(by_inlet)
            except StoreFailed as error:
                self._fail(error)
            except StoreError as error:
                refused = dict.fromkeys(by_inlet, error)
            except Exception as error:
                self._fail(error)
        seconds = time.monotonic() - began
        if self.fatal is not None:
            refused = dict.fromkeys(by_inlet, StoreFailed(self.fatal))
        self._loop.call_soon_threadsafe(self._resolve, batch, refused, seconds)
        if self.store.gather_seconds:
            self._gather()

    def _resolve(self, batch: list[_Waiting], refused: Mapping[str, StoreError], seconds: float) -> None:
        """On the loop, once for each commit."""
        size = 0
        for inlet, line, future in batch:
            size += len(line)
            if future.done():  # its sender has gone
                continue
            if refused and (error := refused.get(inlet)):
                future.set_exception(type(error)(str(error)))
            else:
                future.set_result(None)
        self.queued_lines -= len(batch)
        self.queued_bytes -= size
        if not refused:
            self._observe(Commit(len(batch), size, seconds))

    def _guarded(self, call: Callable[[], None]) -> None:
        if self.fatal is None or call == self.store.close:
            try:
                call()
            except StoreFailed as error:
                self._fail(error)
            except StoreError as error:
                logger.warning("%s", error)
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Gives the store up. An exception that is no StoreError is one that nobody thought of."""
        if isinstance(error, StoreError):
            words = str(error)
            logger.error("%s", words)
        else:
            words = (
                f"The store failed with {type(error).__name__}. Its stack trace is in the log; start the inlet again."
            )
            logger.error("The store failed", exc_info=error)
        self.fatal = self.fatal or words
