"""Heap, Pendo and Customer.io as Spark data sources."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from source_kit.cdk.lazy_import import import_lazily

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

import_lazily()  # before a connector's modules: every Python worker of Spark imports this package first


def register(spark: SparkSession) -> None:
    """Makes the formats `heap`, `pendo` and `customerio` known to a session.

    A format whose connector is not installed is left out. The session's setting `spark.sql.redaction.options.regex` is
    extended, so that Spark shows no key in its web interface and event log. Raises a ConnectorError, before anything is
    registered, where Spark or pyarrow is too old.
    """
    from product_analytics_spark.requirements import require_usable
    from product_analytics_spark.secrets import hide_options

    require_usable(spark)
    hide_options(spark)
    from product_analytics_spark.bridge import source as bridge
    from product_analytics_spark.heap.source import HeapDataSource

    spark.dataSource.register(HeapDataSource)
    # here, because no Python worker of Spark knows this setting
    speculation = str(spark.conf.get("spark.speculation", "false")).lower() == "true"
    if find_spec("source_pendo"):
        spark.dataSource.register(bridge.PendoUnderSpeculation if speculation else bridge.PendoDataSource)
    if find_spec("source_customerio"):
        spark.dataSource.register(bridge.CustomerioUnderSpeculation if speculation else bridge.CustomerioDataSource)
