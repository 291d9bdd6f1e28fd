"""The store in a bucket of S3 or alike: a line is durable when the PUT of its object was answered.

Any number of processes, each with lanes of its own. An object is a whole segment: one commit of one inlet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from webhook_inlet.config import BucketConfig
from webhook_inlet.lines import at_of
from webhook_inlet.store import Lane, Lines, NoSuchSegment, StoreError, StoreFailed
from webhook_inlet.stores import bucket_retention, s3, segments
from webhook_inlet.stores.bucket_index import Index
from webhook_inlet.stores.bucket_objects import Objects
from webhook_inlet.stores.bucket_writer import LaneWriter

logger = logging.getLogger(__name__)

#: No try of a commit begins later: its senders wait for 4 seconds, and a try may take 3.
COMMIT_SECONDS = 2.0
_WRITERS = 8
#: Objects that are fetched at a time
_GETS = 8
_OPEN_TRIES = 3


class Bucket:
    """`Store` in a bucket."""

    #: While others wait: each object costs a request, and its readers one more
    gather_seconds = 0.25

    def __init__(self, config: BucketConfig) -> None:
        self._config = config
        self._objects = Objects(config)
        self._live: dict[str, LaneWriter] = {}
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="put")
        self._lock = threading.Lock()  # held while the bucket is listed
        self._indexes: dict[str, Index] = {}
        self._problem: str | None = None
        self._ending = threading.Event()

    def open(self) -> None:
        """Proves with a list that the bucket can be reached. Raises StoreFailed with a sentence."""
        self._objects.connect()
        for turn in range(1, _OPEN_TRIES + 1):
            try:
                self._objects.probe()
            except s3.REQUEST_ERRORS as error:
                words = s3.words_of(error, self._config)
                if s3.is_final(error) or turn == _OPEN_TRIES:
                    raise StoreFailed(words) from error
                logger.warning("%s", words)
                time.sleep(turn)
            else:
                return

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        """One object for each inlet, written at the same time."""
        until = time.monotonic() + COMMIT_SECONDS
        for inlet in batches:
            if inlet not in self._live:
                self._live[inlet] = LaneWriter(self._objects, inlet, self._troubled, self._ending)
        if len(batches) == 1:
            found = [self._commit(inlet, lines, until) for inlet, lines in batches.items()]
        else:
            found = list(self._writers.map(lambda inlet: self._commit(inlet, batches[inlet], until), batches))
        refused = {inlet: error for inlet, error in zip(batches, found, strict=True) if error}
        self._problem = str(next(iter(refused.values()))) if refused else None
        return refused

    def _commit(self, inlet: str, lines: Sequence[bytes], until: float) -> StoreError | None:
        try:
            self._live[inlet].commit(lines, until)
        except StoreError as error:
            return error
        return None

    def maintain(self) -> None:
        """Sees whether a problem is over."""
        try:
            if self._problem:
                self._objects.probe()
                self._problem = None
        except s3.REQUEST_ERRORS as error:
            self._problem = s3.words_of(error, self._config)

    def _troubled(self, words: str) -> None:
        self._problem = words

    def hurry(self) -> None:
        """A commit that waits for the bucket gives up."""
        self._ending.set()

    def close(self) -> None:
        """Marks this process's lanes as closed, but for one whose last object may or may not be there."""
        for writer in self._live.values():
            if writer.pending:
                logger.warning("Events that nobody was told are stored may stand at the end of lane %s", writer.lane)
                continue
            try:
                if writer.last:
                    self._objects.put_marker(self._objects.key(writer.inlet, writer.lane, "closed"), writer.last)
            except s3.REQUEST_ERRORS as error:
                words = s3.words_of(error, self._config)
                logger.warning("Lane %s could not be marked as closed: %s", writer.lane, words)
        self._writers.shutdown()

    def recent_keys(self, inlet: str) -> Iterator[bytes]:
        """The keys of an inlet's lines, the newest segment first: of the newest 1,000 of each lane.

        Ends early, with a warning, when the bucket does not answer: then some duplicates are stored once more.
        """
        try:
            with self._lock:
                newest = self._index(inlet).newest()
            with ThreadPoolExecutor(_GETS, thread_name_prefix="get") as pool:
                ahead: deque[Future[bytes | None]] = deque()
                try:
                    for lane, number in newest:
                        ahead.append(pool.submit(self._lines, inlet, lane, number))
                        if len(ahead) == _GETS:
                            yield from reversed(segments.keys(ahead.popleft().result() or b""))
                    while ahead:
                        yield from reversed(segments.keys(ahead.popleft().result() or b""))
                finally:  # whoever asked has enough
                    for waiting in ahead:
                        waiting.cancel()
        except StoreError as error:
            logger.warning("The keys of what was stored before could not all be read: %s", error)

    def _lines(self, inlet: str, lane: str, number: int) -> bytes | None:
        try:
            return self._objects.lines(inlet, lane, number)
        except segments.Damaged as error:
            logger.warning("%s", error)
            return None

    def newest_at(self, inlet: str) -> int | None:
        """When the newest line was received, in microseconds; None if there is none. Raises StoreError."""
        if (writer := self._live.get(inlet)) and writer.newest:
            return at_of(writer.newest)
        with self._lock:
            lanes = [lane for lane in self._index(inlet).lanes() if lane.first <= lane.last]
        if not lanes:
            return None
        newest = max(lanes, key=lambda lane: lane.modified)
        return segments.last_at(self._lines(inlet, newest.name, newest.last) or b"")

    def lanes(self, inlet: str) -> list[Lane]:
        """The lanes of an inlet, the oldest first. Raises StoreError."""
        writer = self._live.get(inlet)
        own = writer.shown if writer else None
        with self._lock:
            index = self._index(inlet)
            found = {
                lane.name: _own(own, lane.first) if own and lane.name == own.lane else index.listed(lane)
                for lane in index.lanes()
            }
        if own and own.lane not in found:
            found[own.lane] = own
        return list(found.values())

    def _index(self, inlet: str) -> Index:
        return self._indexes.setdefault(inlet, Index(self._objects, inlet))

    def read(self, inlet: str, lane: str, segment: int, line: int) -> Lines:
        """The lines behind the `line`-th. No segment of a bucket grows. Raises NoSuchSegment, StoreError."""
        data = self._objects.lines(inlet, lane, segment)
        if data is None:
            raise NoSuchSegment(f"Segment {segment} of lane {lane} of the inlet {inlet} is not in the bucket.")
        return Lines(segments.behind(data, line), sealed=True)

    def remove_before(self, at: int) -> int:
        """Removes old objects, and what marked lanes that were removed long ago."""
        removed = 0
        try:
            for inlet in self._objects.inlets():
                own = self._live.get(inlet)
                for lane in self._objects.lane_names(inlet):
                    is_own = own is not None and own.lane == lane
                    removed += bucket_retention.remove_head(self._objects, inlet, lane, at, is_own)
        except StoreError as error:
            logger.warning("Old objects could not be removed: %s", error)
        except s3.REQUEST_ERRORS as error:
            logger.warning("Old objects could not be removed: %s", s3.words_of(error, self._config))
        with self._lock:
            for index in self._indexes.values():
                index.forget_heads()
        return removed

    def problem(self) -> str | None:
        """Why nothing can be stored now, in words, as of the last commit or `maintain`."""
        return self._problem

    def free_bytes(self) -> int | None:
        """None: a bucket has no end."""
        return None


def _own(own: Lane, first: int) -> Lane:
    """This process's lane: retention may have moved its head, and what it wrote itself it knows best."""
    if first > own.last:
        return Lane(own.lane, own.last + 1, own.last, 0, closed=False)
    return Lane(own.lane, first, own.last, own.lines, closed=False)
