"""The compiled module fills Arrow's columns with what the way over JSON gives, value by value."""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import product_analytics_spark  # noqa: F401 - the CDK of a cluster is slim
import pyarrow as pa
import pytest
from simulators.heap.avro_files import Codec, container_block, container_header, long_bytes
from simulators.heap.scenarios import SCENARIOS, scenario
from source_heap.added_columns import OWN_COLUMNS
from source_heap.avro import native_arrow, native_decoder, reference, skim
from source_heap.avro.arrow import arrow_batches
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.file import AvroFile
from source_heap.avro.native_arrow import native_batches, native_columns
from source_heap.avro.schema import columns_of
from source_heap.avro.times import SESSION_TIME, TIME_COLUMNS
from source_heap.avro.values import Projection, target_type

sys.path.insert(0, str(Path(__file__).parents[2] / "source-heap" / "unit_tests"))

from product_analytics_spark.columns import arrow_type
from random_tables import Table, random_table

pytestmark = pytest.mark.skipif(
    native_decoder.MISSING is not None, reason=f"the compiled module is missing: {native_decoder.MISSING}"
)
INSTANT = pa.timestamp("us", tz="UTC")
#: By the type of a column: what it asks the decoder for
TARGETS: Mapping[pa.DataType, str] = {
    pa.int64(): "integer",
    pa.float64(): "number",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.date32(): "string",
    INSTANT: "time",
    pa.timestamp("us"): "string",
}
CHANGES = pa.list_(pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())]))
CONSTANTS = {"_heap_dump_id": 5, "_heap_generation": 4, "_heap_file": 'sync_5/ü"/part.avro'}
SINCE = "2024-05-01T00:00:00.000000Z"
POSITION = 7 << 32
#: Of a scenario with more files, so many are read: they are alike
MOST_FILES = 40
MARKER = b"marker of 16 byt"
Batches = Callable[[AvroFile, Projection, pa.Schema, int], Iterator[pa.RecordBatch]]


def with_own(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    own = {"_heap_dump_id": pa.int64(), "_heap_generation": pa.int64(), "_heap_file": pa.string()}
    own |= {"_heap_position": pa.int64(), "_heap_changes": CHANGES}
    return pa.schema([*columns.items(), *own.items()])


def projection(columns: Mapping[str, pa.DataType], since: str | None = None, normalize: bool = True) -> Projection:
    targets = {name: target_type(name, TARGETS[kind], normalize) for name, kind in columns.items()}
    return Projection(targets, CONSTANTS, since, normalize)


def opened(folder: Path, data: bytes) -> AvroFile:
    path = folder / "file.avro"
    path.write_bytes(data)
    return AvroFile.open(path)


def file_of(folder: Path, schema: Mapping[str, Any], *blocks: tuple[int, bytes], codec: Codec = Codec.NULL) -> AvroFile:
    """A file of (count, rows) blocks."""
    parts = [container_block(*one, codec, MARKER) for one in blocks]
    return opened(folder, container_header(schema, codec, MARKER) + b"".join(parts))


def record(**columns: Any) -> dict[str, Any]:
    """The schema of rows with these columns."""
    fields = [{"name": name, "type": kind} for name, kind in columns.items()]
    return {"type": "record", "name": "r", "fields": fields}


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return long_bytes(len(data)) + data


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Instants as numbers: Python's end with the year 9999, and text with an offset may be beyond."""
    for at, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            batch = batch.set_column(at, field.name, batch.column(at).cast(pa.int64()))
    return batch


def read(batches: Batches, avro: AvroFile, wanted: Projection, schema: pa.Schema) -> list[Any] | str:
    """The rows and the misfits, or the fault."""
    wanted = replace(wanted, misfits=type(wanted.misfits)())
    found: list[Any] = []
    try:
        for batch in batches(avro, wanted, schema, POSITION):
            batch.validate(full=True)
            assert batch.schema == schema
            assert batch.num_rows
            found += plain(batch).to_pylist()
    except BrokenFile as error:
        return f"{type(error).__name__}: {error}"
    return [*found, dict(wanted.misfits)]


def assert_same(avro: AvroFile, columns: Mapping[str, pa.DataType], **asked: Any) -> list[Any] | str:
    """Both ways give the same. Returns it."""
    schema, wanted = with_own(columns), projection(columns, **asked)
    got, expected = (read(way, avro, wanted, schema) for way in (native_batches, arrow_batches))
    assert repr(got) == repr(expected)  # so that 1 is not 1.0, and -0.0 not 0.0
    return got


def is_native(avro: AvroFile, columns: Mapping[str, pa.DataType]) -> bool:
    return native_columns(avro.header.schema, projection(columns), with_own(columns)) is not None


# ---------------------------------------------------------------------------------------------------------- equality


def declared_columns(avro: AvroFile, normalize: bool) -> dict[str, pa.DataType]:
    found = columns_of(avro.header.schema, normalize)
    return {name: arrow_type(schema) for name, schema in found.items() if name not in OWN_COLUMNS}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_files_of_a_scenario_are_read_alike(name: str, tmp_path: Path) -> None:
    """With all columns, a few of them and one that the file lacks, with `since`, with times as they are."""
    found = [item.data for step in scenario(name) for item in step.put if item.key.endswith(".avro")]
    whole = [data for data in found[:: len(found) // MOST_FILES + 1] if is_whole(tmp_path, data)]
    for data in whole:
        avro = opened(tmp_path, data)
        columns = declared_columns(avro, True)
        assert_same(avro, columns)
        assert_same(avro, declared_columns(avro, False), normalize=False)
        assert_same(avro, {**dict(list(columns.items())[::3]), "no_such": pa.int64()}, since=SINCE)
    assert whole


def is_whole(folder: Path, data: bytes) -> bool:
    try:
        opened(folder, data)
    except BrokenFile:
        return False
    return True


def columns_for(rng: random.Random, table: Table, normalize: bool) -> dict[str, pa.DataType]:
    """A type for most columns of a table, whatever their types in the file are."""
    columns = {}
    for name in (field["name"] for field in table.schema["fields"]):
        kinds = list(TARGETS)
        if normalize and name in TIME_COLUMNS:
            kinds = [INSTANT, pa.string()]
        elif not normalize and (name in TIME_COLUMNS or name == SESSION_TIME):
            kinds.remove(INSTANT)
        if name not in OWN_COLUMNS and rng.random() < 0.85:
            columns[name] = rng.choice(kinds)
    return columns


def assert_random_tables_are_same(seeds: range, folder: Path, tables: int = 60, rows: int = 6) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        for _ in range(tables):
            table, normalize = random_table(rng, rows), rng.random() < 0.7
            avro = file_of(folder, table.schema, *[(len(table.rows), b"".join(table.rows))] * bool(table.rows))
            since = SINCE if rng.random() < 0.3 else None
            assert_same(avro, columns_for(rng, table, normalize), since=since, normalize=normalize)


@pytest.mark.parametrize("seed", range(3))
def test_random_tables_are_read_alike(seed: int, tmp_path: Path) -> None:
    """Every type of the file as every type of the schema, odd values, broken rows."""
    assert_random_tables_are_same(range(seed, seed + 1), tmp_path)


@pytest.mark.soak
def test_many_random_tables_are_read_alike(tmp_path: Path) -> None:
    assert_random_tables_are_same(range(1_000, 1_200), tmp_path)


def test_rows_in_many_small_batches_keep_their_order_and_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third row is unusual, some are filtered out; batches end within blocks."""
    monkeypatch.setattr(native_arrow, "BATCH_ROWS", 7)
    times = ["2024-05-02 00:00:00", "2024-04-02 00:00:00", "1714608000.5", "1000.5", "2024-05-03T01:02:03.000004Z"]
    rows = [long_bytes(n) + text(f"row {n}") + text(times[n % 5]) for n in range(100)]
    schema, columns = record(id="long", name="string", time="string"), {"name": pa.string(), "id": pa.int64()}
    avro = file_of(tmp_path, schema, *[(20, b"".join(rows[at : at + 20])) for at in range(0, 100, 20)])
    assert is_native(avro, columns)
    *found, _ = assert_same(avro, columns, since=SINCE)
    kept = [n for n in range(100) if n % 5 in (0, 2, 4)]
    assert [(row["id"], row["name"]) for row in found] == [(n, f"row {n}") for n in kept]
    assert [row["_heap_position"] for row in found] == [POSITION + place for place in range(60)]
    assert found[0]["_heap_file"] == CONSTANTS["_heap_file"]


# ------------------------------------------------------------------------------------------------- values, one by one


@pytest.mark.parametrize(
    ("kind", "arrow", "value", "expected"),
    [
        ("long", pa.int64(), long_bytes(-(2**63)), -(2**63)),
        ("string", pa.int64(), text("-0042"), -42),
        ("long", pa.float64(), long_bytes(2**63 - 1), 2.0**63),
        ("double", pa.float64(), b"\1" + bytes(7), 5e-324),
        ("boolean", pa.bool_(), b"\1", True),
        ("string", pa.string(), text('a"\\\n\x00\x1f\u2028\U0001f600'), 'a"\\\n\x00\x1f\u2028\U0001f600'),
        ("long", pa.string(), long_bytes(-12), "-12"),
        ("double", pa.string(), b"\0\0\0\0\0\0\xf8\x3f", "1.5"),
        ("boolean", pa.string(), b"\0", "false"),
        ({"type": "enum", "name": "e", "symbols": ["A", 'B"ü']}, pa.string(), long_bytes(1), 'B"ü'),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, pa.string(), text(b"\xff"), "-0.01"),
    ],
)
def test_a_value_is_native_and_what_it_should_be(
    kind: Any, arrow: pa.DataType, value: bytes, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the way over JSON, and next to a null."""
    avro = file_of(tmp_path, record(a=["null", kind], nothing="null"), (2, b"\2" + value + b"\0"))
    columns = {"a": arrow, "nothing": pa.string()}
    assert_same(avro, columns)
    monkeypatch.setattr(native_arrow, "ReferenceDecoder", None)
    first, second, misfits = read(native_batches, avro, projection(columns), with_own(columns))
    assert [first["a"], first["nothing"], second["a"], misfits] == [expected, None, None, {}]
    assert first["_heap_changes"] is None


@pytest.mark.parametrize("unit", ["millis", "micros", "nanos"])
def test_instants_and_days_of_the_first_and_the_last_year_are_native(unit: str, tmp_path: Path) -> None:
    """And one beyond is null, with an entry in `_heap_changes`."""
    scale = {"millis": 1_000, "micros": 1_000_000, "nanos": 1_000_000_000}[unit]
    second = [-62_135_596_800, 253_402_300_799] if unit != "nanos" else [-(2**33), 2**33]
    counts = [second[0] * scale, second[1] * scale, 0, -1]
    beyond = [second[0] * scale - 1, (second[1] + 1) * scale] if unit != "nanos" else []
    kinds = {"a": f"timestamp-{unit}", "b": f"local-timestamp-{unit}"}
    schema = record(**{name: {"type": "long", "logicalType": kind} for name, kind in kinds.items()})
    rows = [long_bytes(count) * 2 for count in (*counts, *beyond)]
    columns = {"a": INSTANT, "b": pa.timestamp("us")}
    *found, _ = assert_same(file_of(tmp_path, schema, (len(rows), b"".join(rows))), columns)
    assert [bool(row["_heap_changes"]) for row in found] == [False] * 4 + [True] * len(beyond)
    days = record(a={"type": "int", "logicalType": "date"})
    rows = [long_bytes(day) for day in (-719_162, 2_932_896, 0, -719_163, 2_932_897)]
    *found, _ = assert_same(file_of(tmp_path, days, (5, b"".join(rows))), {"a": pa.date32()})
    assert [bool(row["_heap_changes"]) for row in found] == [False] * 3 + [True] * 2


# ------------------------------------------------------------------------------------------------- limits and faults


def test_tables_meet_the_same_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    refused = 0
    for _ in range(150):
        row, line = rng.randint(1, 100), rng.randint(1, 600)
        for module in (native_arrow, native_decoder, skim):
            monkeypatch.setattr(module, "ROW_BYTES", row)
        for module in (native_arrow, native_decoder, reference):
            monkeypatch.setattr(module, "LINE_BYTES", line)
        table = random_table(rng, mutate=False)
        avro = file_of(tmp_path, table.schema, *[(len(table.rows), b"".join(table.rows))] * bool(table.rows))
        refused += isinstance(assert_same(avro, columns_for(rng, table, True)), str)
    assert 30 < refused < 120


def test_of_two_faults_the_first_one_counts(tmp_path: Path) -> None:
    """A row that is too long as JSON, and behind it one that ends too early."""
    rows = text(b"\x01" * 2_000_000) + b"\xff"
    fault = assert_same(file_of(tmp_path, record(a="string"), (2, rows)), {"a": pa.string()})
    assert fault == f"{BeyondLimit.__name__}: a row is longer than 10 MiB as JSON"


def test_a_schema_with_long_symbols_is_read_in_small_batches(tmp_path: Path) -> None:
    """A row of a few bytes becomes a megabyte of text: memory goes with the batch, not with the file."""
    kind = {"type": "enum", "name": "e", "symbols": ["x" * 100_000, "y"]}
    rows = bytes(10) * 400
    schema = record(**{f"c{n}": kind if n == 0 else "e" for n in range(10)})
    columns = {f"c{n}": pa.string() for n in range(10)}
    avro = file_of(tmp_path, schema, (400, rows))
    assert is_native(avro, columns)
    sizes = [batch.nbytes for batch in native_batches(avro, projection(columns), with_own(columns), 0)]
    assert sum(sizes) > 400_000_000
    assert max(sizes) < 6_000_000


@pytest.mark.parametrize(("characters", "most"), [(800_000, 30_000_000), (2_000_000, 60_000_000)])
def test_a_huge_text_takes_its_own_memory_a_few_times(characters: int, most: int, tmp_path: Path) -> None:
    """The module writes the shorter one; the longer one may be too long a line, so it is the reference decoder's."""
    rows = text("ü" * characters) + b"\2", text("x") + b"\4"
    avro = file_of(tmp_path, record(a="string", b="long"), *[(1, row) for row in rows * 4])
    columns = {"a": pa.string(), "b": pa.int64()}
    assert_same(avro, columns)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    count = held = 0
    for batch in native_batches(avro, projection(columns), with_own(columns), 0):
        count, held = count + batch.num_rows, max(held, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 8
    assert peak + held < most


# ------------------------------------------------------------------------------------------------ which way is taken


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": "long"},
        {"type": "map", "values": "string"},
        ["null", {"type": "map", "values": "long"}],
    ],
)
def test_a_file_with_a_nested_column_takes_the_way_over_json(kind: Any, tmp_path: Path) -> None:
    avro = file_of(tmp_path, record(a=kind, b="long"), (1, b"\0\2"))
    columns = {"a": pa.string(), "b": pa.int64()}
    assert not is_native(avro, columns)
    assert_same(avro, columns)


def test_a_type_that_the_module_does_not_write_takes_the_way_over_json(tmp_path: Path) -> None:
    avro = file_of(tmp_path, record(a="string", b="long"), (1, text("x") + b"\2"))
    schema = with_own({"a": pa.large_string(), "b": pa.int64()})
    wanted = projection({"a": pa.string(), "b": pa.int64()})
    assert native_columns(avro.header.schema, wanted, schema) is None
    assert read(native_batches, avro, wanted, schema) == read(arrow_batches, avro, wanted, schema)


def test_without_the_compiled_module_rows_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    avro = file_of(tmp_path, record(a="string", b="long"), (2, text("x") + b"\2" + text(b"\xff") + b"\4"))
    columns = {"a": pa.string(), "b": pa.int64()}
    expected = assert_same(avro, columns)
    monkeypatch.setattr(native_decoder, "MISSING", "for comparison")
    assert read(native_batches, avro, projection(columns), with_own(columns)) == expected
