"""Columns of Spark from the connector's schemas, and values that do not fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import source_heap
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from product_analytics_spark.columns import arrow_type
from product_analytics_spark.heap import dumps_table
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.heap.reading import OWN_COLUMNS, require_served, table_columns
from product_analytics_spark.spark_schema import arrow_schema, spark_schema
from pyspark.sql.types import BinaryType, StructType, YearMonthIntervalType
from simulators.heap.avro_files import Column, encode
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import BucketServer
from source_heap.avro import native_decoder
from source_heap.avro.arrow import BATCH_ROWS, CHANGES, POSITION, arrow_batches
from source_heap.avro.file import AvroFile
from source_heap.avro.schema import INSTANT
from source_heap.avro.values import Projection
from source_heap.streams.dumps import HeapDumps
from source_kit.json_schema import ANYTHING

INSTANTS, LOCAL = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
CONFIG = HeapLoad.of({"bucket": "heap-acme", "table": "users"}).config


@pytest.mark.parametrize(
    ("schema", "wanted", "in_sql"),
    [
        ({"type": ["null", "integer"]}, pa.int64(), "bigint"),
        ({"type": "number"}, pa.float64(), "double"),
        ({"type": ["boolean", "null"]}, pa.bool_(), "boolean"),
        ({"type": ["null", "string"]}, pa.string(), "string"),
        ({"type": ["null", "string"], "format": "date"}, pa.date32(), "date"),
        (INSTANT, INSTANTS, "timestamp"),
        ({**INSTANT, "airbyte_type": "timestamp_without_timezone"}, LOCAL, "timestamp_ntz"),
        ({"type": ["null", "object"], "properties": {}}, pa.string(), "string"),
        ({"type": ["null", "array"]}, pa.string(), "string"),
        (ANYTHING, pa.string(), "string"),
        ({"type": ["null"]}, pa.string(), "string"),
        ({}, pa.string(), "string"),
    ],
)
def test_a_column_has_one_type_in_arrow_and_in_spark(schema: Any, wanted: pa.DataType, in_sql: str) -> None:
    assert arrow_type(schema) == wanted
    spark = spark_schema(pa.schema([("x", wanted)]))
    assert spark["x"].dataType.simpleString() == in_sql
    assert arrow_schema(spark) == pa.schema([("x", wanted)])


def test_the_dumps_have_the_columns_of_the_catalog() -> None:
    schema = json.loads((Path(source_heap.__file__).parent / "schemas" / f"{HeapDumps.name}.json").read_text())
    assert {name: arrow_type(one) for name, one in schema["properties"].items()} == dumps_table.COLUMNS


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (pa.field("user_id", pa.int32()), "Column user_id of table users cannot be read as the type"),
        (pa.field("user_id", pa.int64(), nullable=False), "Column user_id of table users may be null"),
        (pa.field("joindate", pa.int64()), "Column joindate of table users cannot be read as the type"),
        (pa.field("_heap_dump_id", pa.string()), "Column _heap_dump_id of table users cannot be read as the type"),
    ],
)
def test_a_given_schema_that_cannot_be_served_is_refused_with_the_columns_name(field: pa.Field, sentence: str) -> None:
    require_served(CONFIG, "users", pa.schema([("joindate", INSTANTS), *OWN_COLUMNS.items()]))
    with pytest.raises(AirbyteTracedException) as refused:
        require_served(CONFIG, "users", pa.schema([("email", pa.string()), field]))
    assert str(refused.value.message).startswith(sentence)


def test_a_type_that_arrow_does_not_have_is_refused_with_the_columns_name() -> None:
    with pytest.raises(AirbyteTracedException, match="Column months cannot be read as interval year to month"):
        arrow_schema(StructType().add("raw", BinaryType()).add("months", YearMonthIntervalType()))


@pytest.fixture(params=["compiled", "fastavro"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled module, and as where it is not installed."""
    if request.param == "fastavro":
        monkeypatch.setattr(native_decoder, "MISSING", "the test does without it")


def rows_of(
    folder: Path, avro: Any, values: Sequence[Any], target: str, wanted: pa.DataType
) -> tuple[list[Any], list[Any]]:
    """The values of a column `x` of a file by Arrow, and the changes of the rows."""
    path = folder / "file.avro"
    path.write_bytes(encode([Column("x", avro, plain=isinstance(avro, list))], [{"x": value} for value in values]))
    schema = pa.schema([("x", wanted), *OWN_COLUMNS.items()])
    constants = {"_heap_dump_id": 7, "_heap_generation": 6, "_heap_file": "f"}
    projection = Projection({"x": target}, constants, normalize_times=True)
    table = pa.Table.from_batches(arrow_batches(AvroFile.open(path), projection, schema, 2**32), schema)
    assert table[POSITION].to_pylist() == [*range(2**32, 2**32 + len(values))]
    assert table.select(list(constants)).to_pylist() == [constants] * len(values)
    return table["x"].to_pylist(), table[CHANGES].to_pylist()


def local(text: str) -> datetime:
    """A time without a zone."""
    return datetime.fromisoformat(text)


NULLED = [{"field": "x", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL_MICROS = {"type": "long", "logicalType": "local-timestamp-micros"}
EARLY, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


@pytest.mark.usefixtures("_decoder")
@pytest.mark.parametrize(
    ("avro", "target", "wanted", "pairs"),
    [
        ("long", "integer", pa.int64(), {2**63 - 1: 2**63 - 1, -(2**63): -(2**63), 2**53 + 1: 2**53 + 1}),
        ("double", "number", pa.float64(), {5e-324: 5e-324, 1e300: 1e300, -0.5: -0.5, float("nan"): NULLED}),
        ("boolean", "boolean", pa.bool_(), {True: True, False: False}),
        ("string", "string", pa.string(), {'\0\n"\\ é𝄞': '\0\n"\\ é𝄞', '{"a":1}': '{"a":1}', "": ""}),
        ("string", "integer", pa.int64(), {"12": 12, "1.5": NULLED, str(2**63): NULLED}),
        ("string", "string", pa.date32(), {"2024-02-29": date(2024, 2, 29), "2024-02-30": NULLED, "": NULLED}),
        ("string", "string", LOCAL, {"2024-05-01T01:02:03.5": local("2024-05-01T01:02:03.5"), "x": NULLED}),
        ("string", "time", INSTANTS, {"1899-12-31 23:59:59": datetime(1899, 12, 31, 23, 59, 59, tzinfo=UTC)}),
        ({"type": "int", "logicalType": "date"}, "string", pa.date32(), {date(1, 1, 1): date(1, 1, 1)}),
        (MILLIS, "time", INSTANTS, {EARLY: EARLY, LAST: LAST}),
        (LOCAL_MICROS, "string", LOCAL, {local("1582-10-04T01"): local("1582-10-04T01")}),
        (["null", "long", "string"], "string", pa.string(), {5: "5", "five": "five"}),
    ],
)
def test_a_value_is_exact_or_null_with_a_change(
    avro: Any, target: str, wanted: pa.DataType, pairs: Mapping[Any, Any], tmp_path: Path
) -> None:
    values, changes = rows_of(tmp_path, avro, list(pairs), target, wanted)
    assert list(zip(values, changes, strict=True)) == [
        (None, NULLED) if expected is NULLED else (expected, None) for expected in pairs.values()
    ]


@pytest.mark.usefixtures("_decoder")
def test_nested_values_are_json_text(tmp_path: Path) -> None:
    kind = {"type": "map", "values": ["long", "double", {"type": "array", "items": "string"}]}
    value = {"a": 2**53 + 1, "b": 0.5, "c": ["x", "é"]}
    values, changes = rows_of(tmp_path, kind, [value], "string", pa.string())
    assert [json.loads(text) for text in values] == [value]
    assert changes == [None]


def test_rows_come_in_batches_of_some_thousands(tmp_path: Path) -> None:
    path = tmp_path / "file.avro"
    path.write_bytes(encode([Column("x", "long")], ({"x": number} for number in range(3 * BATCH_ROWS))))
    schema = pa.schema([("x", pa.int64()), ("y", pa.string()), *OWN_COLUMNS.items()])
    batches = list(arrow_batches(AvroFile.open(path), Projection({"x": "integer", "y": "string"}, {}), schema, 0))
    assert sum(batch.num_rows for batch in batches) == 3 * BATCH_ROWS
    assert len(batches) <= 3
    assert pa.Table.from_batches(batches)["y"].null_count == 3 * BATCH_ROWS  # a column that the file lacks


def test_the_columns_of_a_table_need_no_manifest_before_its_last_full_dump() -> None:
    with BucketServer() as server:
        for dump_id in range(1, 61):
            key = f"sync_{dump_id}/users/0_a.avro"
            name = "user_id" if dump_id == 40 else f"old_{dump_id}" if dump_id < 40 else "email"
            entry = {"name": "users", "incremental": dump_id != 40, "files": [key], "columns": [name]}
            data = json.dumps({"dump_id": dump_id, "tables": [entry]}).encode()
            server.put(
                [StoredObject(key, encode([Column(name)], [])), StoredObject(f"manifests/sync_{dump_id}.json", data)]
            )
        given = {"bucket": server.bucket, "endpoint_url": server.url, "table": "users"}
        keys = {"aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
        config = HeapLoad.of({**given, **keys}).config
        assert table_columns(config, "users").names == ["email", "user_id", *OWN_COLUMNS]
        assert table_columns(config, "users", ("user_id", "_heap_file")).names == ["user_id", *OWN_COLUMNS]
        with pytest.raises(AirbyteTracedException, match="Table users has no column User_id"):
            table_columns(config, "users", ("User_id",))
        read = {request.path for request in server.requests if "/manifests/" in request.path}
        assert not any(f"sync_{dump_id}.json" in path for dump_id in range(1, 20) for path in read)
