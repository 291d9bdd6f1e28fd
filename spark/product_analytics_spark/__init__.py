"""Heap, Pendo and Customer.io as Spark data sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_kit.cdk.lazy_import import import_lazily

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

import_lazily()  # before a connector's modules: every Python worker of Spark imports this package first


def register(spark: SparkSession) -> None:
    """Makes the formats `heap`, `pendo` and `customerio` known to a session.

    A format whose connector is not installed is left out. Raises a ConnectorError, before anything is registered, where
    Spark or pyarrow are too old.
    """
    from product_analytics_spark.requirements import require_usable

    require_usable(spark)
    from product_analytics_spark.heap.source import HeapDataSource

    spark.dataSource.register(HeapDataSource)
