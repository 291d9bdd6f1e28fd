"""`spark.read.format("heap")` and `spark.readStream.format("heap")`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from product_analytics_spark.errors import in_sentences
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import plan, read, require_served, table_columns
from product_analytics_spark.heap.stream import Files, HeapStreamReader, parts_of
from product_analytics_spark.spark_schema import arrow_schema, spark_schema


@in_sentences
class HeapDataSource(DataSource):
    """The rows of one table of Heap's dumps."""

    @classmethod
    def name(cls) -> str:
        return "heap"

    def schema(self) -> StructType:
        load = HeapLoad.of(self.options)
        return spark_schema(table_columns(load.config, load.table, load.columns))

    def reader(self, schema: StructType) -> HeapReader:
        return HeapReader(HeapLoad.of(self.options), arrow_schema(schema))

    def streamReader(self, schema: StructType) -> HeapStreamReader:
        return HeapStreamReader(HeapLoad.of(self.options), arrow_schema(schema))


@in_sentences
class HeapReader(DataSourceReader):
    """A batch read: a snapshot of the table's live rows.

    `schema` has the types that Spark expects of the batches. Raises a config_error for one that cannot be served.
    """

    def __init__(self, load: HeapLoad, schema: pa.Schema) -> None:
        require_served(load.config, load.table, schema)
        self._load, self._schema = load, schema

    def partitions(self) -> Sequence[InputPartition]:
        return Files.divided(plan(self._load.config, self._load.table), self._load.files_per_partition)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        yield from read(self._load.config, self._load.table, self._schema, parts_of(partition))
