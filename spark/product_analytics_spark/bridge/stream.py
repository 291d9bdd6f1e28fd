"""`spark.readStream.format("pendo")` and `.format("customerio")`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from source_kit.errors import config_error

from product_analytics_spark.bridge import rounds
from product_analytics_spark.bridge.reading import Chain, ChosenStream, read, require_served
from product_analytics_spark.bridge.rounds import Offset
from product_analytics_spark.errors import in_sentences
from product_analytics_spark.limits import SupportsTriggerAvailableNow, read_limit
from product_analytics_spark.tasks import has_nothing_to_read

#: Least seconds between the beginnings of two rounds of a running query. Every round reads the lookback again, and a
#: query without a trigger would begin one after the other.
ROUND_SECONDS = 3600.0


class Slices(InputPartition):
    """The slices of one task."""

    def __init__(self, part: Chain) -> None:
        self.part = part


def part_of(partition: Any) -> Chain | None:
    """What a task reads; None if that is nothing."""
    if has_nothing_to_read(partition):
        return None
    part: Chain = partition.part
    return part


@in_sentences
class RoundsReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads in rounds (see `rounds`). `most` is how many slices a trigger reads; None for a whole round.

    Raises a config_error for a stream that has no rounds, and for a schema that cannot be served.
    """

    def __init__(self, chosen: ChosenStream, readers: int, most: int | None, schema: pa.Schema) -> None:
        require_served(schema)
        rounds.require_rounds(chosen)
        self._chosen, self._readers, self._most, self._schema = chosen, readers, most, schema
        self._began: float | None = None  # the last round, by `time.monotonic`
        self._only: datetime | None = None  # the time of the one round that `availableNow` reads
        self._offset: Offset | None = None

    def initialOffset(self) -> dict[str, Any]:
        return rounds.BEGINNING

    def getDefaultReadLimit(self) -> Any:
        """Called by Spark 4.2 and later. Spark has no limit of slices: they count as files here."""
        return read_limit(self._most)

    def prepareForTriggerAvailableNow(self) -> None:
        """Called by Spark 4.2 and later: the query reads one round, and one that was begun before."""
        self._only = rounds.present(self._chosen)

    def latestOffset(self, start: dict[str, Any] | None = None, limit: Any = None) -> dict[str, Any]:
        """Spark 4.0 and 4.1 pass neither `start` nor a limit: then it is the offset behind a whole round."""
        if start is None:
            return self._without_start()
        if rounds.is_complete(start):
            if not self._may_begin(start):
                return start
            start = rounds.begun(start, self._only or rounds.present(self._chosen))
        return rounds.latest(self._chosen, start, getattr(limit, "max_files", None))

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        return [Slices(part) for part in rounds.parts(self._chosen, self._readers, start, end)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        if (part := part_of(partition)) is not None:
            yield from read(self._chosen, self._schema, part)

    def _may_begin(self, start: Offset) -> bool:
        """Whether a new round may begin behind a whole one."""
        if self._only is not None:
            return start["read_to"] != self._only.isoformat()
        if self._began is not None and time.monotonic() - self._began < ROUND_SECONDS:
            return False
        self._began = time.monotonic()
        return True

    def _without_start(self) -> Offset:
        if self._most is not None:
            raise config_error(
                "Option maxSlicesPerTrigger needs Spark 4.2 or later. Leave it out, and one trigger reads all."
            )
        if self._offset is None or self._may_begin(self._offset):
            self._began = time.monotonic()
            begun = rounds.begun(rounds.BEGINNING, rounds.present(self._chosen))
            self._offset = rounds.latest(self._chosen, begun, None)
        return self._offset
