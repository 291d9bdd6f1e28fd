"""Records to stdout: encode, queue, write. One ordered, bounded channel, so that no STATE overtakes its records."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import orjson
from airbyte_cdk.logger import AirbyteLogFormatter
from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteMessageSerializer,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteTraceMessage,
    EstimateType,
    StreamDescriptor,
    TraceType,
    Type,
)

from source_kit import activity
from source_kit.activity import Stopped
from source_kit.json_text import dumps
from source_kit.limits import IN_FLIGHT_BYTES
from source_kit.raw_rows import RawRows
from source_kit.stream import Estimate, Record, RecordLines, Rows, SliceItem

#: About the memory of a message without records
_MESSAGE_BYTES = 1024
#: The writer collects this many bytes before it writes.
_WRITE_BYTES = 1024 * 1024
#: Size of stdout's buffer. What is longer is written directly, without a copy.
_BUFFER_BYTES = 64 * 1024
#: Linux's usual room of a pipe, with which writer and reader wait for each other sixteen times a megabyte. Then what it
#: allows without privileges.
_USUAL_PIPE_BYTES, _PIPE_BYTES = 64 * 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """`count` RECORD messages of one stream, encoded, one a line."""

    stream: str
    lines: bytes
    count: int


#: A `str` is a finished line, such as a log line of the CDK's formatter.
ChannelItem: TypeAlias = Batch | AirbyteMessage | str


#: The end of a RECORD line, after the record's data
RECORD_TAIL = b"}}\n"


def record_head(stream: str, namespace: str | None = None) -> bytes:
    """The beginning of a RECORD line, up to the record's data, in ASCII. `emitted_at` is now."""
    return b'%b"emitted_at":%d,"data":' % (_record_begin(stream, namespace), time.time_ns() // 1_000_000)


def _record_begin(stream: str, namespace: str | None) -> bytes:
    begin = b'{"type":"RECORD","record":{"stream":%b,' % json.dumps(stream).encode()
    return begin if namespace is None else b'%b"namespace":%b,' % (begin, json.dumps(namespace).encode())


class RecordEncoder:
    """Encodes the records of one stream as lines. The head that all lines share is built once for each batch."""

    def __init__(self, stream: str, namespace: str | None = None) -> None:
        self._stream = stream
        self._namespace = namespace

    def __call__(self, item: Rows | RecordLines) -> Batch:
        """RECORD lines for an item that holds at least one record."""
        if isinstance(item, RecordLines):
            return Batch(self._stream, self._with_namespace(item.data), item.count)
        head = record_head(self._stream, self._namespace)
        rows: list[Any] = item.texts if isinstance(item, RawRows) else _encoded(item)
        count = len(rows)
        parts = [RECORD_TAIL + head] * (2 * count + 1)
        parts[0], parts[-1] = head, RECORD_TAIL
        parts[1::2] = rows
        return Batch(self._stream, b"".join(parts), count)  # one copy

    def _with_namespace(self, lines: bytes) -> bytes:
        """A stream that writes its lines itself does not know the catalog's namespace, which is rarely set."""
        if self._namespace is None:
            return lines
        before, after = _record_begin(self._stream, None), _record_begin(self._stream, self._namespace)
        return (b"\n" + lines).replace(b"\n" + before, b"\n" + after)[1:]


def rows_of(item: SliceItem) -> list[Record]:
    """The records of one item of a slice as dicts; none for a checkpoint."""
    match item:
        case RawRows():
            return item.decoded()
        case RecordLines(data=data):
            return [orjson.loads(line)["record"]["data"] for line in data.splitlines()]
        case list():
            return item
    return []


def _encoded(rows: list[Record]) -> list[bytes]:
    try:
        return list(map(orjson.dumps, rows))
    except TypeError:
        return list(map(dumps, rows))


def state_message(stream: StreamDescriptor, state: Mapping[str, Any]) -> AirbyteMessage:
    """A per-stream STATE; the writer fills in how many records it covers.

    The state is copied, since the stream may change its own while the message waits in the channel. Raises TypeError
    for a state that is not JSON.
    """
    copied = AirbyteStateBlob(json.loads(json.dumps(state)))
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(stream_descriptor=stream, stream_state=copied),
            sourceStats=AirbyteStateStats(recordCount=0.0),
        ),
    )


def estimate_message(stream: str, estimate: Estimate) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.TRACE,
        trace=AirbyteTraceMessage(
            type=TraceType.ESTIMATE,
            emitted_at=time.time_ns() // 1_000_000,
            estimate=AirbyteEstimateTraceMessage(name=stream, type=EstimateType.STREAM, row_estimate=estimate.rows),
        ),
    )


class Channel:
    """A queue with a limit in bytes. A batch of records waits for room; other messages do not wait, but need room too.

    Items keep their order: a STATE that is put after its records is written after them. A thread that puts many
    messages without records calls `wait_for_room` before each, while it holds no lock.
    """

    def __init__(self, in_flight_bytes: int = IN_FLIGHT_BYTES) -> None:
        self._items: deque[ChannelItem] = deque()
        self._limit = in_flight_bytes
        self._held = 0
        self._closed = False
        self._ended = False
        self._changed = threading.Condition()

    def put(self, item: ChannelItem) -> None:
        """Adds an item; a batch waits until there is room. Raises Stopped when the channel is closed."""
        with self._changed:
            if isinstance(item, Batch):
                self.wait_for_room()
            if self._closed:
                raise Stopped
            self._held += _size(item)
            self._items.append(item)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Waits until there is room for a batch. Raises Stopped when the channel is closed."""
        with self._changed:
            while self._held >= self._limit and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Stopped

    def get(self, timeout: float) -> ChannelItem | None:
        """The next item. None after `timeout` seconds without one, or at once if no more will come."""
        with self._changed:
            if not self._items and not self._ended:
                self._changed.wait(timeout)
            if not self._items:
                return None
            item = self._items.popleft()
            self._held -= _size(item)
            self._changed.notify_all()
            return item

    @property
    def empty(self) -> bool:
        """Whether the next `get` would wait."""
        return not self._items

    @property
    def drained(self) -> bool:
        """Whether the queue is empty and no more items will come."""
        return self._ended and not self._items

    def end(self) -> None:
        """Declares that no more items will come, so that the reader does not wait for one."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Raises Stopped in all threads that wait for room; what they wanted to add is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(item: ChannelItem) -> int:
    """About the bytes that an item holds. The size of a state counts: it may name ten thousand parents."""
    match item:
        case Batch(lines=lines):
            return len(lines)
        case str():
            return len(item)
        case AirbyteMessage(state=AirbyteStateMessage(stream=AirbyteStreamState(stream_state=state))):
            return _MESSAGE_BYTES + len(repr(state.__dict__))
        case _:
            return _MESSAGE_BYTES


class _ChannelLog(logging.Handler):
    """Puts log lines into the channel: while a sync runs, only the writer may write to stdout."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self.setFormatter(AirbyteLogFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._channel.put(self.format(record))
        except Stopped:
            pass
        except Exception:  # a line that cannot be formatted must not end a stream
            self.handleError(record)


@contextmanager
def logs_in(channel: Channel) -> Iterator[None]:
    """Within the block, log lines of all threads go into the channel instead of to stdout."""
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [_ChannelLog(channel)]
    try:
        yield
    finally:
        root.handlers[:] = before


class _HeldLog(logging.Handler):
    """Holds log lines back."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.held: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.held.append(record)


@contextmanager
def logs_held(waiting: str) -> Iterator[None]:
    """Within the block, warnings and errors wait until its end, and lines of less weight, such as retries, are dropped.

    So a person sees the answer first. Whoever waits long for it gets a line that begins with `waiting` and says what is
    being done, every `activity.HEARTBEAT_SECONDS`.
    """
    root = logging.getLogger()
    before, held, ended = root.handlers[:], _HeldLog(logging.WARNING), threading.Event()
    activities = activity.current()  # those of another thread may be others

    def write(records: list[logging.LogRecord]) -> None:
        for record in records:
            for handler in before:
                handler.handle(record)

    def say_that_it_runs() -> None:
        while not ended.wait(activity.HEARTBEAT_SECONDS):
            line = f"{waiting}: {activities.report() or 'working'}"
            write([logging.LogRecord(root.name, logging.INFO, __file__, 0, line, None, None)])

    heartbeat = threading.Thread(target=say_that_it_runs, name="heartbeat", daemon=True)
    root.handlers[:] = [held]
    heartbeat.start()
    try:
        yield
    finally:
        root.handlers[:] = before
        ended.set()
        heartbeat.join()
        write(held.held)


class OutputLost(Exception):
    """Stdout cannot be written. The cause is the error of the operating system."""


@contextmanager
def writing() -> Iterator[None]:
    """Raises OutputLost for an OSError within the block."""
    try:
        yield
    except OSError as error:
        raise OutputLost from error


def open_stdout() -> IO[bytes]:
    """Stdout for a Writer, by its descriptor, since `sys.stdout` may be replaced.

    On Linux a pipe gets more room, unless someone has given it another size than the usual one.
    """
    stdout = open(1, "wb", buffering=_BUFFER_BYTES, closefd=False)  # noqa: SIM115 - stays open with the process
    if sys.platform == "linux":
        from fcntl import F_GETPIPE_SZ, F_SETPIPE_SZ, fcntl

        with suppress(OSError):  # it is no pipe, or the user's pipes have used up their room
            if fcntl(stdout, F_GETPIPE_SZ) == _USUAL_PIPE_BYTES:
                fcntl(stdout, F_SETPIPE_SZ, _PIPE_BYTES)
    return stdout


class Writer:
    """Writes lines to stdout, and flushes after every STATE and before every wait."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._pending: list[bytes] = []
        self._size = 0

    def write(self, item: ChannelItem | None) -> None:
        """Writes one item; None flushes. Raises OutputLost."""
        match item:
            case None:
                self.flush()
            case Batch(stream=stream, lines=lines, count=count):
                self._counts[stream] += count
                self._add(lines)
            case str():
                self._add(item.encode() + b"\n")
            case AirbyteMessage(state=AirbyteStateMessage(stream=AirbyteStreamState() as of, sourceStats=stats)) if (
                stats
            ):
                stats.recordCount = float(self._counts.pop(of.stream_descriptor.name, 0))
                self._add(dumps(AirbyteMessageSerializer.dump(item)) + b"\n")
                self.flush()
            case _:
                self._add(dumps(AirbyteMessageSerializer.dump(item)) + b"\n")

    def _add(self, lines: bytes) -> None:
        self._pending.append(lines)
        self._size += len(lines)
        if self._size >= _WRITE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes all that was collected. Raises OutputLost."""
        with writing():
            for lines in self._pending:
                self._out.write(lines)
            self._pending.clear()
            self._size = 0
            self._out.flush()
