"""Reads the configured streams with a few workers and puts what they read into the channel."""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airbyte_cdk.models import (
    AirbyteStreamStatus,
    ConfiguredAirbyteStream,
    FailureType,
    StreamDescriptor,
    SyncMode,
)
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit import activity
from source_kit.activity import Stopped
from source_kit.errors import shorten
from source_kit.limits import SLICES_AHEAD
from source_kit.output import Batch, Channel, ChannelItem, RecordEncoder, estimate_message, state_message
from source_kit.parts import NAMED, FailedSlices, concerns_all
from source_kit.stream import BatchStream, Checkpoint, Estimate, SliceItem

#: While nothing is written, a log line says at least this often what is being waited for. Seconds.
HEARTBEAT_SECONDS = 30.0
#: Marks the state of a full refresh that has not ended; only such a state resumes a full refresh.
UNFINISHED = "__ab_full_refresh_unfinished"
_LOG_EVERY_SECONDS = 2.0


@dataclass
class StreamRun:
    """One stream of one sync: where its slices stand and which state is reached. Guarded by the engine's lock."""

    stream: BatchStream
    configured: ConfiguredAirbyteStream
    state: dict[str, Any]
    encoder: RecordEncoder
    full_refresh: bool
    started: bool = False
    running_told: bool = False
    slicing: bool = False
    exhausted: bool = False
    error: BaseException | None = None
    failed: FailedSlices = field(default_factory=FailedSlices)
    held_at: float = math.inf
    done: bool = False
    active: int = 0
    records: int = 0
    slices: Iterator[Any] = field(default_factory=lambda: iter(()))
    next_index: int = 0
    head: int = 0
    ended: set[int] = field(default_factory=set)
    pending: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    state_changed: bool = False
    state_told_at: float = -math.inf
    began_at: float = 0.0
    logged_at: float = 0.0

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name

    @property
    def descriptor(self) -> StreamDescriptor:
        """The name by which the catalog asks for the stream."""
        return StreamDescriptor(name=self.name, namespace=self.configured.stream.namespace)

    @property
    def ready(self) -> bool:
        """Whether a worker may ask for the next slice."""
        if self.done or self.exhausted or self.slicing or self.error:
            return False
        if not self.stream.independent_slices and self.next_index - self.head >= SLICES_AHEAD:
            return False
        return self.active == 0 or self.stream.parallel_slices or self.stream.independent_slices


class Engine:
    """Runs streams to their end, a few at a time, each failing alone."""

    def __init__(
        self,
        runs: Iterable[StreamRun],
        workers: int,
        sync_start: datetime,
        logger: logging.Logger,
        channel: Channel,
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
        """What is to be written, in order; None says that nothing is ready now, so a writer should flush.

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
        self._require_all_done()

    def _require_all_done(self) -> None:
        """A stream that no worker brought to an end must not look like one that had nothing to say."""
        left = [run.name for run in self._runs if not run.done]
        if left:
            msg = f"The sync ended before these streams did: {', '.join(left)}. Run it again, and report this error."
            raise AirbyteTracedException(message=msg, internal_message=msg, failure_type=FailureType.system_error)

    # ------------------------------------------------------------------------------------------------ workers

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
                last = self._working == 0
            if last:
                self.channel.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _pick(self) -> StreamRun | None:
        """The run to serve next: of the few open streams the one with the fewest workers; None when all are done."""
        with self._changed:
            while True:
                if self._activities.stop.is_set():
                    return None
                open_runs = [run for run in self._runs if not run.done]
                if not open_runs:
                    return None
                ready = [run for run in open_runs[: self._workers] if run.ready]
                if ready:
                    run = min(ready, key=lambda candidate: candidate.active)
                    run.slicing = True
                    run.active += 1
                    return run
                self._changed.wait(1.0)

    def _advance(self, run: StreamRun) -> None:
        """Takes the run's next slice and reads it; ends the run after its last."""
        index, slicing = None, True
        try:
            with self._activities.doing(f"{run.name}: looking for the next slice"):
                if not run.started:
                    self._start(run)
                slice_ = next(run.slices, self)
            with self._changed:
                run.slicing = slicing = False
                run.exhausted = slice_ is self
                if not run.exhausted:
                    index, run.next_index = run.next_index, run.next_index + 1
                self._changed.notify_all()
            if index is not None:
                with self._activities.doing(f"{run.name}: reading {describe(slice_)}"):
                    self._read(run, index, slice_)
        except Stopped:
            raise
        except BaseException as error:  # also a SystemExit of a library: it must not pass for the end of a slice
            free_locals(error)
            if index is None or not self._fails_alone(run, index, slice_, error):
                with self._changed:
                    run.error = run.error or error
        finally:
            self._leave(run, slicing)

    def _fails_alone(self, run: StreamRun, index: int, slice_: Any, error: BaseException) -> bool:
        """Counts a slice that failed; False where its error ends the stream.

        The state cannot pass it: of independent slices only those that are read move theirs, and what lies in order
        behind it is dropped.
        """
        alone = run.stream.slices_fail_alone or run.stream.independent_slices
        if not alone or isinstance(error, MemoryError) or not isinstance(error, Exception):
            return False
        traced = self._traced(error, run)
        if concerns_all(traced):
            return False
        name = describe(slice_)
        with self._changed:
            goes_on = run.failed.add(index, name, traced)
            run.stream.failed_in_a_row = run.failed.in_a_row
            count = run.failed.count
            run.held_at = min(run.held_at, index)
            with suppress(Exception):  # of a state that cannot be kept: it is the run's error by now
                self._end_slice(run, index)
            if not goes_on and run.error is None:
                run.error = run.failed.error(run.name, run.next_index, given_up=True)
        if count <= NAMED:
            self._logger.warning(f"Stream {run.name}: {name} could not be read: {traced.message}")
        return True

    def _leave(self, run: StreamRun, slicing: bool) -> None:
        """The worker lets go of the run; the last one to do so ends a run that is over.

        `slicing` says that it was still looking for a slice: by now another worker may be the one that looks.
        """
        with self._changed:
            if slicing:
                run.slicing = False
            run.active -= 1
            over = run.active == 0 and (run.exhausted or run.error is not None) and not run.done
        if over and not self._activities.stop.is_set():
            self._end(run)
        self._wake()

    def _start(self, run: StreamRun) -> None:
        run.started = True
        run.began_at = run.logged_at = time.monotonic()
        self._logger.info(f"Stream {run.name}: starting {_from(run)}")
        self.channel.put(status_message(run.configured.stream, AirbyteStreamStatus.STARTED))
        run.stream.start(run.state, run.full_refresh, self._sync_start)
        run.slices = iter(run.stream.slices())

    def _read(self, run: StreamRun, index: int, slice_: Any) -> None:
        began, records = time.monotonic(), 0
        for item in run.stream.read_slice(slice_):
            if run.error is not None:
                return  # another slice failed: what this one still holds will be read again
            records += self._take(run, index, item)
            del item  # a large one is gone before the next is made
        with self._changed:
            run.failed.read()
            run.stream.failed_in_a_row = 0
            self._end_slice(run, index)
            tell = time.monotonic() - run.logged_at >= _LOG_EVERY_SECONDS
            if tell:
                run.logged_at = time.monotonic()
        if tell:
            seconds = time.monotonic() - began
            self._logger.info(
                f"Stream {run.name}: {describe(slice_)}: {records} records in {seconds:.1f} s, {run.records} so far"
            )

    def _take(self, run: StreamRun, index: int, item: SliceItem) -> int:
        """Puts one item into the channel; returns the records in it."""
        self.channel.wait_for_room()  # before a large item is encoded, and where no lock is held
        if isinstance(item, Checkpoint):
            with self._changed:
                run.pending.setdefault(index, []).append(item.update)
                self._commit(run)
            return 0
        if isinstance(item, Estimate):
            self.channel.put(estimate_message(run.name, item))
            return 0
        if isinstance(item, list) and not item:
            return 0
        batch: Batch = run.encoder(item)
        with self._changed:
            run.records += batch.count
            if not run.running_told:  # told inside the lock, or another worker's records could come first
                run.running_told = True
                self.channel.put(status_message(run.configured.stream, AirbyteStreamStatus.RUNNING))
        self.channel.put(batch)
        return batch.count

    # ------------------------------------------------------------------------------------------------ state

    def _end_slice(self, run: StreamRun, index: int) -> None:
        if not run.stream.independent_slices:
            run.ended.add(index)
        self._commit(run)

    def _commit(self, run: StreamRun) -> None:
        """Folds into the state what may be: of independent slices all, else of the slices up to the first open one.

        What lies in order behind a slice that failed is dropped: the state stays before it.
        """
        indexes = list(run.pending) if run.stream.independent_slices else self._reached(run)
        try:
            for index in indexes:
                updates = run.pending.pop(index, ())
                if index > run.held_at and not run.stream.independent_slices:
                    continue
                for update in updates:
                    run.state = run.stream.merge_state(run.state, update)
                    run.state_changed = True
            if run.state_changed and time.monotonic() - run.state_told_at >= run.stream.state_interval:
                self._tell_state(run)
        except Exception as error:  # a state that cannot be kept is no fault of one slice
            run.error = run.error or error
            raise

    def _reached(self, run: StreamRun) -> list[int]:
        reached = [run.head]
        while run.head in run.ended:
            run.ended.discard(run.head)
            run.head += 1
            reached.append(run.head)
        return reached

    def _tell_state(self, run: StreamRun, final: bool = False) -> None:
        run.state_changed = False  # first of all: a state that cannot be written is not tried again
        state = {key: value for key, value in run.state.items() if key != UNFINISHED}
        if run.full_refresh and not final:
            state[UNFINISHED] = True
        run.state_told_at = time.monotonic()
        self.channel.put(state_message(run.descriptor, state))

    # ------------------------------------------------------------------------------------------------ ends

    def _end(self, run: StreamRun) -> None:
        try:
            if run.error is None:
                run.stream.finish()
                if run.failed:
                    run.error = run.failed.error(run.name, run.next_index)
                else:
                    self._complete(run)
        except Stopped:
            raise
        except BaseException as error:
            run.error = error
        if run.error is not None:
            self._fail(run, run.error)
        with self._changed:
            run.done = True

    def _complete(self, run: StreamRun) -> None:
        with self._changed:
            final = run.stream.final_state()
            if final is not None:
                run.state = run.stream.merge_state(run.state, final)
            if not run.state:
                run.state = {"__ab_no_cursor_state_message": True}
            self._tell_state(run, final=True)
        self._logger.info(
            f"Stream {run.name}: complete, {run.records} records, {run.next_index} slices, "
            f"{time.monotonic() - run.began_at:.1f} s"
        )
        self.channel.put(status_message(run.configured.stream, AirbyteStreamStatus.COMPLETE))

    def _fail(self, run: StreamRun, error: BaseException) -> None:
        with self._changed:
            self.failed.append(run.name)
            if run.state_changed:
                with suppress(TypeError, ValueError):  # a state that cannot be written must not hide the error
                    self._tell_state(run)
        traced = self._traced(error, run)
        self._logger.error(f"Stream {run.name}: failed after {run.records} records: {traced.message}")
        self.channel.put(traced.as_sanitized_airbyte_message(run.descriptor))
        self.channel.put(status_message(run.configured.stream, AirbyteStreamStatus.INCOMPLETE))

    def _traced(self, error: BaseException, run: StreamRun) -> AirbyteTracedException:
        return traced_error(error, self._logger.name.rpartition(".")[2], run.name)


def free_locals(error: BaseException | None) -> None:
    """Lets go of what an error's frames hold, pages of rows for instance; where it was raised stays known."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def traced_error(error: BaseException, source: str, stream: str) -> AirbyteTracedException:
    """The error as Airbyte shows it: ours as it is, any other with a sentence and its own text as the internal one."""
    if isinstance(error, AirbyteTracedException) and error.message:
        return error
    return AirbyteTracedException(
        message=(
            f"{source} hit an unexpected error while it read {stream}. What was read before is kept: run the sync "
            "again, and report the error with its stack trace if it comes back."
        ),
        internal_message=f"{type(error).__name__}: {error}",
        failure_type=FailureType.system_error,
        exception=error,
    )


def describe(slice_: Any) -> str:
    """A slice for a log line; slices with a `__str__` of their own speak for themselves."""
    return shorten(str(slice_), 100)


def usable_state(state: Mapping[str, Any], sync_mode: SyncMode) -> dict[str, Any]:
    """What of an incoming state a sync begins with.

    A full refresh begins anew unless the state says that it was interrupted; otherwise the state of an incremental
    sync would turn a full refresh into a partial one.
    """
    marked = state.get(UNFINISHED) is True
    usable = {key: value for key, value in state.items() if not key.startswith("__ab_")}
    return {} if sync_mode is SyncMode.full_refresh and not marked else usable


def _from(run: StreamRun) -> str:
    mode = "full refresh" if run.full_refresh else "incremental sync"
    if not run.state:
        return f"{mode} from the beginning"
    return f"{mode} from state {shorten(str(run.state), 300)}"
