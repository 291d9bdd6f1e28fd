"""A session that cannot use the package is refused in one sentence."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from product_analytics_spark import register
from product_analytics_spark.errors import ConnectorError
from product_analytics_spark.requirements import OLDEST_PYARROW, require_usable


class SparkSession:
    """A session of Spark 3.5."""

    version = "3.5.9"


def test_spark_3_5_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything imports what Spark 3.5 does not have."""
    monkeypatch.setitem(sys.modules, "pyspark.sql.datasource", None)
    with pytest.raises(ConnectorError) as caught:
        register(SparkSession())  # type: ignore[arg-type]
    assert str(caught.value) == (
        "product_analytics_spark needs a session of Spark 4.0 or later, or of Databricks Runtime 15.4 LTS or later; "
        "this is SparkSession of Spark 3.5.9, which has no Python data sources. Use a newer Spark, or run the "
        "connector itself."
    )


@pytest.mark.parametrize(("found", "named"), [(None, "missing"), ("17.0.0", "17.0.0")])
def test_a_missing_or_old_pyarrow_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, found: str | None, named: str
) -> None:
    module = None if found is None else ModuleType("pyarrow")
    if module is not None:
        module.__version__ = found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyarrow", module)
    with pytest.raises(ConnectorError) as caught:
        require_usable(SimpleNamespace(dataSource=None))
    assert str(caught.value) == (
        f"product_analytics_spark needs pyarrow {OLDEST_PYARROW} or later, and here it is {named}: install "
        f'"pyarrow>={OLDEST_PYARROW}" for the driver and for every executor.'
    )


def test_a_session_with_data_sources_is_accepted_whatever_it_calls_itself() -> None:
    """Databricks Runtime 15.4 calls itself Spark 3.5."""
    require_usable(SimpleNamespace(dataSource=None, version="3.5.0"))
