"""Both decoders equal fastavro, value by value, for every type, order, codec and target type."""

from __future__ import annotations

import io
import json
import random
import struct
from pathlib import Path
from typing import Any

import fastavro
import pytest
from avro_by_hand import PACKERS, block, header
from decoding import (
    EVERYTHING,
    assert_equals_fastavro,
    avro_file,
    decoder_of,
    rows_of,
    schema_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulators.heap.avro_files import Codec, Column, UnionOrder, container_block, container_header, long_bytes
from source_heap.avro.chunks import CHUNK_BYTES
from source_heap.avro.columns import flat_columns
from source_heap.avro.faults import BrokenFile
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection

pytestmark = pytest.mark.usefixtures("decoder")

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


@pytest.mark.slow
@pytest.mark.parametrize("order", list(UnionOrder))
@pytest.mark.parametrize("kind", [*VALUES, *SPECIAL])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    assert_equals_fastavro(avro_file(tmp_path_factory.mktemp("avro"), columns, rows, order=order))


@pytest.mark.parametrize("codec", [*PACKERS])
def test_every_codec_is_read(codec: str, tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}, {"name": "t", "type": "bytes"}]}
    blocks = []
    for first in range(0, 600, 100):
        rows = [long_bytes(index) + long_bytes(9) + f"row {index:05}".encode() for index in range(first, first + 100)]
        blocks.append(block(100, b"".join(rows), codec))
    (tmp_path / "file.avro").write_bytes(header(schema, codec) + b"".join(blocks))
    found = [json.loads(line) for line, _ in rows_of(AvroFile.open(tmp_path / "file.avro"))]
    assert found == [{"id": index, "t": f"row {index:05}"} for index in range(600)]


@pytest.mark.parametrize("codec", list(Codec))
def test_files_of_other_writers_are_read_in_every_codec(codec: Codec, tmp_path: Path) -> None:
    rows = [{"id": index, "text": f"row {index} ü"} for index in range(500)]
    file = avro_file(tmp_path, [Column("id", "long"), Column("text")], rows, codec=codec, block_bytes=2000)
    assert [json.loads(line) for line, _ in rows_of(file)] == rows


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


@pytest.mark.parametrize("order", [UnionOrder.TYPE_FIRST, UnionOrder.NULL_FIRST])
@pytest.mark.parametrize("target", [TARGETS, {"city": "string", "time": "time"}, {"event_id": "integer"}, None])
def test_rows_of_visits_are_read_whichever_columns_are_selected(
    order: UnionOrder, target: dict[str, str] | None, tmp_path: Path
) -> None:
    file = avro_file(tmp_path, VISIT, visits(400), order=order)
    assert_equals_fastavro(file, Projection(target, {"_heap_dump_id": 7, "_heap_file": "ä.avro"}))


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
    file = avro_file(tmp_path, [Column("id", "long"), Column("it", kind)], rows)
    assert_equals_fastavro(file, Projection({"it": target}, {}))


def test_a_number_that_json_cannot_write_is_nulled_with_a_note(tmp_path: Path) -> None:
    rows = [{"it": value} for value in (1.0, float("nan"), float("inf"), float("-inf"), -0.0)]
    file = avro_file(tmp_path, [Column("it", "double")], rows)
    assert_equals_fastavro(file)
    lost = [{"field": "it", "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}]
    assert [changes for _, changes in rows_of(file)] == [[], lost, lost, lost, []]


def test_text_that_is_not_utf_8_shows_its_bytes(tmp_path: Path) -> None:
    texts = [b"fine", "Zürich".encode(), b'caf\xe9 "x"', b"\xff\xfe", b"cut \xe2\x82", None]
    file = avro_file(tmp_path, [Column("a", "bytes"), Column("b")], [{"a": text, "b": "ü"} for text in texts])
    assert_equals_fastavro(file)
    assert [json.loads(line)["a"] for line, _ in rows_of(file)][2:4] == ['caf\\xe9 "x"', "\\xff\\xfe"]


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
    found = rows_of(file, Projection(target, {}, "2024-05-01T00:00:00.000000Z"))
    wanted = rows_of(file, Projection(target, {}))
    assert found == (wanted if kept else wanted[1:])


def test_nested_types_are_left_to_the_reference(tmp_path: Path) -> None:
    point = {"type": "record", "name": "point", "fields": [{"name": "x", "type": "long"}]}
    columns = [
        Column("at", {"type": "long", "logicalType": "timestamp-micros"}),
        Column("p", point),
        Column("n", "long"),
    ]
    rows = [{"at": 1714566896789012, "p": {"x": 2**53 + 1}, "n": None}, {"at": None, "p": None, "n": 1}]
    file = avro_file(tmp_path, columns, rows)
    assert flat_columns(file.header.schema.record, EVERYTHING) is None
    assert_equals_fastavro(file)


def test_a_reader_that_stops_early_leaves_the_file_readable(tmp_path: Path) -> None:
    file = avro_file(tmp_path, VISIT, visits(4_000), block_bytes=8000)
    chunks = file.rows(EVERYTHING)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert sum(chunk.count for chunk in file.rows(EVERYTHING)) == 4_000


def test_a_row_that_is_larger_than_a_chunk_arrives_whole_and_in_its_place(tmp_path: Path) -> None:
    rows = [{"id": index, "text": "x" * 2_000_000 if index == 700 else "y"} for index in range(800)]
    file = avro_file(tmp_path, [Column("id", "long"), Column("text")], rows, block_bytes=8000)
    assert [json.loads(line) for line, _ in rows_of(file)] == rows


WRONG_ROWS = {
    "a branch that is not there": b"\x04\x02a",
    "a branch before the first": b"\x01\x02a",
    "a negative length": b"\x00\x01a",
    "a length beyond the end": b"\x00\x7ea",
    "a byte too many": b"\x00\x02ab",
    "too few bytes": b"",
    "an integer without end": b"\x00" + b"\xff" * 30,
}


@pytest.mark.parametrize("rows", WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_rows_that_are_no_rows_are_a_broken_file(rows: bytes, decoder: str) -> None:
    schema = schema_of({"a": ["string", "null"]})
    with pytest.raises(BrokenFile):
        list(decoder_of(schema, EVERYTHING, decoder).chunks([(1, rows)]))


@pytest.mark.parametrize("count", [1, 3])
def test_a_block_with_another_count_than_its_rows_is_a_broken_file(count: int, decoder: str) -> None:
    decode = decoder_of(schema_of({"a": "string"}), EVERYTHING, decoder)
    with pytest.raises(BrokenFile, match="a block has more or fewer bytes than its rows"):
        list(decode.chunks([(count, b"\x02a\x02b")]))


def test_a_block_of_many_rows_comes_in_chunks(decoder: str) -> None:
    rows = (long_bytes(40) + b"x" * 40) * 30_000
    decode = decoder_of(schema_of({"a": "string"}), EVERYTHING, decoder)
    sizes = [len(chunk.lines) for chunk in decode.chunks([(30_000, rows)])]
    assert sum(sizes) == 30_000 * len('{"a":""}\n' + "x" * 40)
    assert max(sizes) < CHUNK_BYTES + 100
    assert min(sizes[:-1]) >= CHUNK_BYTES


def test_chunks_of_long_rows_end_with_the_row_that_fills_them(decoder: str) -> None:
    rows = (long_bytes(8_000) + b"x" * 8_000) * 20
    decode = decoder_of(schema_of({"a": "string"}), EVERYTHING, decoder)
    chunks = list(decode.chunks([(20, rows)] * 50))
    assert sum(chunk.count for chunk in chunks) == 1_000
    assert max(len(chunk.lines) for chunk in chunks) < CHUNK_BYTES + 8_100
    chunks = list(decode.chunks([(1_000, rows * 50)]))
    assert max(len(chunk.lines) for chunk in chunks) < CHUNK_BYTES + 8_100


def test_a_schema_longer_than_the_first_look_is_read(tmp_path: Path) -> None:
    columns = [Column(f"a_rather_long_name_of_a_property_{index}") for index in range(3000)]
    assert_equals_fastavro(avro_file(tmp_path, columns, [{column.name: "x" for column in columns}]))


def test_floats_of_both_widths_keep_every_bit(tmp_path: Path) -> None:
    rng = random.Random(3)
    doubles = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(300)]
    floats = [struct.unpack("<f", rng.randbytes(4))[0] for _ in range(300)]
    rows = [{"d": d, "f": f} for d, f in zip(doubles, floats, strict=True) if abs(d) < 1e309 and abs(f) < 1e309]
    assert_equals_fastavro(avro_file(tmp_path, [Column("d", "double"), Column("f", "float")], rows))


def test_a_container_made_by_hand_is_read_like_any_other(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "long"}]}
    marker = b"0123456789abcdef"
    data = container_header(schema, Codec.NULL, marker) + container_block(2, b"\x02\x04", Codec.NULL, marker)
    (tmp_path / "file.avro").write_bytes(data)
    assert list(fastavro.reader(io.BytesIO(data))) == [{"a": 1}, {"a": 2}]
    assert_equals_fastavro(AvroFile.open(tmp_path / "file.avro"))
