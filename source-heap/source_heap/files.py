"""Downloads the files of one table ahead, decodes them, and turns faults of a file into errors for the user."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from source_kit.errors import system_error
from source_kit.s3.bucket import Bucket
from source_kit.s3.rules import Missing

from source_heap.avro.chunks import Chunk
from source_heap.avro.faults import BeyondLimit, BrokenFile, OtherFormat
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("airbyte")

#: Most files that are downloaded ahead: a dump may have 10,000 small ones, each a request of its own.
_FILES_AHEAD = 8
#: Bytes that the files ahead should take on disk; large files come one at a time.
_BYTES_AHEAD = 32 * 1024 * 1024

#: A file on disk, and its checked structure
_Found = tuple[IO[bytes], AvroFile]


class TableFiles:
    """Reads the files of one table one by one, while the next ones are downloaded.

    Downloaded files have no names, so they vanish at the latest with the process.
    """

    def __init__(self, table: str, bucket: Bucket, skip_missing: bool) -> None:
        self._table = table
        self._bucket = bucket
        self._skip_missing = skip_missing
        self._coming: dict[str, Future[_Found]] = {}
        weakref.finalize(self, _discard, self._coming)
        self.expect(())

    def expect(self, keys: Iterable[str]) -> None:
        """Names the files that `rows` will read, in order, so that they are fetched ahead."""
        _discard(self._coming)
        self._upcoming = iter(keys)
        self._taken = self._taken_bytes = 0

    def close(self) -> None:
        """Removes what is still on disk."""
        self.expect(())

    def rows(self, key: str, projection: Projection, skip_missing: bool | None = None) -> Iterator[Chunk]:
        """The rows of a file, whole or an error; no rows if the file is missing and may be skipped.

        `skip_missing` overrides the table's setting.
        """
        with self._explained(key, skip_missing), self._file(key) as file:
            yield from file.rows(projection)

    def batches(self, key: str, projection: Projection, schema: pa.Schema, position: int) -> Iterator[pa.RecordBatch]:
        """As `rows`, as Arrow; see `native_batches`."""
        from source_heap.avro.native_arrow import native_batches  # the connector's command starts without it

        with self._explained(key), self._file(key) as file:
            yield from native_batches(file, projection, schema, position)

    @contextmanager
    def _explained(self, key: str, skip_missing: bool | None = None) -> Iterator[None]:
        """Turns faults of the file into errors for the user; ends silently if it is missing and may be skipped."""
        try:
            yield
            return
        except Missing as error:
            if not (self._skip_missing if skip_missing is None else skip_missing):
                raise
            logger.warning(f"{self._table}: {key} does not exist and is skipped ({error.internal_message}).")
            return
        except BeyondLimit as error:
            cause: Exception = error
            message = (
                f"The file {key} of table {self._table} exceeds a limit of this connector: {error}. The state stays "
                "before it; remove the table from the connection, or ask Heap to export it again."
            )
        except OtherFormat as error:
            cause = error
            message = (
                f"The file {key} of table {self._table} is {error.name}, which this release does not read. The state "
                "stays before it; look for a newer release of this connector."
            )
        except BrokenFile as error:
            cause = error
            message = (
                f"The file {key} of table {self._table} is not a complete Avro file: {error}. The state stays before "
                "it; ask Heap to deliver the dump again, or to export the table again."
            )
        raise system_error(message, f"{key}: {cause}") from cause

    @contextmanager
    def _file(self, key: str) -> Iterator[AvroFile]:
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
                # opens a file without a name, each time with a position of its own
                path = Path(f"/proc/{os.getpid()}/fd/{data.fileno()}")
                future.set_result((data, AvroFile.open(path)))
            except BaseException:
                data.close()
                raise
        except BaseException as error:
            future.set_exception(error)


def _discard(coming: dict[str, Future[_Found]]) -> None:
    """Closes the files that were not read; a download that is still running closes when it ends."""
    while coming:
        _, future = coming.popitem()
        future.add_done_callback(_close)


def _close(future: Future[_Found]) -> None:
    if future.exception() is None:
        future.result()[0].close()
