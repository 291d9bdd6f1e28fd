"""Files that are cut, damaged or not Avro: never missing rows without an error, always a clause that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulators.heap.avro_files import Codec, Column, Damage, blocks, damaged, encode
from source_heap.avro.container import parse_header, read_header
from source_heap.avro.faults import BrokenFile, HeaderCut
from source_heap.avro.file import AvroFile
from source_heap.avro.values import Projection

pytestmark = pytest.mark.usefixtures("decoder")

COLUMNS = [Column("id", "long"), Column("text")]
WHOLE = encode(COLUMNS, [{"id": index, "text": f"row {index}"} for index in range(2000)], block_bytes=2000)


def rows_in(data: bytes, folder: Path) -> int:
    path = folder / "file.avro"
    path.write_bytes(data)
    return sum(chunk.count for chunk in AvroFile.open(path).rows(Projection(None, {})))


def test_a_whole_file_has_all_its_rows(tmp_path: Path) -> None:
    assert rows_in(WHOLE, tmp_path) == 2000


@pytest.mark.parametrize(
    ("damage", "clause"),
    [
        (Damage.EMPTY, "it ends within its header"),
        (Damage.NOT_AVRO, "it does not begin like an Avro file"),
        (Damage.CUT_IN_BLOCK, "it ends within the block at byte"),
        (Damage.BAD_CHECKSUM, "cannot be decompressed"),
    ],
)
def test_a_broken_file_says_what_is_broken(damage: Damage, clause: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=clause):
        rows_in(damaged(WHOLE, damage), tmp_path)


def test_a_header_without_blocks_is_a_file_without_rows(tmp_path: Path) -> None:
    assert rows_in(damaged(WHOLE, Damage.HEADER_ONLY), tmp_path) == 0


@pytest.mark.slow
def test_a_file_cut_anywhere_but_between_blocks_is_broken(tmp_path: Path) -> None:
    ends = {block.end for block in blocks(WHOLE)} | {parse_header(WHOLE).size}
    for size in range(0, len(WHOLE), 97):
        if size not in ends:
            with pytest.raises(BrokenFile):
                rows_in(WHOLE[:size], tmp_path)


@pytest.mark.parametrize("codec", [Codec.SNAPPY, Codec.DEFLATE, Codec.ZSTANDARD, Codec.BZIP2])
def test_a_block_of_nonsense_is_broken_in_every_codec(codec: Codec, tmp_path: Path) -> None:
    data = bytearray(encode(COLUMNS, [{"id": 1, "text": "x" * 100}], codec=codec))
    block = blocks(bytes(data))[0]
    data[block.end - 20 : block.end - 16] = b"\xff\xff\xff\xff"
    data[block.end - 30 : block.end - 24] = b"\x00\xff\x00\xff\x00\xff"
    with pytest.raises(BrokenFile):
        rows_in(bytes(data), tmp_path)


def test_a_wrong_marker_is_noticed(tmp_path: Path) -> None:
    data = bytearray(WHOLE)
    data[blocks(WHOLE)[3].end - 1] ^= 0xFF
    with pytest.raises(BrokenFile, match="does not end with the file's marker"):
        rows_in(bytes(data), tmp_path)


def test_the_first_bytes_of_a_file_ask_for_more_until_the_header_is_whole() -> None:
    size = parse_header(WHOLE).size
    for cut in range(size):
        with pytest.raises(HeaderCut):
            parse_header(WHOLE[:cut])
    assert parse_header(WHOLE[:size]).codec == "snappy"


def test_an_unknown_compression_is_named() -> None:
    with pytest.raises(BrokenFile, match="its compression is 'snapqy'"):
        parse_header(WHOLE.replace(b"snappy", b"snapqy"))


def test_a_header_with_a_schema_that_is_no_json_is_broken() -> None:
    with pytest.raises(BrokenFile, match="its header has no readable schema"):
        parse_header(WHOLE.replace(b'{"type"', b'x"type"', 1))


def test_a_header_is_read_however_small_the_first_look_is() -> None:
    assert read_header(lambda size: WHOLE[:size], 8) == parse_header(WHOLE)
