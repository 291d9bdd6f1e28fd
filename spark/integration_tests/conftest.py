"""One Spark session for all tests, and buckets that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyspark
import pytest
from product_analytics_spark import register
from simulators.heap.s3_server import BucketServer
from test_kit.spark import local_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEYS = {"aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}


def pytest_configure(config: pytest.Config) -> None:
    """Spark 4.0 leaves the socket open through which the driver collects rows (tried with 4.0.5; 4.3.0 does not)."""
    if pyspark.__version__.startswith("4.0."):
        config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A session of two cores that tries a failed task up to four times, in another time zone than UTC."""
    session = local_session(
        "local[2,4]", {"spark.sql.session.timeZone": "America/New_York", "spark.sql.shuffle.partitions": "2"}
    )
    session.sparkContext.setLogLevel("ERROR")
    register(session)
    yield session
    session.stop()


class Bucket:
    """A bucket on loopback, and how the format `heap` reads it."""

    def __init__(self, server: BucketServer) -> None:
        self.server = server

    def options(self, **more: str) -> dict[str, str]:
        """The options of a load."""
        return {"bucket": self.server.bucket, "endpoint_url": self.server.url, **KEYS, **more}

    def read(self, spark: SparkSession, table: str, **options: str) -> DataFrame:
        """A table."""
        return spark.read.format("heap").options(**self.options(**options)).load(table)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket."""
    with BucketServer() as server:
        yield Bucket(server)
