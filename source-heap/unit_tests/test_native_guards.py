"""The native decoder keeps its limits to the byte, refuses what it cannot rely on, and serves one thread at a time."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from avro_by_hand import block, file, header, record, text
from source_heap.avro.container import read_blocks
from source_heap.avro.faults import BeyondLimit, BrokenFile
from source_heap.avro.file import AvroFile
from source_heap.avro.native_decoder import MISSING
from source_heap.avro.reference import ReferenceDecoder
from source_heap.avro.values import Projection
from source_heap.limits import LINE_BYTES, ROW_BYTES

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"the native decoder is not installed: {MISSING}")
HEAD = b'{"type":"RECORD","record":{"stream":"s","data":'
TEXT = (b'"a":', b'"a":null', False, False, (("bytes", "plain", 0, False, 0, ()),))
INSTANT = (b'"a":', b'"a":null', False, True, (("bytes", "instant", 0, False, 0, ()),))
SINCE = "2024-05-01T00:00:00.000000Z"


def decoder(
    *columns: Any, since: bytes = b"", row: int = 1000, line: int = 1000, chunk: int = 1000, **arrays: Any
) -> Any:
    """A decoder with small limits."""
    from source_heap.avro import native

    return native.Decoder(columns, b"{", b"}\n", since, row, line, chunk, **arrays)


def opened(folder: Path, data: bytes) -> AvroFile:
    path = folder / "file.avro"
    path.write_bytes(data)
    return AvroFile.open(path)


def both(avro: AvroFile, projection: Projection) -> tuple[bytes, bytes]:
    """The lines by the file's own decoder, and by the reference decoder."""
    with avro.path.open("rb") as data:
        blocks = read_blocks(data, avro.header, avro.size)
        expected = list(ReferenceDecoder(avro.header.schema, projection).chunks(blocks))
    return b"".join(chunk.lines for chunk in avro.rows(projection)), b"".join(chunk.lines for chunk in expected)


# ------------------------------------------------------------------------------------------------- what is relied on


@pytest.mark.parametrize("since", [b"", b"2024-05-01", SINCE.encode() + b"0"])
def test_a_column_decides_only_by_a_whole_instant(since: bytes) -> None:
    """The decoder compares 27 bytes."""
    with pytest.raises(ValueError, match="since"):
        decoder(INSTANT, since=since)


@pytest.mark.parametrize("limits", [{"row": -1}, {"line": -1}, {"chunk": -1}, {"chunk": 0}])
def test_limits_are_sizes(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"limits|chunk"):
        decoder(TEXT, **limits)


@pytest.mark.parametrize(
    "arrays",
    [
        {"elements": ()},
        {"elements": ("skipped",)},
        {"elements": ("text", "text")},
        {"elements": ("beautiful",)},
        {"elements": ("text",), "room": 0},
        {"elements": ("text",), "room": -1},
        {"elements": ("text",), "room": 2**40},
    ],
)
def test_a_selected_column_has_an_array_with_room(arrays: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"array|unknown|room"):
        decoder(TEXT, **{"room": 5, **arrays})


def test_arrays_end_at_their_room_and_are_empty_behind_a_take() -> None:
    rows = decoder(TEXT, elements=("text",), room=2)
    block = text("a") + text("bc") + text("d")
    assert rows.decode(block, 0, 3) == ("chunk full", 2, 5, 1)
    assert rows.take_arrays() == (2, ((b"\3", struct.pack("=3i", 0, 1, 3), b"abc"),))
    assert rows.count() == 0
    assert rows.decode(block, 5, 1)[0] == "all rows"
    count, [(valid, *others)] = rows.take_arrays()
    assert (count, valid[0] & 1, others) == (1, 1, [struct.pack("=2i", 0, 1), b"d"])


@pytest.mark.parametrize(
    "branch",
    [
        ("long", "quoted", 7, False, 0, ()),
        ("long", "timestamp", 0, False, 0, ()),
        ("long", "timestamp", 1500, False, 0, ()),
        ("bytes", "plain", 1, False, 0, ()),
        ("double", "decimal", 0, False, 0, ()),
        ("bytes", "uuid", 0, False, 0, ()),
        ("null", "quoted", 0, False, 0, ()),
        ("bytes", "decimal", -1, False, 0, ()),
        ("fixed", "plain", 0, False, -1, ()),
        ("text", "plain", 0, False, 0, ()),
        ("bytes", "beautiful", 0, False, 0, ()),
    ],
)
def test_forms_that_cannot_be_written_are_refused(branch: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"cannot be written|not negative|unknown"):
        decoder((b'"a":', b'"a":null', False, False, (branch,)))


@pytest.mark.parametrize(("at", "rows"), [(-1, 1), (4, 1), (0, -1)])
def test_positions_are_within_the_block(at: int, rows: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        decoder(TEXT).decode(b"\2a\0", at, rows)


# ------------------------------------------------------------------------------------------------------------ limits


def test_a_line_may_have_its_limit_and_no_byte_more_whatever_the_buffer_has_room_for() -> None:
    """`{"a":"..."}` and a line feed are 9 bytes and the text."""
    rows = decoder(TEXT, line=109, chunk=10_000)
    assert rows.decode(b"".join(text(b"x" * size) for size in (100, 101, 5)), 0, 3)[:2] == ("unusual row", 102)
    assert rows.take() == (b'{"a":"%b"}\n' % (b"x" * 100), 1)


def test_a_line_of_the_reference_decoder_may_be_longer() -> None:
    rows = decoder(TEXT, line=10)
    rows.append(b"x" * 5000)
    assert rows.take() == (b"x" * 5000, 1)


def test_an_unusual_row_is_read_to_its_end_first() -> None:
    """So that only whole rows within their limit are decoded by the reference decoder."""
    column = (b',"b":', b',"b":null', False, False, (("bytes", "plain", 0, False, 0, ()),))
    unusual = text(b"\xff")
    data = text(b"a") + text(b"b") + unusual + text(b"b")
    assert decoder(TEXT, column).decode(data, 0, 9) == ("unusual row", 4, 8, 7)
    assert decoder(TEXT, column).decode(unusual + b"\4x", 0, 1)[0] == "broken row"
    assert decoder(TEXT, column, row=50).decode(unusual + text(b"x" * 50), 0, 1)[0] == "long row"


@pytest.mark.parametrize("size", [LINE_BYTES // 6 - 2, LINE_BYTES // 6 - 1, LINE_BYTES // 6])
def test_the_longest_line_is_the_reference_decoders(size: int, tmp_path: Path) -> None:
    """`{"a":"..."}` are 8 bytes and the text, in which a control character has 6."""
    avro = opened(tmp_path, file(record(("a", "string")), [text("x" * 70_000), text("\x01" * size)], "deflate"))
    if 6 * size + 8 > LINE_BYTES:
        with pytest.raises(BeyondLimit, match="as JSON"):
            list(avro.rows(Projection(None, {}, head=HEAD)))
    else:
        lines, expected = both(avro, Projection(None, {}, head=HEAD))
        assert lines == expected


def test_a_long_line_that_is_filtered_out_does_no_harm(tmp_path: Path) -> None:
    old, new = text("2024-04-30 12:00:00"), text("2024-05-01 12:00:00")
    rows = [text("\x01" * (LINE_BYTES // 5)) + old, text("a") + new]
    avro = opened(tmp_path, file(record(("a", "string"), ("time", "string")), rows, "deflate"))
    lines, expected = both(avro, Projection(None, {}, SINCE))
    assert lines == expected == b'{"a":"a","time":"2024-05-01 12:00:00"}\n'


def test_an_unusual_row_that_is_too_long_is_not_decoded(tmp_path: Path) -> None:
    row = text(b"\xff") + text(b"x" * ROW_BYTES)
    avro = opened(tmp_path, file(record(("a", "string"), ("b", "string")), [row], "deflate"))
    with pytest.raises(BeyondLimit, match="a row is longer than 5 MiB"):
        list(avro.rows(Projection(None, {})))


# ----------------------------------------------------------------------------------------------------- odd schemas


def schema_text(*fields: tuple[str, Any]) -> bytes:
    """With a NaN, so that a parser reads it that keeps integers of any size."""
    return json.dumps({**record(*fields), "doc": float("nan")}).encode()


@pytest.mark.parametrize("size", [2**63, 10**30])
def test_a_fixed_of_any_size_is_a_broken_row(size: int, tmp_path: Path) -> None:
    schema = schema_text(("a", {"type": "fixed", "name": "f", "size": size}))
    with pytest.raises(BrokenFile, match="a row cannot be decoded"):
        list(opened(tmp_path, file(schema, [b"12345678"])).rows(Projection(None, {})))


@pytest.mark.parametrize("scale", [19, 1000, 2**63, 10**30])
def test_a_decimal_of_any_scale_is_the_reference_decoders(scale: int, tmp_path: Path) -> None:
    schema = schema_text(("a", {"type": "bytes", "logicalType": "decimal", "precision": scale, "scale": scale}))
    lines, expected = both(opened(tmp_path, file(schema, [text(b"\5")])), Projection(None, {}, head=HEAD))
    assert lines == expected
    assert (b'"changes"' in lines) is (scale > 1000)


def test_columns_of_one_name_are_the_reference_decoders(tmp_path: Path) -> None:
    schema = record(("a", "long"), ("b", "long"), ("a", "long"))
    lines, expected = both(opened(tmp_path, file(schema, [b"\2\4\6"])), Projection(None, {}))
    assert lines == expected == b'{"a":3,"b":2}\n'


@pytest.mark.parametrize("count", [b"\xfe" + b"\xff" * 8 + b"\x01", b"\x80" * 9 + b"\x7e"])
def test_a_block_that_claims_more_rows_than_a_number_holds_is_broken(count: bytes, tmp_path: Path) -> None:
    """The largest count of 64 bits, and one of 70 bits."""
    packed = block(1, text("a"))
    data = header(record(("a", "string"))) + count + packed[1:]
    with pytest.raises(BrokenFile):
        list(opened(tmp_path, data).rows(Projection(None, {})))


# ---------------------------------------------------------------------------------------------------- time, threads


def seconds_of(rows: Sequence[bytes], folder: Path) -> float:
    """CPU seconds of reading these rows from one block."""
    data = header(record(("a", "string"))) + block(len(rows), b"".join(rows))
    avro = opened(folder, data)
    begin = time.thread_time()
    assert sum(chunk.count for chunk in avro.rows(Projection(None, {}))) == len(rows)
    return time.thread_time() - begin


@pytest.mark.slow
def test_rows_that_are_all_unusual_take_time_that_grows_with_them_only(tmp_path: Path) -> None:
    unusual = text(b"\xff" * 20)
    seconds_of([unusual] * 10, tmp_path)  # imports fastavro
    few = min(seconds_of([unusual] * 2_000, tmp_path) for _ in range(3))
    many = min(seconds_of([unusual] * 32_000, tmp_path) for _ in range(3))
    assert many < 16 * few * 4  # were it quadratic, 256 times


def is_refused(call: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a method says that another thread is at work."""
    try:
        call(*arguments)
    except RuntimeError as error:
        return "in use by another thread" in str(error)
    return False


def test_other_threads_are_refused_while_one_decodes() -> None:
    """Decoding takes some 20 ms each time, in which the other thread has to get its turn."""
    rows = decoder(TEXT, row=2**30, line=2**30, chunk=2**40)
    block = text(b"x" * 1_000_000) * 40
    refused, end = set(), time.monotonic() + 60
    while len(refused) < 4 and time.monotonic() < end:
        worker = threading.Thread(target=rows.decode, args=(block, 0, 40))
        worker.start()
        while worker.is_alive():
            refused |= {"take"} if is_refused(rows.take) else set()
            refused |= {"take_arrays"} if is_refused(rows.take_arrays) else set()
            refused |= {"append"} if is_refused(rows.append, b"") else set()
            refused |= {"decode"} if is_refused(rows.decode, b"", 0, 0) else set()
        worker.join()
        rows.take()
    assert refused == {"take", "take_arrays", "append", "decode"}
