"""The generated decoder equals fastavro, value by value, for every type, order, codec and target type."""

from __future__ import annotations

import errno
import io
import json
import random
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators.heap.avro_files import Codec, Column, UnionOrder, container_block, container_header, encode, long_bytes
from source_heap.avro.container import read_blocks
from source_heap.avro.declared import declared, flat_columns
from source_heap.avro.decoder import CHUNK_BYTES, Chunk, Decoder
from source_heap.avro.fast import TRIAL_ROWS, FastDecoder
from source_heap.avro.faults import BrokenFile
from source_heap.avro.pool import AvroFile, DecoderPool
from source_heap.avro.reference import ReferenceDecoder, projected
from source_heap.avro.values import Projection

EVERYTHING = Projection(None, {})
LONGS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**41, 2**54),
    st.sampled_from([0, -1, 1, 63, 64, -64, -65, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**55, 2**56]),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.text('aä€𝄞"\\\n\x00\x7f\x80\u2028', max_size=70),
    st.integers(60, 70).map(lambda size: "x" * size),
    st.just("long " * 2000),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "long": LONGS,
    "int": st.integers(-(2**31), 2**31 - 1),
    "string": TEXTS,
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "bytes": st.one_of(st.binary(max_size=70), TEXTS.map(str.encode)),
}
SPECIAL: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "enum": ({"type": "enum", "name": "color", "symbols": ["RED", "GREEN", "BLUE"]}, st.sampled_from(["RED", "BLUE"])),
    "fixed": ({"type": "fixed", "name": "four", "size": 4}, st.binary(min_size=4, max_size=4)),
    "null": ("null", st.none()),
}


def avro_file(folder: Path, columns: Sequence[Column], rows: Sequence[dict[str, Any]], **style: Any) -> AvroFile:
    path = folder / "file.avro"
    path.write_bytes(encode(columns, rows, **style))
    return AvroFile.open(path)


def lines_of(chunks: Sequence[Chunk]) -> list[tuple[str, list[Any]]]:
    """Each row's JSON as it is, with its changes."""
    found = []
    for chunk in chunks:
        lines = chunk.lines.decode().split("\n")
        assert lines.pop() == ""
        assert len(lines) == chunk.count
        found += list(zip(lines, chunk.changes or [[]] * len(lines), strict=True))
    return found


def by_fastavro(file: AvroFile, projection: Projection) -> list[tuple[dict[str, Any], list[Any]]]:
    """What fastavro reads from the whole file, in the target types of the projection."""
    with file.path.open("rb") as data:
        rows: list[Any] = list(fastavro.reader(data, handle_unicode_errors="backslashreplace"))
    return [projected(row, {name: projection.target(name) for name in row}, projection.constants) for row in rows]


def exactly(value: Any) -> str:
    """A value as text that tells 1 from 1.0 and 0.0 from -0.0."""
    return repr(value)


def assert_equal(file: AvroFile, projection: Projection = EVERYTHING, *, fast: bool = True) -> None:
    """The file decodes as fastavro reads it: types, values, order of columns, changes."""
    decoder = Decoder(file.header.schema, projection)
    assert decoder.is_fast is fast
    got = lines_of(list(DecoderPool(1).decode(file, projection)))
    assert [(exactly(json.loads(line)), changes) for line, changes in got] == [
        (exactly(row), changes) for row, changes in by_fastavro(file, projection)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("order", list(UnionOrder))
@pytest.mark.parametrize("kind", [*VALUES, *SPECIAL])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_type_in_every_union_order_reads_as_fastavro_reads_it(
    data: st.DataObject, kind: str, order: UnionOrder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    declared, values = SPECIAL.get(kind) or (kind, VALUES.get(kind, st.none()))
    columns = [Column("before", "string"), Column("it", declared, plain=kind == "null"), Column("after", "long")]
    nullable = order is not UnionOrder.PLAIN and kind != "null"
    cells = st.one_of(st.none(), values) if nullable else values
    others = st.none() if order is not UnionOrder.PLAIN else st.just("x")
    rows = [
        {"before": data.draw(others), "it": data.draw(cells), "after": data.draw(LONGS)}
        for _ in range(data.draw(st.integers(0, 12)))
    ]
    assert_equal(avro_file(tmp_path_factory.mktemp("avro"), columns, rows, order=order))


@pytest.mark.parametrize("codec", list(Codec))
def test_every_codec_is_read(codec: Codec, tmp_path: Path) -> None:
    rows = [{"id": index, "text": f"row {index} ü"} for index in range(3000)]
    file = avro_file(tmp_path, [Column("id", "long"), Column("text")], rows, codec=codec, block_bytes=4000)
    assert len(file.spans) > 1
    assert [json.loads(line) for line, _ in lines_of(list(DecoderPool(1).decode(file, EVERYTHING)))] == rows


def visits(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows of which many repeat the columns of the row before, as the pages of a visit do."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    visit: dict[str, Any] = {}
    for index in range(count):
        if rng.random() < 0.4 or not visit:
            visit = {
                "user_id": rng.choice((rng.getrandbits(53), None, 5)),
                "city": rng.choice(("Zürich", "Bern", None)),
                "campaign": rng.choice(("sale", "", None)),
                "logged_in": rng.choice((True, False, None)),
            }
        clock = f"2024-05-0{rng.randint(1, 9)} 12:34:{index % 60:02d}.{rng.randint(0, 999)}"
        time = rng.choice((clock, "garbage", None, "0"))
        rows.append(
            {"event_id": rng.getrandbits(53), **visit, "score": rng.choice((0.0, -0.0, 1.5, None)), "time": time}
        )
    return rows


VISIT = [
    Column("event_id", "long"),
    Column("user_id", "long"),
    Column("city"),
    Column("campaign"),
    Column("logged_in", "boolean"),
    Column("score", "double"),
    Column("time"),
]
TARGETS = {
    "event_id": "integer",
    "user_id": "integer",
    "city": "string",
    "campaign": "string",
    "logged_in": "boolean",
    "score": "number",
    "time": "time",
}


@pytest.mark.slow
@pytest.mark.parametrize("order", [UnionOrder.TYPE_FIRST, UnionOrder.NULL_FIRST])
@pytest.mark.parametrize("target", [TARGETS, {"city": "string", "time": "time"}, {"event_id": "integer"}, None])
def test_columns_that_repeat_are_skipped_without_a_trace(
    order: UnionOrder, target: dict[str, str] | None, tmp_path: Path
) -> None:
    file = avro_file(tmp_path, VISIT, visits(4 * TRIAL_ROWS), order=order)
    assert_equal(file, Projection(target, {"_heap_dump_id": 7, "_heap_file": "ä.avro"}))


def test_the_trial_finds_the_columns_of_a_visit() -> None:
    schema = {"type": "record", "fields": [{"name": c.name, "type": [c.type, "null"]} for c in VISIT]}
    columns = flat_columns(declared(schema).record)
    assert columns is not None
    rows = [{**row, "city": (row["city"] or "").encode().decode("latin-1")} for row in visits(TRIAL_ROWS)]
    assert FastDecoder(columns, Projection(TARGETS, {}))._ranges(rows) == ((1, 5),)
    alone = [{**row, "user_id": index, "city": str(index), "campaign": index} for index, row in enumerate(rows)]
    assert FastDecoder(columns, Projection(TARGETS, {}))._ranges(alone) == ()


CASTS = [
    ("long", "string", [5, -1, 2**63 - 1, None]),
    ("long", "number", [5, None]),
    ("long", "boolean", [1, None]),
    ("double", "string", [1.5, 0.1, 1e300, None]),
    ("double", "integer", [2.0, 2.5, None]),
    ("boolean", "string", [True, False, None]),
    ("boolean", "integer", [True, None]),
    ("string", "integer", ["12", "-7", "+3", "1.0", "", "x", "9" * 30, "\uff11\uff12", None]),
    ("string", "number", ["1.5", "1e3", "1_0", "nan", "inf", " 1", "x", None]),
    ("string", "boolean", ["true", "false", "yes", None]),
    ("string", "object", ["{}", None]),
    ("bytes", "integer", [b"12", b"\xff", None]),
]


@pytest.mark.parametrize(("kind", "target", "values"), CASTS)
def test_a_value_of_another_type_is_cast_or_nulled_with_a_note(
    kind: str, target: str, values: list[Any], tmp_path: Path
) -> None:
    rows = [{"id": index, "it": value} for index, value in enumerate(values)]
    assert_equal(avro_file(tmp_path, [Column("id", "long"), Column("it", kind)], rows), Projection({"it": target}, {}))


def test_a_number_that_json_cannot_write_is_nulled_with_a_note(tmp_path: Path) -> None:
    rows = [{"it": value} for value in (1.0, float("nan"), float("inf"), float("-inf"), -0.0)]
    file = avro_file(tmp_path, [Column("it", "double")], rows)
    assert_equal(file)
    changes = [changes for _, changes in lines_of(list(DecoderPool(1).decode(file, EVERYTHING)))]
    lost = [{"field": "it", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]
    assert changes == [[], lost, lost, lost, []]


def test_text_that_is_not_utf_8_shows_its_bytes(tmp_path: Path) -> None:
    texts = [b"fine", "Zürich".encode(), b'caf\xe9 "x"', b"\xff\xfe", b"cut \xe2\x82", None]
    assert_equal(avro_file(tmp_path, [Column("a", "bytes"), Column("b")], [{"a": text, "b": "ü"} for text in texts]))


@pytest.mark.parametrize(
    ("time", "kept"),
    [("2024-05-01 00:00:00", True), ("2024-04-30 23:59:59.999999", False), ("1714521600000", True), ("junk", True)],
)
@pytest.mark.parametrize("target", [{"id": "integer"}, {"id": "integer", "time": "time"}, {"time": "string"}])
def test_rows_older_than_the_start_are_filtered_out(
    time: str, kept: bool, target: dict[str, str], tmp_path: Path
) -> None:
    rows = [{"id": 1, "time": time}, {"id": 2, "time": "2025-01-01T00:00:00Z"}, {"id": 3, "time": None}]
    file = avro_file(tmp_path, [Column("id", "long"), Column("time")], rows)
    projection = Projection(target, {}, "2024-05-01T00:00:00.000000Z")
    fast = lines_of(list(DecoderPool(1).decode(file, projection)))
    assert len(fast) == (3 if kept else 2)
    reference: list[bytes] = []
    ReferenceDecoder(file.header.schema, projection)(raw_rows(file), "", 0, 3, reference, [])
    assert [line for line, _ in fast] == [line.decode() for line in reference]


def raw_rows(file: AvroFile) -> bytes:
    """The decompressed rows of a file of one block."""
    with file.path.open("rb") as data:
        return next(read_blocks(data, file.header.codec, file.spans))[1]


def test_nested_and_logical_types_are_left_to_the_reference(tmp_path: Path) -> None:
    point = {"type": "record", "name": "point", "fields": [{"name": "x", "type": "long"}]}
    columns = [
        Column("at", {"type": "long", "logicalType": "timestamp-micros"}),
        Column("p", point),
        Column("n", "long"),
    ]
    rows = [{"at": 1714566896789012, "p": {"x": 2**53 + 1}, "n": None}, {"at": None, "p": None, "n": 1}]
    assert_equal(avro_file(tmp_path, columns, rows), fast=False)


@pytest.mark.slow
def test_processes_give_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    file = avro_file(tmp_path, VISIT, visits(12_000), block_bytes=8000)
    projection = Projection(TARGETS, {"_heap_dump_id": 7})
    pool = DecoderPool(2)
    try:
        assert lines_of(list(pool.decode(file, projection))) == lines_of(list(DecoderPool(1).decode(file, projection)))
    finally:
        pool.close()


@pytest.mark.slow
def test_a_reader_that_stops_early_leaves_the_pool_usable(tmp_path: Path) -> None:
    file = avro_file(tmp_path, VISIT, visits(12_000), block_bytes=8000)
    pool = DecoderPool(2)
    try:
        chunks = pool.decode(file, EVERYTHING)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
        assert sum(chunk.count for chunk in pool.decode(file, EVERYTHING)) == 12_000
    finally:
        pool.close()


@pytest.mark.slow
@pytest.mark.parametrize("started", [0, 1])
def test_where_the_system_gives_no_more_processes_the_rows_come_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    file = avro_file(tmp_path, VISIT, visits(12_000), block_bytes=8000)
    popen, left = subprocess.Popen, [None] * started

    def limited(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        if not left:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        left.pop()
        return popen(*args, **options)

    monkeypatch.setattr("source_heap.avro.pool.subprocess.Popen", limited)
    before = len(list(Path("/proc/self/fd").iterdir()))
    pool = DecoderPool(3)
    try:
        pool.prepare()
        for _ in range(2):
            assert sum(chunk.count for chunk in pool.decode(file, EVERYTHING)) == 12_000
    finally:
        pool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.slow
def test_a_chunk_that_is_larger_than_the_shared_memory_arrives_whole(tmp_path: Path) -> None:
    rows = [{"id": index, "text": "x" * 2_000_000 if index == 7_000 else "y"} for index in range(8_000)]
    file = avro_file(tmp_path, [Column("id", "long"), Column("text")], rows, block_bytes=8000)
    pool = DecoderPool(2)
    try:
        found = [json.loads(line) for line, _ in lines_of(list(pool.decode(file, EVERYTHING)))]
    finally:
        pool.close()
    assert found == rows


def decode_one(decode: FastDecoder | ReferenceDecoder, rows: bytes) -> None:
    """Decodes a block of one row as `Decoder` does."""
    block = rows + bytes(8) if decode.is_fast else rows
    if decode(block, rows.decode("latin-1"), 0, 1, [], []) != len(rows):
        raise BrokenFile


WRONG_ROWS = {
    "a branch that is not there": b"\x04\x02a",
    "a negative length": b"\x00\x01a",
    "a length beyond the end": b"\x00\x7ea",
    "a byte too many": b"\x00\x02ab",
    "too few bytes": b"",
    "an integer without end": b"\x00" + b"\xff" * 30,
}


@pytest.mark.parametrize("rows", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_rows_that_are_no_rows_are_a_broken_file(rows: bytes) -> None:
    schema = declared({"type": "record", "name": "r", "fields": [{"name": "a", "type": ["string", "null"]}]})
    for decode in (FastDecoder(flat_columns(schema.record) or (), EVERYTHING), ReferenceDecoder(schema, EVERYTHING)):
        with pytest.raises(BrokenFile):
            decode_one(decode, rows)


def test_a_block_of_a_hundred_thousand_rows_comes_in_chunks() -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "string"}]}
    rows = (long_bytes(40) + b"x" * 40) * 100_000
    sizes = [len(chunk.lines) for chunk in Decoder(declared(schema), EVERYTHING).chunks([(100_000, rows)])]
    assert sum(sizes) == 100_000 * len('{"a":""}\n' + "x" * 40)
    assert max(sizes) < CHUNK_BYTES
    assert len(sizes) < 1.5 * sum(sizes) / CHUNK_BYTES


def test_chunks_of_long_rows_fit_into_the_memory_that_is_shared_from_the_second_on() -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "string"}]}
    rows = (long_bytes(8_000) + b"x" * 8_000) * 20
    chunks = list(Decoder(declared(schema), EVERYTHING).chunks([(20, rows)] * 50))
    assert sum(chunk.count for chunk in chunks) == 1_000
    assert max(len(chunk.lines) for chunk in chunks) < CHUNK_BYTES
    chunks = list(Decoder(declared(schema), EVERYTHING).chunks([(1_000, rows * 50)]))
    assert max(len(chunk.lines) for chunk in chunks[1:]) < CHUNK_BYTES


def test_a_schema_longer_than_the_first_look_is_read(tmp_path: Path) -> None:
    columns = [Column(f"a_rather_long_name_of_a_property_{index}") for index in range(3000)]
    row = {column.name: "x" for column in columns}
    assert_equal(avro_file(tmp_path, columns, [row]), fast=False)  # too wide for a function of its own


def test_floats_of_both_widths_keep_every_bit(tmp_path: Path) -> None:
    rng = random.Random(3)
    doubles = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(300)]
    rows = [{"d": value} for value in doubles if value == value and abs(value) != float("inf")]
    assert_equal(avro_file(tmp_path, [Column("d", "double")], rows))


def test_a_container_made_by_hand_is_read_like_any_other(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]}
    marker = b"0123456789abcdef"
    data = container_header(schema, Codec.NULL, marker) + container_block(2, b"\x02\x04", Codec.NULL, marker)
    (tmp_path / "file.avro").write_bytes(data)
    assert list(fastavro.reader(io.BytesIO(data))) == [{"a": 1}, {"a": 2}]
    assert_equal(AvroFile.open(tmp_path / "file.avro"))
