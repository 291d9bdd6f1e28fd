"""Spark of this machine, for tests, the demo and the benchmark. It needs the environment of Spark (make spark-env)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def local_session(master: str, settings: Mapping[str, str] | None = None) -> SparkSession:
    """A session that listens on loopback only. In a `with` block it ends with the block."""
    from pyspark.sql import SparkSession

    # the workers are to find the packages of this environment
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    builder = SparkSession.builder.master(master).appName("product-analytics-spark")
    for name, value in {**_LOCAL, **(settings or {})}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
