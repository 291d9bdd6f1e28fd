"""Fetches and decodes the files of one table, and turns faults of a file into errors for the user."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_heap.avro.decoder import Chunk
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.pool import DecoderPool, ProcessLost
from source_heap.avro.values import Projection
from source_heap.bucket import Bucket
from source_heap.s3_rules import Missing
from source_heap.spool import Spool

logger = logging.getLogger("airbyte")


class TableFiles:
    """Reads the files of one table one by one, while the next ones are downloaded."""

    def __init__(self, table: str, bucket: Bucket, pool: DecoderPool, skip_missing: bool) -> None:
        self._table = table
        self._bucket = bucket
        self._pool = pool
        self._skip_missing = skip_missing
        self._spool: Spool | None = None

    def prepare(self) -> None:
        """Starts the decoding processes early, because large files are expected."""
        self._pool.prepare()

    def expect(self, keys: Iterable[str]) -> None:
        """Names the files that `rows` will read, in order, so that they are fetched ahead."""
        self.close()
        self._spool = Spool(self._bucket, keys)

    def rows(self, key: str, projection: Projection, skip_missing: bool | None = None) -> Iterator[Chunk]:
        """The rows of a file, whole or an error; no rows if the file is missing and may be skipped.

        `skip_missing` overrides the table's setting.
        """
        if self._spool is None:
            self._spool = Spool(self._bucket)
        try:
            yield from self._decoded(self._spool, key, projection)
        except Missing as error:
            if not (self._skip_missing if skip_missing is None else skip_missing):
                raise
            logger.warning(f"{self._table}: {key} does not exist and is skipped ({error.internal_message}).")

    def _decoded(self, spool: Spool, key: str, projection: Projection) -> Iterator[Chunk]:
        kind = FailureType.system_error
        try:
            with spool.file(key) as file:
                yield from self._pool.decode(file, projection)
            return
        except BeyondLimit as error:
            cause: Exception = error
            message = (
                f"The file {key} of table {self._table} exceeds a limit of this connector: {error}. The state stays "
                "before it; remove the table from the connection, or ask Heap to export it again."
            )
        except BrokenFile as error:
            cause = error
            message = (
                f"The file {key} of table {self._table} is not a complete Avro file: {error}. The state stays before "
                "it; ask Heap to deliver the dump again, or to export the table again."
            )
        except ProcessLost as error:
            cause, kind = error, FailureType.transient_error
            message = (
                f"The system ended a process that decoded {key} ({error}), most likely because memory ran out. Give "
                "the connector more memory, or set num_workers to 1. The next sync continues from the state."
            )
        raise AirbyteTracedException(message=message, internal_message=f"{key}: {cause}", failure_type=kind) from cause

    def close(self) -> None:
        """Removes what is still on disk."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
