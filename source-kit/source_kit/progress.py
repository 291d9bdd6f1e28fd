"""The progress of one stream: which slices have ended, and which checkpoints may be emitted as a state.

Nothing here waits or writes: the engine calls it under its lock and emits what it returns.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from airbyte_cdk.models import AirbyteMessage, FailureType, StreamDescriptor
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.cdk.state_keys import NO_STATE, UNFINISHED
from source_kit.limits import SLICES_AHEAD
from source_kit.output import state_message
from source_kit.stream import BatchStream

#: It is an outage when this many slices in a row failed with a transient error, over this many seconds. With fewer
#: seconds, a few broken slices in a row would hide the slices after them, in every sync. With more seconds, a sync
#: would wait for a server that is down, again at each slice that is left.
OUTAGE_AFTER = 10
OUTAGE_SECONDS = 300.0
#: When this many slices failed and none was read, the stream is given up.
ALL_FAILED_AFTER = 25
#: How many failed slices an error names, and how many log lines there are about them
NAMED = 20
_DETAILS = 3


class Progress:
    """The slices, the state and the failures of one stream in one sync.

    Slices are numbered from 0 in the order in which they start. They may end in any order. The state passes a slice
    when this slice and all before it have ended; an independent slice moves the state alone. The state never passes a
    slice that failed.

    Not safe for threads. A STATE that a method returns must be emitted before the next call.
    """

    def __init__(
        self, stream: BatchStream, descriptor: StreamDescriptor, state: Mapping[str, Any], full_refresh: bool
    ) -> None:
        self.stream = stream
        self.descriptor = descriptor
        self.state = dict(state)
        self.full_refresh = full_refresh
        self.error: BaseException | None = None
        self.failed = FailedSlices()
        self.started = 0  # number of slices
        self._independent = stream.independent_slices
        self._first_open = 0  # every slice before this one has ended
        self._ended: set[int] = set()  # those after it that have ended
        self._first_failed = math.inf
        self._checkpoints: dict[int, list[Mapping[str, Any]]] = {}  # not yet in the state
        self._state_changed = False  # since the last STATE
        self._emitted_at = -math.inf

    @property
    def may_start_slice(self) -> bool:
        """Whether one more slice may start: the checkpoints of later slices wait in memory for the earlier ones."""
        return self._independent or self.started - self._first_open < SLICES_AHEAD

    def start_slice(self) -> int:
        """The number of the next slice, which starts now."""
        self.started += 1
        return self.started - 1

    def add_checkpoint(self, index: int, update: Mapping[str, Any]) -> AirbyteMessage | None:
        """Adds a checkpoint of an open slice. Returns the STATE to emit now, if any.

        Raises what the stream's `merge_state` raises, and TypeError for a state that is not JSON. Both fail the stream.
        """
        self._checkpoints.setdefault(index, []).append(update)
        return self._merge_reached()

    def end_slice(self, index: int) -> AirbyteMessage | None:
        """Counts a slice that was read to its end. Returns and raises as `add_checkpoint` does."""
        self.failed.count_read()
        self.stream.slices_failed(0)
        return self._close_slice(index)

    def fail_slice(
        self, index: int, name: str, error: AirbyteTracedException, raised: BaseException
    ) -> AirbyteMessage | None:
        """Counts a slice that failed alone (see `FailedSlices.add`). Returns the STATE to emit now, if any.

        Fails the stream when the remaining slices are not worth a try.
        """
        goes_on = self.failed.add(index, name, error, raised)
        self.stream.slices_failed(self.failed.in_a_row)
        self._first_failed = min(self._first_failed, index)
        try:
            return self._close_slice(index)
        except Exception:
            return None  # the state cannot be merged, which has become the stream's error
        finally:
            if not goes_on:
                self.fail(self.failed.error(self.stream.name, self.started, given_up=True))

    def fail(self, error: BaseException) -> None:
        """Fails the stream with this error, unless another came first."""
        if self.error is None:
            self.error = error

    def finish(self) -> None:
        """Call it after the last slice: fails the stream if a slice failed alone."""
        if self.failed.count:
            self.fail(self.failed.error(self.stream.name, self.started))

    def final_state(self) -> AirbyteMessage:
        """The STATE of a stream that is complete. Raises as `add_checkpoint` does."""
        final = self.stream.final_state()
        if final is not None:
            self.state = self.stream.merge_state(self.state, final)
        return self._state_message(self.state or NO_STATE)

    def last_state(self) -> AirbyteMessage | None:
        """The STATE of a failed stream, if it moved since the last one. None if it is not JSON."""
        if not self._state_changed:
            return None
        try:
            return self._unfinished_state()
        except (TypeError, ValueError):  # it must not hide the stream's error
            return None

    def _close_slice(self, index: int) -> AirbyteMessage | None:
        if not self._independent:
            self._ended.add(index)
        return self._merge_reached()

    def _merge_reached(self) -> AirbyteMessage | None:
        """Merges each checkpoint that is reached into the state, once. Those after a failed slice are dropped."""
        try:
            for index in list(self._checkpoints) if self._independent else self._reached():
                updates = self._checkpoints.pop(index, [])
                if index > self._first_failed and not self._independent:
                    continue
                for update in updates:
                    self.state = self.stream.merge_state(self.state, update)
                    self._state_changed = True
            if self._state_changed and time.monotonic() - self._emitted_at >= self.stream.state_interval:
                return self._unfinished_state()
        except Exception as error:  # a state that cannot be merged fails the stream, not the slice
            self.fail(error)
            raise
        return None

    def _reached(self) -> Iterable[int]:
        """The slices up to and with the first open one."""
        yield self._first_open
        while self._first_open in self._ended:
            self._ended.discard(self._first_open)
            self._first_open += 1
            yield self._first_open

    def _unfinished_state(self) -> AirbyteMessage:
        return self._state_message({**self.state, UNFINISHED: True} if self.full_refresh else self.state)

    def _state_message(self, state: Mapping[str, Any]) -> AirbyteMessage:
        self._state_changed = False  # before the rest: a state that cannot be written is not tried again
        self._emitted_at = time.monotonic()
        return state_message(self.descriptor, state)


def concerns_all(error: AirbyteTracedException) -> bool:
    """Whether an error would meet the other slices of the stream as well, so that they are not tried.

    True for what the user must fix (a wrong key, a missing permission, a full disk), and for an exception class with a
    true `concerns_all_slices`.
    """
    return error.failure_type is FailureType.config_error or bool(getattr(error, "concerns_all_slices", False))


class FailedSlices:
    """The slices of one stream that failed alone in one sync."""

    def __init__(self) -> None:
        self.count = 0
        self.in_a_row = 0  # since a slice was last read to its end
        self._read = 0
        self._failing_since = 0.0
        self._transient = True
        # Of the others only texts are kept: an exception may hold the document that it could not read.
        self._first: tuple[AirbyteTracedException, BaseException] | None = None
        self._named: list[tuple[int, str]] = []
        self._details: list[str] = []

    def count_read(self) -> None:
        """Counts a slice that was read to its end."""
        self._read += 1
        self.in_a_row = 0

    def add(self, index: int, name: str, error: AirbyteTracedException, raised: BaseException) -> bool:
        """Counts a slice that failed. False means that no more slices should be tried.

        `error` is what the user sees of the exception that was `raised`; it is the same if that has a sentence.
        """
        self._failing_since = self._failing_since if self.in_a_row else time.monotonic()
        self.count += 1
        self.in_a_row += 1
        transient = error.failure_type is FailureType.transient_error
        self._transient = self._transient and transient
        self._first = self._first or (error, raised)
        if len(self._named) < NAMED:
            self._named.append((index, name))
        if len(self._details) < _DETAILS:
            self._details.append(f"{name}: {error.internal_message or error.message}")
        if not self._read and self.count >= ALL_FAILED_AFTER:
            return False
        lasted = time.monotonic() - self._failing_since
        return not (transient and self.in_a_row >= OUTAGE_AFTER and lasted >= OUTAGE_SECONDS)

    def error(self, stream: str, tried: int, given_up: bool = False) -> AirbyteTracedException:
        """The stream's error, with the names of the failed slices. `tried` is the number of slices that started."""
        assert self._first is not None  # noqa: S101 - called only after a slice failed
        first, raised = self._first
        if tried == 1:
            return first
        names = ", ".join(name for _, name in sorted(self._named))
        names += ", ..." if self.count > NAMED else ""
        if not self._read:
            message = f"{first.message} All {self.count} parts of {stream} that were tried failed: {names}."
        elif given_up:
            message = (
                f"{self.count} of the first {tried} parts of {stream} could not be read: {names}. So many failed one "
                f"after another that the rest was not tried. The next sync tries again. {first.message}"
            )
        else:
            message = (
                f"{self.count} of the {tried} parts of {stream} could not be read: {names}. The others were read, and "
                f"the next sync tries these again. {first.message}"
            )
        return AirbyteTracedException(
            message=message,
            internal_message="; ".join(self._details),
            failure_type=FailureType.transient_error if self._transient else FailureType.system_error,
            exception=raised,
        )
