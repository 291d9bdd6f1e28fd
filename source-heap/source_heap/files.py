"""The files of a table: fetched, checked, decoded; and what is said where that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_heap.avro.decoder import Piece
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.pool import DecoderPool, ProcessLost
from source_heap.avro.values import RowRules
from source_heap.bucket import Bucket
from source_heap.s3_rules import Missing
from source_heap.spool import Spool

logger = logging.getLogger("airbyte")


class TableFiles:
    """Reads files of one table, one after the other, while the next ones are on their way."""

    def __init__(self, table: str, bucket: Bucket, pool: DecoderPool, skip_missing: bool) -> None:
        self._table = table
        self._bucket = bucket
        self._pool = pool
        self._skip_missing = skip_missing
        self._spool: Spool | None = None

    def prepare(self) -> None:
        """Says that large files are coming, so that the decoding processes are ready when they are there."""
        self._pool.prepare()

    def expect(self, keys: Iterable[str]) -> None:
        """Names the files that `rows` will be asked for, in their order, so that they can be fetched ahead."""
        self.close()
        self._spool = Spool(self._bucket, keys)

    def rows(self, key: str, rules: RowRules, skip_missing: bool | None = None) -> Iterator[Piece]:
        """The rows of a file, whole or an error; of a missing file none, where that is allowed.

        `skip_missing` overrides what is allowed otherwise.
        """
        if self._spool is None:
            self._spool = Spool(self._bucket)
        try:
            yield from self._decoded(self._spool, key, rules)
        except Missing as error:
            if not (self._skip_missing if skip_missing is None else skip_missing):
                raise
            logger.warning(f"{self._table}: {key} does not exist and is skipped ({error.internal_message}).")

    def _decoded(self, spool: Spool, key: str, rules: RowRules) -> Iterator[Piece]:
        try:
            with spool.file(key) as file:
                yield from self._pool.decode(file, rules)
        except BeyondLimit as error:
            raise AirbyteTracedException(
                message=(
                    f"The file {key} of table {self._table} is more than this connector reads: {error}. The state is "
                    "kept before it; leave the table out of the connection, or ask Heap to send it anew."
                ),
                internal_message=f"{key}: {error}",
                failure_type=FailureType.system_error,
            ) from error
        except BrokenFile as error:
            raise AirbyteTracedException(
                message=(
                    f"The file {key} of table {self._table} is not a whole Avro file: {error}. The state is kept "
                    "before it; ask Heap to deliver the dump again, or to send the table anew."
                ),
                internal_message=f"{key}: {error}",
                failure_type=FailureType.system_error,
            ) from error
        except ProcessLost as error:
            raise AirbyteTracedException(
                message=(
                    f"A process that decoded {key} was ended by the system ({error}), most likely for lack of memory. "
                    "Give the connector more memory, or set num_workers to 1. The next sync continues from the state."
                ),
                internal_message=f"{key}: {error}",
                failure_type=FailureType.transient_error,
            ) from error

    def close(self) -> None:
        """Removes what is still on disk."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
