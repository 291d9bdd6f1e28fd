"""Downloads the files of a stream ahead, while the present one is decoded, and finds their blocks."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from source_heap.avro.pool import AvroFile
from source_heap.bucket import Bucket

#: Most files that are downloaded ahead: a dump may have 10,000 small ones, each a request of its own.
_FILES_AHEAD = 8
#: Bytes that the files ahead should take on disk; large files come one at a time.
_BYTES_AHEAD = 32 * 1024 * 1024

#: A file on disk, and its checked structure
_Found = tuple[IO[bytes], AvroFile]


class Spool:
    """The files that are downloaded ahead. They have no names, so they vanish at the latest with the process."""

    def __init__(self, bucket: Bucket, upcoming: Iterable[str] = ()) -> None:
        """`upcoming` are the keys of the files in the order in which they will be read."""
        self._bucket = bucket
        self._upcoming = iter(upcoming)
        self._coming: dict[str, Future[_Found]] = {}
        self._taken = 0
        self._taken_bytes = 0
        self.close = weakref.finalize(self, _discard, self._coming)

    @contextmanager
    def file(self, key: str) -> Iterator[AvroFile]:
        """The file on disk, whole, for the `with` block. Raises the error of its download, or BrokenFile."""
        self._look_ahead()
        if key not in self._coming:
            self._start(key)
        data, file = self._coming.pop(key).result()
        with data:
            self._taken += 1
            self._taken_bytes += file.path.stat().st_size
            self._look_ahead()
            yield file

    def _look_ahead(self) -> None:
        """Starts the next downloads, as many as the average size allows."""
        average = self._taken_bytes // self._taken if self._taken else _BYTES_AHEAD
        ahead = min(_FILES_AHEAD, max(1, _BYTES_AHEAD // max(average, 1)))
        while len(self._coming) < ahead and (key := next(self._upcoming, None)) is not None:
            self._start(key)

    def _start(self, key: str) -> None:
        future: Future[_Found] = Future()
        self._coming[key] = future
        threading.Thread(target=self._download, args=(key, future), name="spool", daemon=True).start()

    def _download(self, key: str, future: Future[_Found]) -> None:
        try:
            data = self._bucket.fetch(key)
            try:
                future.set_result((data, AvroFile.open(_path(data))))
            except BaseException:
                data.close()
                raise
        except BaseException as error:
            future.set_exception(error)


def _path(data: IO[bytes]) -> Path:
    """A path by which this process and its children can open a file without a name."""
    return Path(f"/proc/{os.getpid()}/fd/{data.fileno()}")


def _discard(coming: dict[str, Future[_Found]]) -> None:
    """Closes the files that were not read; a download that is still running closes when it ends."""
    while coming:
        _, future = coming.popitem()
        future.add_done_callback(_close)


def _close(future: Future[_Found]) -> None:
    if future.exception() is None:
        future.result()[0].close()
