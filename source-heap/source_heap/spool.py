"""Brings the files of a stream to disk and finds their blocks, the next ones while the present one is decoded."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path

from source_heap.avro.pool import AvroFile
from source_heap.bucket import Bucket
from source_heap.room import no_room

#: Files on their way at a time, at most: a dump may have ten thousand small ones, and each waits for its own answer.
_FILES_AHEAD = 8
#: What the files ahead should take on disk. Large files come one at a time. Bytes.
_BYTES_AHEAD = 32 * 1024 * 1024


class Spool:
    """A folder of its own for files on their way; it vanishes with the object, at the latest with the process."""

    def __init__(self, bucket: Bucket, upcoming: Iterable[str] = ()) -> None:
        """`upcoming` are the files in the order in which they will be taken."""
        self._bucket = bucket
        self._upcoming = iter(upcoming)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="source-heap-"))
        except OSError as error:
            raise no_room(error) from error
        self._coming: dict[str, Future[AvroFile]] = {}
        self._taken = 0
        self._taken_bytes = 0
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def take(self, key: str) -> AvroFile:
        """The file on disk, whole. The caller deletes it. Raises what fetching it raised, or BrokenFile."""
        self._look_ahead()
        if key not in self._coming:
            self._start(key)
        file = self._coming.pop(key).result()
        self._taken += 1
        self._taken_bytes += file.path.stat().st_size
        self._look_ahead()
        return file

    def _look_ahead(self) -> None:
        """Starts the next files, as many as their usual size allows."""
        usual = self._taken_bytes // self._taken if self._taken else _BYTES_AHEAD
        ahead = min(_FILES_AHEAD, max(1, _BYTES_AHEAD // max(usual, 1)))
        while len(self._coming) < ahead and (key := next(self._upcoming, None)) is not None:
            self._start(key)

    def _start(self, key: str) -> None:
        future: Future[AvroFile] = Future()
        self._coming[key] = future
        threading.Thread(target=self._bring, args=(key, future), name="spool", daemon=True).start()

    def _bring(self, key: str, future: Future[AvroFile]) -> None:
        try:
            path = self._bucket.fetch(key, self._folder)
            try:
                future.set_result(AvroFile.open(path))
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        except BaseException as error:
            future.set_exception(error)
