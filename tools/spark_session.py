"""A Spark of this machine, for the demo and the benchmark: it listens on loopback only, and is quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """A session with the formats of product-analytics-spark, which ends with the block."""
    from product_analytics_spark import register
    from pyspark.sql import SparkSession

    # the workers are to find the packages of this environment
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    builder = SparkSession.builder.master(master).appName("product-analytics-spark")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        register(session)
        yield session
    finally:
        session.stop()
