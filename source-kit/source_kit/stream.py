"""What a stream is here: facts, slices, and the items of a slice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeAlias

from airbyte_cdk.models import AirbyteStream
from airbyte_cdk.sources.streams import Stream

from source_kit import single_key
from source_kit.raw_rows import RawRows
from source_kit.saved_state import instants_of

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordLines:
    """`count` RECORD lines that the stream wrote itself, each from `output.record_head` to `RECORD_TAIL`.

    It saves one copy of every byte.
    """

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`update` covers all that this slice yielded before it. `merge_state` adds it to the state."""

    update: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many rows the stream will probably emit in this sync; becomes an ESTIMATE trace."""

    rows: int


Rows: TypeAlias = list[Record] | RawRows
SliceItem: TypeAlias = Rows | RecordLines | Checkpoint | Estimate


@dataclass(frozen=True, slots=True)
class StreamDocs:
    """What a user must know about a stream and no code reads. `tools/docs.py` prints what is not empty."""

    resolution: str = ""  # of the cursor, e.g. "1 day" or "1 ms"
    late_rows: str = ""  # how late rows may appear
    read_again: str = ""  # what every sync reads again
    deletes: str = ""  # what happens to deleted objects
    permission: str = ""  # which permission the key needs
    requests: str = ""  # what a sync costs in requests


class BatchStream(Stream, ABC):
    """A stream that is read slice by slice, in batches.

    The engine calls `start` once, then `slices`, then `read_slice` for every slice, in worker threads. The state moves
    when a slice yields a `Checkpoint`: it is written after all that the slice yielded before, and only when every
    earlier slice was read to its end.
    """

    #: Columns of the primary key
    key: ClassVar[tuple[str, ...]] = ()
    #: A key of several columns is one column, `_key`. The source sets it, see `Source.single_column_keys`.
    joins_key: bool = False
    #: Column of the cursor; empty for a stream without one
    cursor_field: str = ""
    #: The cursor is a number of epoch seconds; otherwise it is an RFC 3339 text.
    cursor_in_seconds: ClassVar[bool] = False
    docs: ClassVar[StreamDocs] = StreamDocs()
    #: Several slices may be read at the same time. The state still moves in their order.
    parallel_slices: ClassVar[bool] = False
    #: Each slice has its own part of the state, which moves when that slice ends. Such slices also fail alone.
    independent_slices: ClassVar[bool] = False
    #: When a slice fails, the others are read, then the stream ends INCOMPLETE with the name of the failed one. The
    #: state stays before it. `progress.concerns_all` says which errors end the stream at once.
    slices_fail_alone: ClassVar[bool] = False
    #: Names of streams that end before this one starts, however they end, where a sync reads them too: what they found
    #: serves this one. Two streams must not name one another.
    reads_after: ClassVar[frozenset[str]] = frozenset()
    #: Slices need what this instance found while it looked for them or read others, or `finish` judges what all of them
    #: saw. Then one instance reads the whole stream. Slices of another stream can be pickled, and each can be read by a
    #: fresh instance on which only `start` was called.
    whole: ClassVar[bool] = False
    #: Least seconds between two STATE messages, for streams with very many slices
    state_interval: ClassVar[float] = 0.0

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Takes the state of the last sync. Raises a config_error that says what to do if it cannot be read.

        In a full refresh `state` is empty, unless an interrupted full refresh goes on.
        """

    @abstractmethod
    def slices(self) -> Iterable[Any]:
        """The parts of the stream, in order. A worker asks for each, so this may send requests."""

    @abstractmethod
    def read_slice(self, slice_: Any) -> Iterator[SliceItem]:
        """The items of one slice: finished records, and a `Checkpoint` where the state may move."""

    def emitted_items(self, slice_: Any) -> Iterator[SliceItem]:
        """The items of one slice as they are emitted: those of `read_slice`, with the column `_key` if it is wanted."""
        items, columns = self.read_slice(slice_), self.joined_columns
        # map holds no item, which may be large, while the next one is made
        return map(partial(_with_key, columns), items) if columns else items

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """The state after a checkpoint. Called in the order of the slices, never by two threads at once."""
        return {**state, **update}

    def end_of(self, slice_: Any) -> Mapping[str, Any] | None:
        """The checkpoint behind a slice as far as its position tells, without reading it; called after `start`.

        It is never ahead of the one that reading yields, unless reading yields none. None: the slice is read again.
        """
        return None

    def final_state(self) -> Mapping[str, Any] | None:
        """What is merged into the state when the stream is complete. None leaves the state as it is."""
        return None

    def reached(self, state: Mapping[str, Any]) -> Iterator[datetime]:
        """The instants in a state up to which the stream was read; none if its cursor is not a time.

        A sync warns of an instant in the future. What cannot be parsed is skipped: `start` must refuse it.
        """
        return instants_of(state, self.cursor_field, self.cursor_in_seconds)

    def slices_failed(self, in_a_row: int) -> None:
        """Called when a slice ends, with the number of slices that failed alone since one was last read to its end."""

    def finish(self) -> None:
        """Called once when every slice was read or has failed alone, before the stream is complete.

        It may raise an error that only the whole stream shows, and log what was dropped.
        """

    def close(self) -> None:
        """Called when the sync is over, however it ended: closes connections and files."""

    # The rest is what the CDK asks of a stream.

    source_defined_cursor = True

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns of the primary key, also of a stream whose key its class does not know."""
        return self.key

    @property
    def joined_columns(self) -> tuple[str, ...]:
        """The columns that `_key` joins; none where the primary key is what it always is."""
        return self.key_columns if self.joins_key and len(self.key_columns) > 1 else ()

    @property
    def primary_key(self) -> str | list[str] | list[list[str]] | None:
        """The key in the CDK's form, a new list for every caller."""
        columns = (single_key.COLUMN,) if self.joined_columns else self.key_columns
        return columns[0] if len(columns) == 1 else list(columns) or None

    def as_airbyte_stream(self) -> AirbyteStream:
        """The stream as `discover` describes it."""
        described = super().as_airbyte_stream()
        if self.joined_columns:
            described.json_schema = single_key.schema_with_key(described.json_schema, self.joined_columns)
        return described

    @property
    def supports_incremental(self) -> bool:
        """A stream with a cursor is incremental, and goes on where an interrupted full refresh stopped."""
        return bool(self.cursor_field)

    is_resumable = supports_incremental

    def read_records(self, *args: Any, **kwargs: Any) -> Iterable[Mapping[str, Any]]:
        """Replaced by `read_slice`."""
        raise NotImplementedError


def _with_key(columns: tuple[str, ...], item: SliceItem) -> SliceItem:
    match item:
        case RecordLines(data=lines, count=count):
            return RecordLines(single_key.lines_with_key(lines, columns), count)
        case RawRows():
            return single_key.raw_with_key(item, columns)
        case list():
            return [single_key.with_key(row, columns) for row in item]
    return item
