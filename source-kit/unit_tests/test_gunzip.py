"""gzip bodies: the content that zlib finds, whatever the pieces in which they come; never a part without an error."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from collections.abc import Iterator

import pytest
from simulators.server import Request, Response, Simulator
from source_kit.errors import ErrorTable
from source_kit.http.client import Client, Connection
from source_kit.http.gunzip import gunzipped
from source_kit.http.retry import RetryPolicy
from urllib3.exceptions import DecodeError

PIECE = 1000
TEXT = b'{"id":1,"text":"' + b"some words, and more words " * 200 + b'"}'


def content(data: bytes, size: int) -> bytes | None:
    """The content of data that comes in pieces of `size` bytes; None if it is refused."""
    received = iter([data[at : at + size] for at in range(0, len(data), size)])
    try:
        pieces = list(gunzipped(received, PIECE))
    except DecodeError:
        return None
    assert max(map(len, pieces), default=0) <= PIECE
    return b"".join(pieces)


def content_by_zlib(data: bytes) -> bytes | None:
    """The same by zlib."""
    found, files = b"", 0
    while data and not (files and not b"\x1f\x8b".startswith(data[:2])):
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            found += inflater.decompress(data)
        except zlib.error:
            return None
        if not inflater.eof:
            return None
        data, files = inflater.unused_data, files + 1
    return found


def with_header(flags: int, parts: bytes, text: bytes = TEXT) -> bytes:
    """A gzip file whose header has optional parts."""
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + parts
    if flags & 2:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    trailer = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return head + deflate.compress(text) + deflate.flush() + trailer


def named(text: bytes) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile("rows.json", "wb", fileobj=file) as packed:
        packed.write(text)
    return file.getvalue()


WHOLE = {
    "plain": gzip.compress(TEXT),
    "stored": gzip.compress(TEXT, 0),
    "without content": gzip.compress(b""),
    "with a name": named(TEXT),
    "with every optional part": with_header(30, b"\x03\x00abcname\x00comment\x00"),
    "several files": gzip.compress(TEXT) + gzip.compress(b"") + named(b"2") + gzip.compress(b"3" * 3000),
    "exactly a piece": gzip.compress(b"x" * PIECE),
    "a file that ends with a piece": gzip.compress(b"x" * PIECE) + gzip.compress(b"y" * PIECE),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_a_body_is_read_whatever_its_pieces(data: bytes) -> None:
    for size in (1, 3, 9, 10, 11, 100, 100_000):
        for behind in (b"", b"\x00" * 600, b"garbage", b"x"):
            assert content(data + behind, size) == gzip.decompress(data), (size, behind)


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_a_body_that_is_cut_is_refused(data: bytes) -> None:
    whole = {len(data) - len(rest) for rest in rests(data)}
    for end in [*range(1, min(len(data), 40)), *range(max(1, len(data) - 40), len(data))]:
        for size in (7, 100_000):
            assert (content(data[:end], size) is None) == (end not in whole), (end, size)


def rests(data: bytes) -> Iterator[bytes]:
    """What follows each gzip file of the data."""
    while data:
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        inflater.decompress(data)
        data = inflater.unused_data
        yield data


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"this is no gzip",
        TEXT,
        zlib.compress(TEXT),
        with_header(0x80, b""),
        with_header(2, b"")[:10] + b"\x00\x00" + with_header(2, b"")[12:],
        gzip.compress(TEXT)[:-8] + bytes(8),
        gzip.compress(TEXT)[:-4] + bytes(4),
        gzip.compress(TEXT) + gzip.compress(TEXT)[:-8] + bytes(8),
    ],
    ids=["short", "text", "json", "zlib", "reserved flag", "header", "checksum", "length", "second checksum"],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_body_that_is_not_gzip_or_damaged_is_refused(data: bytes, size: int) -> None:
    assert content(data, size) is None


def test_no_body_is_no_content() -> None:
    assert content(b"", 1) == b""


@pytest.mark.parametrize(
    "seeds", [range(50), pytest.param(range(50, 2_000), marks=pytest.mark.slow)], ids=["50", "1950"]
)
def test_damaged_bodies_have_the_content_that_zlib_finds_or_are_refused(seeds: range) -> None:
    for seed in seeds:
        data, size = damaged(random.Random(seed))
        assert content(data, size) == content_by_zlib(data), seed


def damaged(chance: random.Random) -> tuple[bytes, int]:
    """A body with a few faults, and the size of its pieces."""
    data = bytearray(b"".join(chance.choice([*WHOLE.values()]) for _ in range(chance.randint(1, 2))))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(data), chance.choice([30, len(data)])))
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = chance.randbytes(3)
            case 2:
                del data[at + 1 : at + 4]
            case _:
                del data[at + 1 :]
    return bytes(data), chance.choice([1, 7, 64, 100_000])


def test_a_bomb_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(8_000_000))
    pieces = gunzipped(iter([bomb]), 64 * 1024)
    assert all(len(next(pieces)) <= 64 * 1024 for _ in range(100))


def test_every_piece_that_comes_gives_one_so_that_a_deadline_is_checked() -> None:
    data = gzip.compress(b"x") + bytes(2000)
    coming = iter([data[at : at + 1] for at in range(len(data))])
    assert sum(1 for _ in gunzipped(coming, PIECE)) >= len(data) - 25


class Encoded(Simulator):
    """Answers with a body of an encoding."""

    def __init__(self, body: bytes, encoding: str) -> None:
        super().__init__()
        self.response = Response(body=body, headers={"Content-Encoding": encoding})

    def answer(self, request: Request) -> Response:
        return self.response


RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"[1]")),
        ("GZip", gzip.compress(b"[1]")),
        ("gzip \t", gzip.compress(b"[1]")),
        ("x-gzip", gzip.compress(b"[1]")),
        ("deflate", zlib.compress(b"[1]")),
        ("deflate", RAW.compress(b"[1]") + RAW.flush()),
        ("identity", b"[1]"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"[1]"))),
        ("deflate, gzip", gzip.compress(zlib.compress(b"[1]"))),
    ],
    ids=["gzip", "upper case", "space behind", "x-gzip", "zlib", "raw deflate", "identity", "twice", "both"],
)
def test_every_encoding_is_read(encoding: str, packed: bytes) -> None:
    with Encoded(packed, encoding) as server:
        client = Client("acme", Connection(server.url, {}, connections=1), ErrorTable("Acme", []), RetryPolicy(tries=1))
        assert client.call("/").json() == [1]
