"""The floor: the least work in Python for the same records. It reads, decodes and encodes them as RECORD lines.

    python benchmarks/floor.py REQUESTS.json ROWS_KEY STREAM

REQUESTS.json is a list of `{"method", "url", "headers", "body"}`: the requests that the connector made. urllib3 sends
them over one connection. An answer is read in pieces of 128 KiB, because whole pages do not fit into the processor's
cache and cost twice the time; isal unpacks one that arrives compressed. A piece is cut behind its last `},{`, which is
right if rows hold no list of objects, as those of the simulators. `orjson.loads` decodes the piece, `orjson.dumps`
encodes each row, and one write sends its lines. Types, keys, names, state, retries and checks are missing: they are
what a connector costs more than the floor.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import orjson
import urllib3
from isal import isal_zlib

PIECE_BYTES = 128 * 1024
PIPE_BYTES = 1 << 20
GZIP_WINDOW = 31


def main() -> None:
    """Sends the requests and writes their rows."""
    requests, key, stream = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3]
    with suppress(OSError):
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    begin = b'{"type":"RECORD","record":{"stream":%b,"data":' % orjson.dumps(stream)
    pool = urllib3.PoolManager()
    for request in requests:
        body = request["body"].encode() or None
        answer = pool.request(
            request["method"], request["url"], body, headers=request["headers"], preload_content=False
        )
        for rows in pieces(reader(answer), key.encode()):
            if decoded := orjson.loads(rows):
                end = b',"emitted_at":%d}}\n' % (time.time_ns() // 1_000_000)
                write_all(begin + (end + begin).join(map(orjson.dumps, decoded)) + end)


def pieces(read: Callable[[], bytes], key: bytes) -> Iterator[bytes]:
    """The JSON lists of the rows of one answer."""
    body = read()
    _, _, rest = body.partition(b'"%b":[' % key)
    while body := read():
        rest += body
        if (cut := rest.rfind(b"},{")) >= 0:
            yield b"[%b]" % rest[: cut + 1]
            rest = rest[cut + 2 :]
    if rest:
        yield b"[%b]" % rest[: rest.rfind(b"]")]


def reader(answer: urllib3.BaseHTTPResponse) -> Callable[[], bytes]:
    """A function that returns the next piece of an answer, unpacked; empty at the end."""
    if answer.headers.get("content-encoding") != "gzip":
        return partial(answer.read, PIECE_BYTES)
    unpack = isal_zlib.decompressobj(wbits=GZIP_WINDOW)

    def unpacked() -> bytes:
        while not unpack.eof:
            packed = unpack.unconsumed_tail or answer.read(PIECE_BYTES, decode_content=False)
            if piece := unpack.decompress(packed, PIECE_BYTES):
                return piece
        answer.drain_conn()
        return b""

    return unpacked


def write_all(lines: bytes) -> None:
    """Writes all bytes: a pipe may take fewer at once."""
    left = memoryview(lines)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    main()
