"""`spark.read.format("heap")` and `spark.readStream.format("heap")`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType
from source_heap.config import HeapConfig

from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import FilePart, plan, read, table_columns


class HeapDataSource(DataSource):
    """The rows of one table of Heap's dumps."""

    @classmethod
    def name(cls) -> str:
        return "heap"

    def schema(self) -> StructType:
        load = HeapLoad.of(self.options)
        return from_arrow_schema(table_columns(load.config, load.table), prefer_timestamp_ntz=True)

    def reader(self, schema: StructType) -> HeapReader:
        load = HeapLoad.of(self.options)
        return HeapReader(load.config, load.table, to_arrow_schema(schema, timezone="UTC"))


class Files(InputPartition):
    """The files of one task."""

    def __init__(self, parts: Sequence[FilePart]) -> None:
        self.parts = parts


class HeapReader(DataSourceReader):
    """A batch read: a snapshot of the table's live rows."""

    def __init__(self, config: HeapConfig, table: str, schema: pa.Schema) -> None:
        self._config, self._table, self._schema = config, table, schema

    def partitions(self) -> Sequence[InputPartition]:
        return [Files([part]) for part in plan(self._config, self._table)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        parts = partition.parts if isinstance(partition, Files) else []  # Spark makes one of no partitions
        yield from read(self._config, self._table, self._schema, parts)
