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
from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject
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

#: What is read with the oldest Spark, too: all types, a new generation, many encodings of times
OLDEST = {"every_avro_type", "resync_in_the_middle", "time_encodings"}
#: What takes as long as ten others: for `make soak`
LONG = {"three_thousand_files"}


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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.oldest] * (name in OLDEST) + [pytest.mark.soak] * (name in LONG))
        for name in sorted(SCENARIOS)
    ],
)
def test_a_batch_read_is_a_full_refresh_and_holds_the_truth(name: str, spark: SparkSession, bucket: Bucket) -> None:
    story = scenario(name, bucket=bucket.server.bucket)
    for step in story:
        bucket.server.apply(step)
        if step.fails:  # the core alone, for there may be many; Spark reads the end of the story
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


@pytest.mark.parametrize("name", ["time_encodings", "every_avro_type"])
@pytest.mark.parametrize("options", [{"timestamp_mode": "raw"}, {"start_date": "2024-05-01T12:00:00Z"}], ids=str)
def test_the_connectors_options_do_what_they_do_there(name: str, options: Row, bucket: Bucket) -> None:
    for step in scenario(name, bucket=bucket.server.bucket):
        bucket.server.apply(step)
    catalog, connector = full_refresh(bucket, **options)
    for table in connector.records.keys() - {"_heap_dumps"}:
        types = {column: sql_type(schema) for column, schema in catalog[table].items()}
        found = in_order(by_the_core(bucket, table, **options))
        assert as_json(found, types, nested(catalog[table])) == as_json(connector.records[table], types)


@pytest.mark.oldest
def test_columns_are_chosen_and_a_given_schema_casts(spark: SparkSession, bucket: Bucket) -> None:
    for step in scenario("column_changes_type", bucket=bucket.server.bucket):
        bucket.server.apply(step)
    chosen = bucket.read(spark, "sessions", columns="flag,event_id")
    assert chosen.columns == ["flag", "event_id", "_heap_dump_id", "_heap_generation", "_heap_file", *MORE]
    load = spark.read.format("heap").options(**bucket.options())
    given = load.schema(
        "event_id string, flag boolean, time string, gone double, _heap_changes " + MORE["_heap_changes"]
    )
    rows = given.load("sessions").toArrow().to_pylist()
    for row, known in zip(by_event(rows), by_event(chosen.toArrow().to_pylist()), strict=True):
        is_flag = known["flag"] in ("true", "false")
        assert (row["event_id"], row["gone"]) == (str(known["event_id"]), None)
        assert row["flag"] is (known["flag"] == "true" if is_flag else None)
        lost = [] if is_flag or known["flag"] is None else ["flag"]
        assert [one["field"] for one in row["_heap_changes"] or ()] == lost
        assert row["time"] is None or row["time"].endswith("Z")
    with pytest.raises(Exception, match="Column event_id of table sessions cannot be read as the type") as refused:
        load.schema("event_id int").load("sessions").toArrow()
    assert_last(refused.value, "Its type can be bigint, double, boolean, string, date, timestamp, timestamp_ntz.")


def by_event(rows: Iterable[Row]) -> list[Row]:
    """Rows in an order that both types of an id have."""
    return sorted(rows, key=lambda row: str(row["event_id"]))


def assert_last(error: BaseException, sentence: str) -> None:
    """The sentence is what the error ends with, but for Spark's own code."""
    assert str(error).partition("SQLSTATE")[0].rstrip().splitlines()[-1].endswith(sentence)


def test_a_lost_file_fails_the_read_or_is_skipped(spark: SparkSession, bucket: Bucket) -> None:
    first, second, *_ = scenario("lost_file", bucket=bucket.server.bucket)
    bucket.server.apply(first)
    bucket.server.apply(second)
    [table] = second.fails
    with pytest.raises(Exception, match="does not exist in the bucket"):
        bucket.read(spark, table).toArrow()
    found = in_order(bucket.read(spark, table, on_missing_file="skip").toArrow())
    there = {row["_heap_file"] for row in found}
    whole = [row for row in truth(second.live[table], {}) if row["_heap_file"] in there]
    assert bag(as_json(found, {})) == bag(whole)
    assert len(there) == len({row.file for row in second.live[table].rows}) - 1


@pytest.mark.oldest
def test_a_table_that_is_not_there_is_refused_and_an_empty_one_has_no_rows(spark: SparkSession, bucket: Bucket) -> None:
    bucket.server.apply(scenario("event_metadata_table", bucket=bucket.server.bucket)[0])
    with pytest.raises(Exception, match="contains the table nothing") as refused:
        bucket.read(spark, "nothing")
    assert_last(refused.value, "Heap's tables are in the column table_name of _heap_dumps.")
    assert bucket.read(spark, "_event_metadata").toArrow().num_rows == 0


def test_files_are_read_by_as_many_tasks_as_asked_for(spark: SparkSession, bucket: Bucket) -> None:
    columns = [Column("event_id", "long"), Column("time")]
    keys = [f"sync_1/clicks/part-{number:05d}-a-c000.avro" for number in range(8)]
    for number, key in enumerate(keys):
        rows = [{"event_id": 1250 * number + one, "time": "2024-05-01 01:02:03"} for one in range(1250)]
        bucket.server.put([StoredObject(key, encode(columns, rows))])
    entry = {"name": "clicks", "incremental": False, "files": keys, "columns": ["event_id", "time"]}
    manifest = json.dumps({"dump_id": 1, "tables": [entry]}).encode()
    bucket.server.put([StoredObject("manifests/sync_1.json", manifest)])
    frame = bucket.read(spark, "clicks", files_per_partition="3")
    found = frame.selectExpr("event_id", "_heap_position", "spark_partition_id() task").toArrow().to_pylist()
    assert sorted((row["_heap_position"], row["event_id"], row["task"]) for row in found) == [
        (number // 1250 * 2**32 + number % 1250, number, number // 1250 // 3) for number in range(10_000)
    ]


def test_columns_that_differ_by_case_are_two(spark: SparkSession, bucket: Bucket) -> None:
    [step] = scenario("columns_differing_by_case", bucket=bucket.server.bucket)
    bucket.server.apply(step)
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        found = bucket.read(spark, "sessions").select("productid", "productId").toArrow().to_pylist()
    finally:
        spark.conf.unset("spark.sql.caseSensitive")
    whole = [{name: row.get(name) for name in ("productid", "productId")} for row in truth(step.live["sessions"], {})]
    assert bag(found) == bag(whole)
    assert any(row["productid"] != row["productId"] for row in found)
