"""Brings the files of a stream to disk, the next one while the present one is decoded."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from concurrent.futures import Future
from pathlib import Path

from source_heap.bucket import Bucket


class Spool:
    """A folder of its own for files on their way; it vanishes with the object, at the latest with the process."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._folder = Path(tempfile.mkdtemp(prefix="source-heap-"))
        self._coming: dict[str, Future[Path]] = {}
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def announce(self, key: str | None) -> None:
        """Starts to bring the file, if there is one."""
        if key is not None and key not in self._coming:
            future: Future[Path] = Future()
            self._coming[key] = future
            threading.Thread(target=self._bring, args=(key, future), name="spool", daemon=True).start()

    def _bring(self, key: str, future: Future[Path]) -> None:
        try:
            future.set_result(self._bucket.fetch(key, self._folder))
        except BaseException as error:
            future.set_exception(error)

    def take(self, key: str) -> Path:
        """The file on disk, whole. The caller deletes it. Raises what fetching it raised."""
        self.announce(key)
        return self._coming.pop(key).result()
