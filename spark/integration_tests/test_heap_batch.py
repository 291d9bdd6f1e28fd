"""Batch reads of Heap's tables: they hold what a full refresh of the connector holds, value by value."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import plan, read, table_columns
from simulators.heap.replay import LiveTable
from simulators.heap.scenarios import SCENARIOS, Step, scenario
from source_heap import SourceHeap
from source_kit.cli import launch
from test_kit.catalogs import configured_stream
from test_kit.command import run_here
from test_kit.messages import Output, Row

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from conftest import Bucket

#: The columns that only Spark has, with their types
MORE = {"_heap_position": "bigint", "_heap_changes": "array<struct<field:string,change:string,reason:string>>"}

#: Of longer stories only the end and the troubles are read: their steps add one dump each
_SHORT = 4


def full_refresh(bucket: Bucket, **options: str) -> tuple[dict[str, Row], Output]:
    """The connector's catalog, as the properties of each stream, and a full refresh of all streams."""

    def main(argv: Any) -> int:
        return launch(SourceHeap, argv)

    given = bucket.options(**options)
    keys = {name: given.pop(name) for name in list(given) if name.startswith("aws_")}
    config = {**given, "credentials": {"auth_type": "keys", **keys}}
    streams = run_here(main, "discover", config=config).succeeded().streams
    catalog = {"streams": [configured_stream(stream, incremental=False) for stream in streams]}
    properties = {stream["name"]: stream["json_schema"]["properties"] for stream in streams}
    return properties, run_here(main, "read", config=config, catalog=catalog).succeeded()


def sql_type(schema: Row) -> str:
    """The type that Spark has for a column of the catalog."""
    kinds = [kind for kind in schema["type"] if kind != "null"]
    match kinds, schema.get("format"):
        case ["string"], "date-time":
            return "timestamp_ntz" if schema["airbyte_type"] == "timestamp_without_timezone" else "timestamp"
        case ["string"], "date":
            return "date"
    return {"integer": "bigint", "number": "double", "boolean": "boolean"}.get("".join(kinds), "string")


def nested(properties: Mapping[str, Row]) -> set[str]:
    """The columns that are JSON text in Spark."""
    return {name for name, schema in properties.items() if {"object", "array"} & {*schema["type"]}}


def as_json(rows: Iterable[Row], types: Mapping[str, str], json_texts: Container[str] = ()) -> list[Row]:
    """Rows without nulls, with values as the connector writes them into columns of these types of SQL.

    A number of a double is one, and 3.0 becomes 3: JSON may have it as either. The types are compared on their own.
    """
    return [
        {
            name: json.loads(value) if name in json_texts else _value(value, types.get(name))
            for name, value in row.items()
            if value is not None
        }
        for row in rows
    ]


def _value(value: Any, kind: str | None) -> Any:
    match value:
        case datetime():
            zone = "Z" if value.tzinfo else ""
            clock = value.astimezone(UTC) if value.tzinfo else value
            return clock.replace(tzinfo=None).isoformat(timespec="microseconds") + zone
        case date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case bool() | int() if kind == "string":  # the column is text because other files have texts
            return json.dumps(value)
        case float() | int() if kind == "double":
            return int(float(value)) if float(value).is_integer() else value
    return value


def bag(rows: Iterable[Row]) -> list[str]:
    """Rows so that two lists of them can be compared without order; 1 and true are different."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def truth(live: LiveTable, types: Mapping[str, str]) -> list[Row]:
    """The rows of a perfect warehouse, with the dump and the file of each."""
    rows = (
        {
            **{name: _as_stored(name, value) for name, value in values.items()},
            "_heap_dump_id": row.dump_id,
            "_heap_generation": live.generation,
            "_heap_file": row.file,
        }
        for values, row in zip(live.emitted(), live.rows, strict=True)
    )
    return as_json(rows, types)


def _as_stored(name: str, value: Any) -> Any:
    """A file has four bytes of a float."""
    return struct.unpack("f", struct.pack("f", value))[0] if name == "a_float" else value


def in_order(rows: pa.Table) -> list[Row]:
    """The rows in the order of dumps, files and rows, without the columns in `MORE`, after a look at these."""
    found = sorted(rows.to_pylist(), key=lambda row: (row["_heap_dump_id"], row["_heap_position"]))
    numbers: Counter[tuple[int, str]] = Counter()
    for row in found:
        file = row["_heap_dump_id"], row["_heap_file"]
        assert row["_heap_position"] % 2**32 == numbers[file]
        numbers[file] += 1
        for name in MORE:
            del row[name]
    return found


def by_the_core(bucket: Bucket, table: str, **options: str) -> pa.Table:
    """The rows of a table by `plan` and `read`."""
    config = HeapLoad.of(bucket.options(table=table, **options)).config
    schema = table_columns(config, table)
    return pa.Table.from_batches(read(config, table, schema, plan(config, table)), schema)


def assert_step(bucket: Bucket, step: Step) -> None:
    """The core reads every whole table as a perfect warehouse has it, and fails for every other one."""
    for table, live in step.live.items():
        if table in step.fails:
            with pytest.raises(AirbyteTracedException):
                by_the_core(bucket, table)
        else:
            found = by_the_core(bucket, table)
            types = {field.name: str(field.type) for field in found.schema}  # text and doubles are called as in SQL
            assert bag(as_json(in_order(found), types)) == bag(truth(live, types)), (step.note, table)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_batch_read_is_a_full_refresh_and_holds_the_truth(name: str, spark: SparkSession, bucket: Bucket) -> None:
    story = scenario(name, bucket=bucket.server.bucket)
    for step in story:
        bucket.server.apply(step)
        if step is not story[-1] and (step.fails or len(story) <= _SHORT):
            assert_step(bucket, step)
    catalog, connector = full_refresh(bucket)
    for table, live in story[-1].live.items():
        frame = bucket.read(spark, table, files_per_partition="50")
        types = {column: sql_type(schema) for column, schema in catalog[table].items()}
        assert dict(frame.dtypes) == types | MORE
        rows = frame.toArrow()
        changes = [row for row in rows["_heap_changes"].to_pylist() if row is not None]
        assert changes == [change for _, change in connector.changes[table]], table
        found = as_json(in_order(rows), types, nested(catalog[table]))
        assert found == as_json(connector.records[table], types), table
        assert bag(found) == bag(truth(live, types)), table


def test_the_dumps_are_a_table_too(spark: SparkSession, bucket: Bucket) -> None:
    for step in scenario("table_absent_from_the_newest", bucket=bucket.server.bucket):
        bucket.server.apply(step)
    catalog, connector = full_refresh(bucket)
    frame = bucket.read(spark, "_heap_dumps")
    types = {column: sql_type(schema) for column, schema in catalog["_heap_dumps"].items()}
    assert dict(frame.dtypes) == types
    rows = as_json(frame.toArrow().to_pylist(), types, nested(catalog["_heap_dumps"]))
    assert bag(rows) == bag(as_json(connector.records["_heap_dumps"], types))
