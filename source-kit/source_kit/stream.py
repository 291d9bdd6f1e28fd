"""What a stream is here: facts, slices, and items read from a slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from airbyte_cdk.sources.streams import Stream

from source_kit.saved_state import instants_of

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordLines:
    """`count` RECORD messages of the stream, finished, each between `output.record_head` and `RECORD_TAIL`.

    For a stream that builds its lines itself: a copy less of every byte.
    """

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class RecordMeta:
    """One record that needs Airbyte's per-record `meta`, e.g. because a value was nulled.

    `changes` holds Airbyte's own objects: `{"field", "change", "reason"}`.
    """

    data: Record
    changes: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that this slice yielded before it is covered by `update`, which `merge_state` folds into the state."""

    update: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much the stream is expected to deliver in this sync; becomes an ESTIMATE trace."""

    rows: int | None = None
    size_bytes: int | None = None


SliceItem: TypeAlias = list[Record] | RecordLines | RecordMeta | Checkpoint | Estimate


@dataclass(frozen=True, slots=True)
class StreamDocs:
    """What a user must know about a stream and no code reads; `tools/docs.py` prints it. Empty: nothing to say."""

    #: How fine the cursor is: "1 day", "1 ms"
    resolution: str = ""
    #: How late rows may appear
    late_rows: str = ""
    #: What every sync reads again
    read_again: str = ""
    #: What happens to deleted objects
    deletes: str = ""
    #: Which permission the key needs
    permission: str = ""
    #: What a sync costs in requests
    requests: str = ""


class BatchStream(Stream, ABC):
    """A stream that is read slice by slice, in batches.

    The engine calls `start` once, then `slices`, then `read_slice` for every slice, in worker threads. A state moves
    when a slice yields a `Checkpoint`: it is written behind all that was yielded before it, and only when every
    earlier slice was read to its end.

    A fact below is read by code. What is for readers only stands in `docs`.
    """

    #: Columns of the primary key
    key: ClassVar[tuple[str, ...]] = ()
    #: Column of the cursor; empty for a stream without one
    cursor_field: str = ""
    #: The cursor is a number of epoch seconds; otherwise it is an RFC 3339 text
    cursor_in_seconds: ClassVar[bool] = False
    #: What the documentation says about the stream
    docs: ClassVar[StreamDocs] = StreamDocs()
    #: Slices may be read at the same time; the state still moves in their order
    parallel_slices: ClassVar[bool] = False
    #: Each slice carries its own part of the state, which moves as soon as that slice ends; such slices fail alone
    independent_slices: ClassVar[bool] = False
    #: A slice that fails costs that slice: the others are read, then the stream ends INCOMPLETE with its name. The
    #: state stays before the failed slice. See `progress.concerns_all` for the errors that end a stream at once.
    slices_fail_alone: ClassVar[bool] = False
    #: Least seconds between two STATE messages, for streams with very many slices
    state_interval: ClassVar[float] = 0.0
    #: How many slices failed alone since one was last read; kept by the engine
    failed_in_a_row: int = 0

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the state of the last sync. Raises a config_error that says what to do where it cannot be read.

        In a full refresh `state` is empty, unless an interrupted full refresh goes on.
        """

    @abstractmethod
    def slices(self) -> Iterable[Any]:
        """The parts of the stream, in order. Advanced in a worker, so it may ask the server."""

    @abstractmethod
    def read_slice(self, slice_: Any) -> Iterator[SliceItem]:
        """Everything of one slice: lists of finished records, and a `Checkpoint` where the state may move."""

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The state after a checkpoint. Called in slice order, never by two threads at once."""
        return {**state, **update}

    def final_state(self) -> Mapping[str, Any] | None:
        """The state to end with when no checkpoint came; None keeps the state that the sync began with."""
        return None

    def reached(self, state: Mapping[str, Any]) -> Iterator[datetime]:
        """The instants up to which a state says that the stream was read; nothing where its cursor is no time.

        A state in the future is warned of. What cannot be read is left to `start`.
        """
        return instants_of(state, self.cursor_field, self.cursor_in_seconds)

    def finish(self) -> None:
        """Called once when every slice was read or has failed alone, before the stream counts as complete.

        The place to raise about what only the whole shows, and to log what was skipped.
        """

    def close(self) -> None:
        """Called when the sync is over, however it ended: lets go of connections and files."""

    # The rest serves the CDK's own sequential reading, which check_availability and other tools use.

    source_defined_cursor = True

    @property
    def primary_key(self) -> str | list[str] | list[list[str]] | None:
        """The key as the CDK asks for it, a fresh list for every caller."""
        return self.key[0] if len(self.key) == 1 else list(self.key) or None

    @property
    def state(self) -> MutableMapping[str, Any]:
        """The engine keeps the state; the CDK only looks whether a stream has one."""
        return {}

    @state.setter
    def state(self, value: MutableMapping[str, Any]) -> None:
        """States reach a stream through `start`."""

    @property
    def is_resumable(self) -> bool:
        """A stream with a cursor goes on where an interrupted full refresh stopped."""
        return bool(self.cursor_field)

    @property
    def supports_incremental(self) -> bool:
        """A stream with a cursor is incremental."""
        return bool(self.cursor_field)

    def read_records(self, *args: Any, **kwargs: Any) -> Iterable[Mapping[str, Any]]:
        """The CDK's own way to read one record at a time, which `read_slice` replaces."""
        raise NotImplementedError
