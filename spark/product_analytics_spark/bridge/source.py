"""`spark.read.format("pendo")`, `spark.read.format("customerio")`, and the same with `readStream`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType
from source_kit.errors import config_error
from source_kit.source import Source

from product_analytics_spark.bridge.reading import ChosenStream, columns, plan, read, require_served
from product_analytics_spark.bridge.stream import RoundsReader, Slices, part_of
from product_analytics_spark.errors import in_sentences
from product_analytics_spark.options import LoadOptions, load_options
from product_analytics_spark.spark_schema import arrow_schema, spark_schema

_CONCURRENCY, _SLICES = "concurrency", "maxSlicesPerTrigger"
#: Tasks at the same time that no vendor would let pass
_MOST_READERS = 20
_MOST_SLICES = 1_000_000


@in_sentences
class BridgeDataSource(DataSource):
    """The records of one stream of a connector that reads over HTTP."""

    #: Tasks that read at the same time, unless the option `concurrency` says otherwise or `num_workers` is smaller
    readers: ClassVar[int]
    #: Why this session cannot use the format
    refused: ClassVar[str | None] = None

    @classmethod
    @abstractmethod
    def connector(cls) -> type[Source[Any]]:
        """The connector, imported only where its format is used."""

    def schema(self) -> StructType:
        self._readers(), self._slices()  # a wrong one is refused before anything is requested
        return spark_schema(columns(self._chosen()))

    def reader(self, schema: StructType) -> BridgeReader:
        return BridgeReader(self._chosen(), self._readers(), arrow_schema(schema))

    def streamReader(self, schema: StructType) -> RoundsReader:
        return RoundsReader(self._chosen(), self._readers(), self._slices(), arrow_schema(schema))

    def _chosen(self) -> ChosenStream:
        if self.refused is not None:
            raise config_error(self.refused)
        options = self._split()
        source = self.connector()
        return ChosenStream(source, source.options.parse(options.connector), options.table)

    def _readers(self) -> int:
        default = min(self.readers, self.connector()().workers(self._chosen().config))
        return self._own(_CONCURRENCY, default, _MOST_READERS) or default

    def _slices(self) -> int | None:
        return self._own(_SLICES, None, _MOST_SLICES)

    def _own(self, name: str, default: int | None, most: int) -> int | None:
        """A whole number from 1 on. Raises a config_error for anything else."""
        text = self._split().own.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise config_error(f"Option {name} must be a whole number from 1 to {most}.")
        return int(text)

    def _split(self) -> LoadOptions:
        return load_options(self.options, self.connector().options.declared(), (_CONCURRENCY, _SLICES))


class PendoDataSource(BridgeDataSource):
    """The streams of Pendo. Pendo answers a few requests of a key at the same time."""

    readers = 4

    @classmethod
    def name(cls) -> str:
        return "pendo"

    @classmethod
    def connector(cls) -> type[Source[Any]]:
        from source_pendo import SourcePendo

        return SourcePendo


class CustomerioDataSource(BridgeDataSource):
    """The streams of Customer.io. Its limit is a number of requests a second, which one task uses up alone."""

    readers = 1

    @classmethod
    def name(cls) -> str:
        return "customerio"

    @classmethod
    def connector(cls) -> type[Source[Any]]:
        from source_customerio import SourceCustomerio

        return SourceCustomerio


_SPECULATION = (
    "The formats pendo and customerio cannot be used with spark.speculation=true: Spark would start a slow task a "
    "second time, and both would send requests, more than the vendor's limits allow. Set spark.speculation to false."
)


class PendoUnderSpeculation(PendoDataSource):
    """What is registered in a session that runs tasks twice."""

    refused = _SPECULATION


class CustomerioUnderSpeculation(CustomerioDataSource):
    """What is registered in a session that runs tasks twice."""

    refused = _SPECULATION


@in_sentences
class BridgeReader(DataSourceReader):
    """A batch read: all rows that the vendor has now."""

    def __init__(self, chosen: ChosenStream, readers: int, schema: pa.Schema) -> None:
        require_served(schema)
        self._chosen, self._readers, self._schema = chosen, readers, schema

    def partitions(self) -> Sequence[InputPartition]:
        return [Slices(part) for part in plan(self._chosen, self._readers)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        if (part := part_of(partition)) is not None:
            yield from read(self._chosen, self._schema, part)
