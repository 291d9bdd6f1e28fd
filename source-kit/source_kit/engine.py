"""Reads the configured streams with a few threads, and puts records and states into the channel."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteStream,
    FailureType,
    StreamDescriptor,
    SyncMode,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit import activity
from source_kit.activity import HEARTBEAT_SECONDS, Stopped
from source_kit.errors import shorten, system_error
from source_kit.network import causes_of
from source_kit.output import Batch, Channel, ChannelItem, RecordEncoder, estimate_message
from source_kit.progress import NAMED, Progress, concerns_all
from source_kit.raw_rows import RawRows
from source_kit.stream import BatchStream, Checkpoint, Estimate, SliceItem

_LOG_EVERY_SECONDS = 2.0


class StreamRun:
    """One stream of one sync, and its workers. Guarded by the engine's lock."""

    def __init__(self, stream: BatchStream, configured: ConfiguredAirbyteStream, state: Mapping[str, Any]) -> None:
        self.stream = stream
        self.configured = configured
        self.name = stream.name
        self.descriptor = StreamDescriptor(name=self.name, namespace=configured.stream.namespace)
        self.progress = Progress(stream, self.descriptor, state, configured.sync_mode is SyncMode.full_refresh)
        self.encoder = RecordEncoder(self.name, configured.stream.namespace)
        self.slices: Iterator[Any] | None = None
        self.active = 0  # workers on the stream
        self.slicing = False  # one of them is looking for the next slice
        self.exhausted = False  # there is no next slice
        self.done = False
        self.running_emitted = False
        self.without_key = Counter[str]()  # rows that lack a column of the key, by column
        self.records = 0
        self.started_at = self.logged_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether a worker may look for the next slice."""
        if self.done or self.exhausted or self.slicing or self.progress.error or not self.progress.may_start_slice:
            return False
        return self.active == 0 or self.stream.parallel_slices or self.stream.independent_slices


class Engine:
    """Runs streams to their end, a few at a time, each failing alone."""

    def __init__(
        self, runs: Iterable[StreamRun], workers: int, sync_start: datetime, logger: logging.Logger, channel: Channel
    ) -> None:
        self.channel = channel
        self.failed: list[str] = []
        self._runs = list(runs)
        self._workers = max(1, workers)
        self._sync_start = sync_start
        self._logger = logger
        self._changed = threading.Condition()
        self._activities = activity.Activities()
        self._working = 0

    def items(self) -> Generator[ChannelItem | None, None, None]:
        """All that a writer must write, in order. None means that nothing is ready, so that the writer flushes.

        Ends when every stream has ended. Closing the generator stops the workers.
        """
        self._working = self._workers
        for number in range(self._workers):
            threading.Thread(target=self._work, name=f"reader-{number}", daemon=True).start()
        quiet_since = time.monotonic()
        try:
            while not self.channel.drained:
                if self.channel.empty:
                    yield None
                item = self.channel.get(timeout=min(1.0, HEARTBEAT_SECONDS))
                if item is not None:
                    quiet_since = time.monotonic()
                    yield item
                elif time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                    quiet_since = time.monotonic()
                    self._logger.info(f"Still reading: {self._activities.report() or 'working'}")
        finally:
            self._activities.stop.set()
            self.channel.close()
            self._wake()
            for run in self._runs:
                run.stream.close()
        if left := ", ".join(run.name for run in self._runs if not run.done):  # they must not look empty
            raise system_error(f"The sync ended before these streams did: {left}. Run it again, and report this error.")

    def _work(self) -> None:
        activity.bind(self._activities)
        try:
            while (run := self._pick()) is not None:
                self._advance(run)
        except Stopped:
            return
        finally:
            with self._changed:
                self._working -= 1
                if self._working == 0:
                    self.channel.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _pick(self) -> StreamRun | None:
        """The run to work on: the one with the fewest workers among the first open ones. None when all are done.

        A stream that reads after others is none of the open ones before those have ended.
        """
        with self._changed:
            while True:
                if self._activities.stop.is_set():
                    return None
                open_runs = [run for run in self._runs if not run.done]
                if not open_runs:
                    return None
                unfinished = {run.name for run in open_runs}
                first = [run for run in open_runs if not run.stream.reads_after & unfinished][: self._workers]
                ready = [run for run in first if run.ready]
                if ready:
                    run = min(ready, key=lambda candidate: candidate.active)
                    run.slicing = True
                    run.active += 1
                    return run
                self._changed.wait(1.0)

    def _advance(self, run: StreamRun) -> None:
        """Reads the next slice of the run. Closes the run after its last slice."""
        index, slicing = None, True
        try:
            with self._activities.doing(f"{run.name}: looking for the next slice"):
                if run.slices is None:
                    run.slices = self._start(run)
                slice_ = next(run.slices, self)
            with self._changed:
                run.slicing = slicing = False
                run.exhausted = slice_ is self
                if not run.exhausted:
                    index = run.progress.start_slice()
                self._changed.notify_all()
            if index is not None:
                with self._activities.doing(f"{run.name}: reading {describe(slice_)}"):
                    self._read(run, index, slice_)
        except Stopped:
            raise
        except BaseException as error:  # also a SystemExit in a library: it is not the end of a slice
            if index is None or not self._fails_alone(run, index, slice_, error):
                # Frees local variables, such as pages of rows; the stack trace stays. It also ends generators that
                # caught the error and wait to go on, so not while slices are still to come.
                with suppress(Exception):
                    for cause in causes_of(error):
                        traceback.clear_frames(cause.__traceback__)
                with self._changed:
                    run.progress.fail(error)
        finally:
            self._release(run, slicing)

    def _fails_alone(self, run: StreamRun, index: int, slice_: Any, error: BaseException) -> bool:
        """Counts a slice that failed. False if its error ends the stream."""
        alone = run.stream.slices_fail_alone or run.stream.independent_slices
        if not alone or isinstance(error, MemoryError) or not isinstance(error, Exception):
            return False
        traced = self._traced(error, run)
        if concerns_all(traced):
            return False
        name = describe(slice_)
        with self._changed:
            self._emit(run.progress.fail_slice(index, name, traced, error))
            count = run.progress.failed.count
        if count <= NAMED:
            self._logger.warning(f"Stream {run.name}: {name} could not be read: {traced.message}")
        return True

    def _release(self, run: StreamRun, slicing: bool) -> None:
        """Takes this worker off the stream. The last worker closes a finished one.

        Without `slicing` this worker had found its slice, so another one may be looking for the next.
        """
        with self._changed:
            if slicing:
                run.slicing = False
            run.active -= 1
            over = run.active == 0 and (run.exhausted or run.progress.error is not None) and not run.done
        if over and not self._activities.stop.is_set():
            self._close(run)
        self._wake()

    def _start(self, run: StreamRun) -> Iterator[Any]:
        run.started_at = run.logged_at = time.monotonic()
        mode = "full refresh" if run.progress.full_refresh else "incremental sync"
        since = f"state {shorten(str(run.progress.state), 300)}" if run.progress.state else "the beginning"
        self._logger.info(f"Stream {run.name}: starting {mode} from {since}")
        self._emit(status_message(run.configured.stream, AirbyteStreamStatus.STARTED))
        run.stream.start(run.progress.state, run.progress.full_refresh, self._sync_start)
        return iter(run.stream.slices())

    def _read(self, run: StreamRun, index: int, slice_: Any) -> None:
        start, records = time.monotonic(), 0
        for item in run.stream.emitted_items(slice_):
            if run.progress.error is not None:
                return  # another slice failed: the next sync reads this one again
            records += self._take(run, index, item)
            del item  # frees a large one before the next is made
        with self._changed:
            self._emit(run.progress.end_slice(index))
            now = time.monotonic()
            if now - run.logged_at < _LOG_EVERY_SECONDS:
                return
            run.logged_at = now
        self._logger.info(
            f"Stream {run.name}: {describe(slice_)}: {records} records in {now - start:.1f} s, {run.records} so far"
        )

    def _take(self, run: StreamRun, index: int, item: SliceItem) -> int:
        """Puts one item into the channel; returns the number of its records."""
        self.channel.wait_for_room()  # before a large item is encoded, and without the lock
        if isinstance(item, Checkpoint):
            with self._changed:
                self._emit(run.progress.add_checkpoint(index, item.update))
            return 0
        if isinstance(item, Estimate):
            self._emit(estimate_message(run.name, item))
            return 0
        if isinstance(item, list | RawRows) and not item:
            return 0
        batch: Batch = run.encoder(item)
        rows = item if isinstance(item, list) else []  # rows that pass undecoded have their keys
        lacking = {name: [row.get(name) for row in rows].count(None) for name in run.stream.key if rows}
        with self._changed:
            run.without_key.update(lacking)
            run.records += batch.count
            if not run.running_emitted:  # within the lock, or another worker's records could come first
                run.running_emitted = True
                self._emit(status_message(run.configured.stream, AirbyteStreamStatus.RUNNING))
        self.channel.put(batch)
        return batch.count

    def _emit(self, message: AirbyteMessage | None) -> None:
        """Puts a message into the channel. A STATE needs the lock, or another could overtake it."""
        if message is not None:
            self.channel.put(message)

    def _close(self, run: StreamRun) -> None:
        for column, rows in (+run.without_key).items():
            self._logger.warning(
                f"Stream {run.name}: {rows} rows have no {column}, a column of the primary key. They were emitted as "
                "they came; a destination that deduplicates may keep one of them only. Report it to the vendor's "
                "support."
            )
        try:
            if run.progress.error is None:
                run.stream.finish()
                run.progress.finish()
            if run.progress.error is None:
                with self._changed:
                    self._emit(run.progress.final_state())
                self._logger.info(
                    f"Stream {run.name}: complete, {run.records} records, {run.progress.started} slices, "
                    f"{time.monotonic() - run.started_at:.1f} s"
                )
                self._emit(status_message(run.configured.stream, AirbyteStreamStatus.COMPLETE))
        except Stopped:
            raise
        except BaseException as error:
            run.progress.fail(error)
        if run.progress.error is not None:
            self._fail(run, run.progress.error)
        with self._changed:
            run.done = True

    def _fail(self, run: StreamRun, error: BaseException) -> None:
        with self._changed:
            self.failed.append(run.name)
            self._emit(run.progress.last_state())
        traced = self._traced(error, run)
        self._logger.error(f"Stream {run.name}: failed after {run.records} records: {traced.message}")
        self._emit(traced.as_sanitized_airbyte_message(run.descriptor))
        self._emit(status_message(run.configured.stream, AirbyteStreamStatus.INCOMPLETE))

    def _traced(self, error: BaseException, run: StreamRun) -> AirbyteTracedException:
        """The error as Airbyte shows it. One without a sentence gets one, and its own text as the internal message."""
        if isinstance(error, AirbyteTracedException) and error.message:
            return error
        return AirbyteTracedException(
            message=(
                f"{self._logger.name.rpartition('.')[2]} hit an unexpected error while it read {run.name}. What was "
                "read before is kept: run the sync again, and report the error with its stack trace if it comes back."
            ),
            internal_message=f"{type(error).__name__}: {error}",
            failure_type=FailureType.system_error,
            exception=error,
        )


def describe(slice_: Any) -> str:
    """A slice for log lines and errors: its `str`, shortened."""
    return shorten(str(slice_), 100)
