"""The Avro files and instants of the Heap simulator."""

import io
import zlib
from datetime import UTC, datetime, timedelta

import cramjam
import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulators.heap.avro_files import (
    Codec,
    Column,
    Damage,
    UnionOrder,
    avro_schema,
    blocks,
    container_block,
    container_header,
    damaged,
    encode,
    long_bytes,
)
from simulators.heap.bench_table import COLUMNS, BenchTable
from simulators.heap.times import TimeEncoding, instant_micros, instant_text, write_instant

_COLUMNS = (Column("event_id", "long"), Column("name"))
_ROWS = [{"event_id": 2**63 - 1 - index, "name": f"name {index}" * 5} for index in range(1_000)]
_LAST_MICROS = 4_102_444_800_000_000  # the year 2100


def _decoded(data: bytes) -> list[object]:
    return list(fastavro.reader(io.BytesIO(data)))


@pytest.mark.parametrize("order", UnionOrder)
@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.ZSTANDARD])
def test_a_file_reads_back_with_every_union_order_and_codec(order: UnionOrder, codec: Codec) -> None:
    data = encode(_COLUMNS, _ROWS, order=order, codec=codec, block_bytes=8_000)

    assert _decoded(data) == _ROWS
    assert fastavro.reader(io.BytesIO(data)).metadata["avro.codec"] == codec


def test_a_zstandard_file_holds_the_blocks_of_the_uncompressed_one() -> None:
    plain = encode(_COLUMNS, _ROWS, codec=Codec.NULL, block_bytes=8_000)
    packed = encode(_COLUMNS, _ROWS, codec=Codec.ZSTANDARD, block_bytes=8_000)

    assert [bytes(cramjam.zstd.decompress(block.payload)) for block in blocks(packed)] == [
        block.payload for block in blocks(plain)
    ]
    assert len(packed) < len(plain)


def test_a_file_has_the_record_name_and_metadata_of_spark() -> None:
    reader = fastavro.reader(io.BytesIO(encode(_COLUMNS, _ROWS)))

    assert reader.writer_schema["name"] == "topLevelRecord"
    assert set(reader.metadata) == {"avro.schema", "avro.codec"}
    assert reader.writer_schema["fields"][1]["type"] == ["string", "null"]


def test_a_column_can_be_plain_in_a_file_of_unions() -> None:
    schema = avro_schema([Column("a", "long", plain=True), Column("b")], UnionOrder.NULL_FIRST)

    assert [field["type"] for field in schema["fields"]] == ["long", ["null", "string"]]


def test_a_file_cut_between_blocks_still_parses_and_lacks_rows() -> None:
    data = encode(_COLUMNS, _ROWS, block_bytes=8_000)

    left = _decoded(damaged(data, Damage.CUT_AT_BLOCK))

    assert 0 < len(left) < len(_ROWS)
    assert left == _ROWS[: len(left)]


@pytest.mark.parametrize("damage", [Damage.EMPTY, Damage.CUT_IN_BLOCK, Damage.NOT_AVRO])
def test_other_damage_makes_a_file_unreadable(damage: Damage) -> None:
    data = damaged(encode(_COLUMNS, _ROWS, block_bytes=8_000), damage)

    with pytest.raises((ValueError, EOFError, cramjam.DecompressionError)):
        _decoded(data)


def test_a_bad_checksum_leaves_the_rows_intact() -> None:
    data = damaged(encode(_COLUMNS, _ROWS, block_bytes=8_000), Damage.BAD_CHECKSUM)
    first = blocks(data)[0]

    records = bytes(cramjam.snappy.decompress_raw(first.payload[:-4]))

    assert zlib.crc32(records) != int.from_bytes(first.payload[-4:], "big")
    assert _decoded(data) == _ROWS


def test_a_header_only_file_has_no_rows() -> None:
    assert _decoded(damaged(encode(_COLUMNS, _ROWS), Damage.HEADER_ONLY)) == []


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_block_writer_agrees_with_fastavro_on_every_long(value: int) -> None:
    schema = avro_schema([Column("a", "long", plain=True)], UnionOrder.PLAIN)
    marker = bytes(16)
    data = container_header(schema, Codec.SNAPPY, marker)
    data += container_block(1, long_bytes(value), Codec.SNAPPY, marker)

    assert _decoded(data) == [{"a": value}]


@given(st.integers(10**15, _LAST_MICROS))
def test_every_encoding_keeps_the_instant_as_far_as_it_can(micros: int) -> None:
    step = {TimeEncoding.SECONDS: 10**6, TimeEncoding.EPOCH_MS: 10**3, TimeEncoding.MS_TEXT: 10**3}

    for encoding in set(TimeEncoding) - {TimeEncoding.ZERO, TimeEncoding.GARBAGE}:
        coarse = step.get(encoding, 1)
        assert instant_micros(write_instant(micros, encoding)) == micros // coarse * coarse


@given(st.integers(0, _LAST_MICROS))
def test_zero_and_garbage_are_no_instant(micros: int) -> None:
    assert instant_micros(write_instant(micros, TimeEncoding.ZERO)) is None
    assert instant_micros(write_instant(micros, TimeEncoding.GARBAGE)) is None


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive by hypothesis' rule
def test_text_is_read_as_the_standard_library_reads_it(moment: datetime) -> None:
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert instant_micros(moment.isoformat()) == expected
    assert instant_micros(moment.isoformat(" ").removesuffix("+00:00")) == expected


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2024-05-01 12:34:56.7", "2024-05-01T12:34:56.700000Z"),
        ("2024-05-01T12:34:56+05:30", "2024-05-01T07:04:56.000000Z"),
        ("2024-05-01T12:34:56-08", "2024-05-01T20:34:56.000000Z"),
        ("2024-05-01 12:34:56.123456789", "2024-05-01T12:34:56.123456Z"),
        (1_714_566_896, "2024-05-01T12:34:56.000000Z"),
        ("1714566896789", "2024-05-01T12:34:56.789000Z"),
        (1_714_566_896_789_012, "2024-05-01T12:34:56.789012Z"),
        (1_714_566_896_789_012_345, "2024-05-01T12:34:56.789012Z"),
        (-1, "1969-12-31T23:59:59.000000Z"),
        (99_999_999_999, "5138-11-16T09:46:39.000000Z"),
        (100_000_000_000, "1973-03-03T09:46:40.000000Z"),
        (0, None),
        ("0", None),
        (True, None),
        (None, None),
        ("2024-02-30 00:00:00", None),
        ("2024-05-01", None),
        ("yesterday", None),
    ],
)
def test_an_instant_is_read_by_its_shape(written: object, text: str | None) -> None:
    assert instant_text(written) == text


@pytest.mark.slow
def test_the_benchmark_table_is_what_the_benchmark_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    table = BenchTable(rows=4_000, files=2)
    folder = table.ensure(tmp_path_factory.mktemp("bench"))
    data = [(folder / key).read_bytes() for key in table.keys]

    rows = [row for one in data for row in fastavro.reader(io.BytesIO(one))]

    assert len(rows) == 4_000
    assert len({row["event_id"] for row in rows}) == 4_000
    assert len(COLUMNS) == 34
    assert 0.45 < sum(value is None for row in rows for value in row.values()) / (34 * len(rows)) < 0.55
    assert all(instant_micros(row["time"]) is not None for row in rows)
    assert all(block.count < 400 for block in blocks(data[0]))
    assert [one.data for one in table.data_objects()] == data
