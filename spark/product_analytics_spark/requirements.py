"""What a session needs for Python data sources that yield Arrow batches."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from product_analytics_spark.errors import ConnectorError

#: As in pyproject.toml: a package that was installed without its dependencies gets a sentence, too
OLDEST_PYARROW = 18


def require_usable(session: Any) -> None:
    """Raises a ConnectorError if the session or this Python cannot read data sources of this package.

    Call it before anything imports `pyspark.sql.datasource`, which Spark 3.5 does not have. Databricks Runtime 15.4
    calls itself Spark 3.5 and has Python data sources (documented), so the version alone decides nothing.
    """
    if not hasattr(session, "dataSource"):
        version = getattr(session, "version", "of an unknown version")
        raise ConnectorError(
            "product_analytics_spark needs a session of Spark 4.0 or later, or of Databricks Runtime 15.4 LTS or "
            f"later; this is {type(session).__name__} of Spark {version}, which has no Python data sources. Use a "
            "newer Spark, or run the connector itself."
        )
    try:
        found = str(import_module("pyarrow").__version__)
    except ImportError:
        found = "missing"
    if not found.partition(".")[0].isdecimal() or int(found.partition(".")[0]) < OLDEST_PYARROW:
        raise ConnectorError(
            f"product_analytics_spark needs pyarrow {OLDEST_PYARROW} or later, and here it is {found}: install "
            f'"pyarrow>={OLDEST_PYARROW}" for the driver and for every executor.'
        )
