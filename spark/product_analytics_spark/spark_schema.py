"""Schemas of Spark and of Arrow, with every Spark from 4.0 on."""

from __future__ import annotations

from inspect import signature
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType
from source_kit.errors import config_error

#: Spark 4.3 asks for the time zone of instants; 4.0 has UTC by itself (read in the sources of 4.3.0 and 4.0.5).
_UTC: dict[str, Any] = {"timezone": "UTC"} if "timezone" in signature(to_arrow_schema).parameters else {}


def spark_schema(schema: pa.Schema) -> StructType:
    """The schema that Spark gets for these columns. An instant without a zone is `timestamp_ntz`."""
    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def arrow_schema(schema: StructType) -> pa.Schema:
    """The schema that Spark expects of record batches.

    Raises a config_error that names a column whose type Arrow does not have.
    """
    fields = []
    for field in schema:
        try:
            fields.append(to_arrow_schema(StructType([field]), **_UTC).field(0))
        except PySparkException:
            raise config_error(
                f"Column {field.name} cannot be read as {field.dataType.simpleString()}: declare another type in the "
                "given schema, such as string."
            ) from None
    return pa.schema(fields)
