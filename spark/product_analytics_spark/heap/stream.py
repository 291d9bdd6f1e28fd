"""`spark.readStream.format("heap")`: a table's dumps as they come, from a checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from source_heap.bucket import HeapBucket
from source_heap.dumps import Dumps
from source_heap.streams.dumps import NAME as DUMPS
from source_kit.errors import config_error

from product_analytics_spark.errors import in_sentences
from product_analytics_spark.heap.offsets import Batch, Offset, advance, batch, require_whole
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import FilePart, read, require_served
from product_analytics_spark.limits import SupportsTriggerAvailableNow, read_limit
from product_analytics_spark.tasks import has_nothing_to_read

if TYPE_CHECKING:
    from pyspark.sql.streaming.datasource import ReadLimit

logger = logging.getLogger("airbyte")

#: How long a listing of the bucket serves. Without an interval in its trigger, Spark asks for the newest offset a
#: hundred times a second (its pollingDelay is 10 ms), and S3 charges for each list.
_LISTING_SECONDS = 5.0


class Files(InputPartition):
    """The files of one task."""

    def __init__(self, parts: Sequence[FilePart]) -> None:
        self.parts = parts

    @classmethod
    def divided(cls, parts: Sequence[FilePart], size: int) -> list[Files]:
        """Tasks of so many files each."""
        return [cls(parts[at : at + size]) for at in range(0, len(parts), size)]


def parts_of(partition: Any) -> Sequence[FilePart]:
    """What a task reads."""
    if has_nothing_to_read(partition):
        return ()
    parts: Sequence[FilePart] = partition.parts
    return parts


@in_sentences
class HeapStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """The rows of a table's dumps, once each, with their generation.

    A batch ends behind a file. The offset is an `Offset`. Spark 4.0 and 4.1 support no limit: they ask once for the end
    of a query with `availableNow`, so a batch takes all that is there; a part of it would be the end of the query.
    """

    def __init__(self, load: HeapLoad, schema: pa.Schema) -> None:
        if load.table == DUMPS:
            raise config_error(
                f"{DUMPS} cannot be read as a stream. Read it with spark.read, for instance for each batch of a stream."
            )
        require_served(load.config, load.table, schema)
        self._load, self._table, self._schema = load, load.table, schema
        self._bucket: HeapBucket | None = None  # one client, and one assumed role, for all listings; not to be pickled
        self._dumps: Dumps | None = None
        self._listed_at = 0.0
        self._pinned = False
        self._last: Mapping[str, Any] | None = None  # the offset that this reader saw last
        self._planned: Mapping[str, Any] | None = None  # the offset that this reader gave last
        self._ended: Mapping[str, Any] | None = None  # the offset behind all that the listing has
        self._left_out: set[str] = set()

    def initialOffset(self) -> dict[str, Any]:
        """Before the first file."""
        self._last = Offset().to_json()
        return self._last

    def prepareForTriggerAvailableNow(self) -> None:
        """The query ends where the bucket ends now, however many dumps come while it runs."""
        self._newest_dumps()
        self._pinned = True

    def getDefaultReadLimit(self) -> ReadLimit:
        """The option `maxFilesPerTrigger`. Spark 4.2 and later call this."""
        return read_limit(self._load.max_files)

    def latestOffset(self, start: Mapping[str, Any] | None = None, limit: ReadLimit | None = None) -> dict[str, Any]:
        """The end of the next batch; `start` if nothing is new.

        Without `start`, the batch goes on from the last offset that this reader saw: Spark 4.0 and 4.1 plan an empty
        batch at the offset of the checkpoint when a query starts. If it saw none (a new query with `availableNow`,
        tried with 4.0.5), it ends behind all live dumps, and what its start has read of them is no part of it.
        """
        if start is None and self._load.max_files and self._planned is None:
            logger.warning("maxFilesPerTrigger has no effect before Spark 4.2: a batch takes all that is new.")
        begin, dumps = start or self._last, self._newest_dumps()
        if begin is not None and begin == self._ended:
            return dict(begin)
        before = Offset.from_json(begin) if begin else Offset()
        with _explained():
            end = advance(self._load.config, self._table, dumps, before, getattr(limit, "max_files", None))
        self._ended = begin if end is before else None
        self._planned = self._last = (end if begin else replace(end, files=None)).to_json()
        return self._planned

    def partitions(self, start: Mapping[str, Any], end: Mapping[str, Any]) -> Sequence[InputPartition]:
        """The files between two offsets. After a restart `end` may be an offset of the query that was interrupted."""
        self._last = dict(end)
        first, last = Offset.from_json(start), Offset.from_json(end)
        if first.state == last.state:
            return []
        with _explained():
            found = batch(self._table, self._dumps or self._newest_dumps(), first, last, end != self._planned)
        require_whole(self._table, last, found, self._load.config.skip_missing_files)
        self._warn_of_columns(found)
        return Files.divided(found.parts, self._load.files_per_partition)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of one partition."""
        yield from read(self._load.config, self._table, self._schema, parts_of(partition))

    def commit(self, end: Mapping[str, Any]) -> None:
        """Nothing is kept for a batch."""

    def stop(self) -> None:
        """Nothing is open between two batches."""

    def _newest_dumps(self) -> Dumps:
        if self._dumps is None or (not self._pinned and time.monotonic() - self._listed_at > _LISTING_SECONDS):
            self._bucket = self._bucket or HeapBucket(self._load.config)
            self._dumps = Dumps(self._bucket, frozenset({self._table}))
            self._dumps.listed()
            self._listed_at, self._ended = time.monotonic(), None
        return self._dumps

    def _warn_of_columns(self, found: Batch) -> None:
        """The query has the columns that were there at its start: later ones are left out until it is restarted."""
        if self._load.columns:
            return
        if new := {*found.columns} - {*self._schema.names, *self._left_out}:
            self._left_out |= new
            names = ", ".join(sorted(new)[:20])
            logger.warning(
                f"Table {self._table} has columns that this query does not have and leaves out: {names}. If they are "
                "new, stop the query and start it again to read them from then on."
            )


@contextmanager
def _explained() -> Iterator[None]:
    """Says how to reset a stream in Spark, where an error of the connector advises it."""
    try:
        yield
    except AirbyteTracedException as error:
        if "eset the stream" not in (error.message or ""):
            raise
        message = f"{error.message} To reset it in Spark, start the query with a new checkpoint."
        raise config_error(message, error.internal_message) from error
