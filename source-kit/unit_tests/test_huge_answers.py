"""Answers of any size and depth: rows in bounded memory, or one sentence that names the stream."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from kit_toys import catalog
from simulators.server import Request, Response, Simulator
from test_kit.command import arguments
from test_kit.messages import errors, records, statuses

PROGRAM = Path(__file__).with_name("huge_answers.py")
PEAK_MB = 300
MB = 1_000_000
RECORD = b'{"type":"RECORD","record":{"stream":"'


class Read(NamedTuple):
    """The result of one read. `messages` has the first three records of each stream that are short, `counts` all."""

    code: int
    messages: list[dict[str, Any]]
    counts: dict[str, int]
    peak_mb: float


def packed(*parts: bytes | Iterable[bytes]) -> bytes:
    """A body of several gzip members, so that a repeated part is compressed once."""
    done: dict[bytes, bytes] = {}
    body = bytearray()
    for part in parts:
        for piece in [part] if isinstance(part, bytes) else part:
            if piece not in done:
                done[piece] = gzip.compress(piece, 6)
            body += done[piece]
    return bytes(body)


def page(*rows: bytes | Iterable[bytes], before: bytes = b"", after: bytes = b"") -> bytes:
    return packed(b'{%b"results":[' % before, *rows, b"]%b}" % after)


def times(count: int, row: bytes, separator: bytes = b",") -> Iterator[bytes]:
    """`count` thousand rows."""
    block = separator.join([row] * 1000)
    yield block
    yield from repeat(separator + block, count - 1)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Any]:
    bodies: dict[str, bytes] = {}

    class Vendor(Simulator):
        def answer(self, request: Request) -> Response:
            return Response(body=bodies[request.path.strip("/")], headers={"Content-Encoding": "gzip"})

    def run(answers: Mapping[str, bytes], workers: int = 1) -> Read:
        bodies.update(answers)
        files = {
            "config": {"url": vendor.url, "names": list(answers), "workers": workers},
            "catalog": catalog(*answers, mode="full_refresh"),
        }
        command = [sys.executable, str(PROGRAM), *arguments(tmp_path, "read", (), files)]
        out = tmp_path / "out"
        with out.open("wb") as stdout:
            done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=120)
        messages, counts = [], dict.fromkeys(answers, 0)
        with out.open("rb") as lines:
            for line in lines:
                if line.startswith(RECORD):
                    name = line[len(RECORD) : line.index(b'"', len(RECORD))].decode()
                    counts[name] += 1
                    if counts[name] > 3 or len(line) > 100_000:
                        continue
                messages.append(orjson.loads(line))
        return Read(done.returncode, messages, counts, int(done.stderr.split()[-1]) / 1000)

    with Vendor() as vendor:
        yield run


SMALL = b'{"id":1,"text":"%b"}' % (b"a" * 40)


@pytest.mark.slow
def test_pages_on_which_guesses_fail_are_read_in_little_memory(read: Any) -> None:
    misleading = b'{"id":1,"text":"if (x) { },{ },\\n{","list":[{"a":[{}]},{"b":"}"}]}'
    found = read(
        {
            "late": page(times(100, SMALL), before=b'"junk":"%b",' % (b"j" * MB)),
            "misled": page(times(50, misleading)),
            "scattered": page(times(50, SMALL, separator=b" ,\t")),
            "large_rows": page(*[b'{"text":"%b"}%b' % (b"t" * 9 * MB, b"," * (n < 3)) for n in range(4)]),
            "tail": page(times(20, SMALL), after=b',"next":"%b"' % (b"n" * MB)),
            "keys": page(*[b'%b{"%d%b":1}' % (b"," * (n > 0), n, b"Key" * 300_000) for n in range(12)]),
            "columns": page(b"{%b}" % b",".join(b'"c%d":1' % n for n in range(150_000))),
        }
    )
    assert errors(found.messages) == []
    assert found.counts == {
        "late": 100_000,
        "misled": 50_000,
        "scattered": 50_000,
        "large_rows": 4,
        "tail": 20_000,
        "keys": 12,
        "columns": 1,
    }
    assert found.peak_mb < PEAK_MB


def nested(depth: int) -> bytes:
    return b'{"id":1,"deep":%b%b}' % (b"[" * depth, b"]" * depth)


@pytest.mark.slow
def test_what_is_beyond_a_limit_ends_its_own_stream_with_a_sentence(read: Any) -> None:
    answers = {
        "row": page(b'{"text":"', repeat(b"a" * MB, 40), b'"}'),
        "row_of_objects": page(b'{"list":[', times(2000, b"{}"), b"]}"),
        "row_of_escapes": page(b'{"list":"', repeat(b'\\"\\\\' * 250_000, 40), b'"}'),
        "before": packed(b'{"junk":"', repeat(b"j" * MB, 40), b'","results":[{"id":1}]}'),
        "after": page(times(2, SMALL), after=b',"junk":"%b"' % (b"j" * 20 * MB)),
        "no_rows": packed(b'{"junk":[', times(1000, b"[1]"), b"]}"),
        "document": packed(b'{"junk":"', repeat(b"j" * MB, 40), b'"}'),
        "bomb": packed(b'{"results":[', repeat(b" " * MB, 4000), b"]}"),
        "deep": page(nested(2000)),
        "very_deep": page(SMALL, b",", nested(3 * MB)),
        "small": page(SMALL),
    }
    found = read(answers)
    messages = {error["stream_descriptor"]["name"]: error for error in errors(found.messages)}
    assert set(messages) == set(answers) - {"small"}
    for name, error in messages.items():
        assert error["message"].startswith(f"Stream {name}: Acme sent "), error
        assert error["failure_type"] == "system_error"
        assert statuses(found.messages, name)[-1] == "INCOMPLETE"
    assert statuses(found.messages, "small")[-1] == "COMPLETE"
    assert found.counts["after"] == 2000
    assert found.peak_mb < PEAK_MB


@pytest.mark.slow
def test_unusual_rows_within_the_limits_are_emitted(read: Any) -> None:
    digits = b"9" * MB
    found = read({"odd": page(nested(600), b",", nested(990), b',{"id":%b,"float":0.%b,"nan":NaN}' % (digits, digits))})
    deep, deeper, number = records(found.messages)
    assert (depth_of(deep["deep"]), depth_of(deeper["deep"])) == (600, 990)
    assert number == {"id": None, "float": 1.0, "nan": None}
    assert statuses(found.messages, "odd")[-1] == "COMPLETE"


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    return depth


@pytest.mark.slow
def test_several_workers_with_large_rows_stay_below_the_limit(read: Any) -> None:
    row = b'{"text":"%b"}' % (b"t" * 15 * MB)
    found = read({f"large{n}": page(row, b",", row, b",", row) for n in range(4)}, workers=4)
    assert errors(found.messages) == []
    assert set(found.counts.values()) == {3}
    assert found.peak_mb < PEAK_MB
