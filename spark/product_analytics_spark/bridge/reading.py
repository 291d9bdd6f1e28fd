"""Plans the reading of a stream of Pendo or Customer.io and reads its parts, without Spark: any scheduler can run them.

chosen = ChosenStream(SourcePendo, Config.parse(options), "page_events")
schema = columns(chosen)
for part in plan(chosen, readers=4):  # at the same time, each once
    for batch in read(chosen, schema, part): ...
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import utc_now
from source_kit.errors import config_error, transient_error
from source_kit.http.retry import CHECK_RETRY_POLICY
from source_kit.http.stream import BatchHttpStream
from source_kit.options import Options
from source_kit.output import rows_of
from source_kit.source import Source
from source_kit.stream import BatchStream, Checkpoint

from product_analytics_spark.bridge.values import EXTRA, reader_of, record_batch
from product_analytics_spark.columns import arrow_type
from product_analytics_spark.secrets import mask_secrets

#: Rows of a batch at most: a batch is in memory three times, as dicts, as columns and on its way to Spark
_BATCH_ROWS = 8192
#: Seconds for the request that tries the key before a read
_PROBE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class ChosenStream:
    """One stream of a connector, and the options to read it with. It can be pickled."""

    source: type[Source[Any]]
    config: Options
    name: str

    def opened(self, readers: int = 1) -> BatchStream:
        """A fresh stream, for one of so many readers. Raises a config_error for a name that no stream has."""
        mask_secrets(self.config)
        source = self.source()
        config = source.divided(self.config, readers)
        streams = {stream.name: stream for stream in source.keyed(config, source.all_streams(config))}
        found = streams.get(self.name)
        if not isinstance(found, BatchStream):
            raise config_error(f"There is no stream {self.name}. The streams are: {', '.join(sorted(streams))}.")
        return found


@dataclass(frozen=True, slots=True)
class Chain:
    """Slices that one reader reads, one after another. None for a stream that only one instance can read as a whole.

    `readers` is the number of chains that are read at the same time. The rest is for the stream's `start`. With
    `counted` the state of a later read relies on what the stream says of the ends of these slices.
    """

    slices: tuple[Any, ...] | None
    readers: int
    sync_start: datetime
    state: Mapping[str, Any] = field(default_factory=dict)
    counted: bool = False


def columns(chosen: ChosenStream) -> pa.Schema:
    """The columns of a stream: those of the connector's catalog, then `_extra` (see `values.EXTRA`)."""
    with closing(chosen.opened()) as stream:
        properties = stream.as_airbyte_stream().json_schema["properties"]
    return pa.schema([*((name, arrow_type(schema)) for name, schema in properties.items()), (EXTRA, pa.string())])


def require_served(schema: pa.Schema) -> None:
    """Raises a config_error for a column of a given schema whose type no value can have, or which may not be null."""
    for column in schema:
        reader_of(column)
        if not column.nullable:
            raise config_error(
                f"The column {column.name} may be null, as every column. Leave NOT NULL out of the given schema."
            )


def plan(chosen: ChosenStream, readers: int) -> list[Chain]:
    """The chains that hold all rows of a stream, at most `readers` of them.

    Raises a config_error where the vendor refuses the key, or its limits do not allow so many readers.
    """
    probed(chosen)
    now = utc_now()
    with closing(chosen.opened(readers)) as stream:
        if stream.whole:
            return [Chain(None, 1, now)]
        stream.start({}, True, now)
        return chains(list(stream.slices()), readers, Chain((), 1, now))


def chains(slices: Sequence[Any], readers: int, like: Chain) -> list[Chain]:
    """Slices, dealt out: each chain has every k-th one, so that long and short ones mix."""
    count = min(readers, len(slices))
    return [
        Chain(tuple(slices[number::count]), count, like.sync_start, like.state, like.counted) for number in range(count)
    ]


def read(chosen: ChosenStream, schema: pa.Schema, part: Chain) -> Iterator[pa.RecordBatch]:
    """The rows of a chain with the columns of a schema, which may lack some and have others.

    A slice that fails ends the reading with its error, also where a sync would go on with the next one.
    """
    time.sleep(chosen.source.quiet_seconds)  # whoever sent the requests before this task may have used all up
    with closing(chosen.opened(part.readers)) as stream:
        stream.start(part.state, not part.state, part.sync_start)
        for slice_ in stream.slices() if part.slices is None else part.slices:
            reached = False
            for item in stream.emitted_items(slice_):
                reached = reached or isinstance(item, Checkpoint)
                rows = rows_of(item)
                for first in range(0, len(rows), _BATCH_ROWS):
                    yield record_batch(rows[first : first + _BATCH_ROWS], schema)
            if part.counted and not reached and stream.end_of(slice_) is not None:
                raise transient_error(
                    f"Rows of {chosen.name} may be missing in {slice_}: the vendor's answers do not show that they are "
                    "complete. Nothing was skipped: run the query again, and report it if it happens again."
                )
        stream.finish()


def probed(chosen: ChosenStream, patient: bool = False) -> tuple[BatchStream, AirbyteTracedException | None]:
    """Tries the key with the stream's smallest request. Returns the stream that sent it, and its error.

    Raises an error that the user must correct. Reading may do better with another one, since it tries longer; so does
    this with `patient`.
    """
    stream = chosen.opened()
    if not isinstance(stream, BatchHttpStream):
        return stream, None
    time.sleep(chosen.source.quiet_seconds)
    with closing(stream):
        policy = stream.client.retry_policy if patient else CHECK_RETRY_POLICY
        error = stream.probe_error(policy, _PROBE_TIMEOUT)
    if error is not None and error.failure_type is FailureType.config_error:
        raise error
    return stream, error
