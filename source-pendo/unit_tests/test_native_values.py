"""Numbers, instants, objects and digests that `native` writes, in masses, against Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import product
from typing import Any

import orjson
import pytest
from source_kit.json_text import dumps
from source_pendo.values import instant

native = pytest.importorskip("source_pendo.compiled.native", reason="native was not built")


def lines_and_digests(writer: Any, texts: list[bytes], identity_head: bytes) -> tuple[list[bytes], list[str]]:
    """Line and digest of each row, read one by one. Empty: it was refused."""
    rows = [read[0][0] if (read := writer.read(b"[%b]" % text, identity_head)) else None for text in texts]
    lines = [(native.join([row], b"", b"", b"") or b"") if row else b"" for row in rows]
    return lines, [(row.digest or "") if row else "" for row in rows]


def written(members: list[bytes], identity_head: bytes = b"[") -> list[bytes]:
    """Records of a time `t` and a value `v`, without their end. Empty: it was refused. Digests are checked."""
    writer = native.Writer(((b"t", b',"t":', True, 0), (b"v", b',"v":', False, 1)), 0, 2)
    lines, digests = lines_and_digests(writer, [b"{%b}" % text for text in members], identity_head)
    for text, line, digest in zip(members, lines, digests, strict=True):
        if line:
            row = orjson.loads(b"{%b}" % text)
            identity = dumps([row["t"] or None, row.get("v") or None], sort_keys=True)[1:]
            assert digest == blake2b(identity_head + identity, digest_size=16).hexdigest(), text
            assert line.endswith(digest.encode())
    return [line[: -len(digest)] for line, digest in zip(lines, digests, strict=True)]


def compare_values(values: list[bytes]) -> int:
    """How many values are written; they are JSON, and as Python writes them."""
    lines = written([b'"t":1,"v":%b' % value for value in values])
    for value, line in zip(values, lines, strict=True):
        if line:
            assert line == dumps({"t": instant(1), "v": orjson.loads(value)})[:-1], value
    return sum(map(bool, lines))


@pytest.mark.slow
def test_short_numbers_are_written_as_python_writes_them() -> None:
    wholes = [str(number) for number in (*range(12), 99, 100, 1000, 12345, 2**31, 2**53, 10**15, 10**16, 10**17)]
    digits = ["".join(some) for length in range(1, 5) for some in product("01259", repeat=length)]
    behind = [*digits, *("0" * zeros + "1" for zeros in range(25)), "e5", "E-5", "0e1"]
    numbers = [f"{sign}{whole}{rest}" for sign in ("", "-") for whole in wholes for rest in ("", *behind)]
    points = [f"{sign}{whole}.{rest}" for sign in ("", "-") for whole in wholes for rest in behind]
    texts = [text.encode() for text in (*numbers, *points)]
    assert compare_values(texts) > len(texts) // 4


@pytest.mark.slow
def test_long_numbers_are_written_as_python_writes_them() -> None:
    rng = random.Random(1)
    texts = []
    for _ in range(100_000):
        digits = str(rng.randrange(10 ** rng.randrange(1, 20)))
        place = rng.randrange(len(digits)) + 1
        text = rng.choice(("", "-")) + digits[:place] + "." * (place < len(digits)) + digits[place:]
        texts.append(text.encode())
    assert compare_values(texts) > 50_000


@pytest.mark.slow
def test_all_shortest_decimals_are_written() -> None:
    """Those of up to 15 digits that are not too small: a decimal of Pendo's is one of them."""
    rng = random.Random(2)
    numbers = [round(rng.uniform(-180, 180), rng.randrange(1, 13)) for _ in range(20_000)]
    texts = [dumps(number) for number in numbers if abs(number) >= 1]
    assert compare_values(texts) == len(texts)


def instants() -> Iterator[int]:
    """The borders of each month, and those of what is an instant."""
    yield from (1, 999, 1000, 253402300799999)
    for year in range(1970, 10_000):
        for month in range(1, 13):
            border = int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000
            yield border + 86_399_999 * (1 + month % 3)
            if border:
                yield from (border, border - 1)


@pytest.mark.slow
def test_instants_are_written_as_python_writes_them() -> None:
    chosen = list(instants())
    for millis, line in zip(chosen, written([b'"t":%d' % millis for millis in chosen]), strict=True):
        assert line == dumps({"t": instant(millis)})[:-1], millis


@pytest.mark.parametrize(
    "text", [b"0", b"-1", b"253402300800000", b"01", b"1.0", b'"1"', b"true", b"9" * 15, b"9" * 30, b"null"]
)
def test_other_instants_are_left_to_python(text: bytes) -> None:
    """Null and 0, too: the table requires a time."""
    assert written([b'"t":' + text]) == [b""]


def test_objects_keep_their_order_and_are_hashed_in_sorted_order() -> None:
    rng = random.Random(3)
    names = ["", "a", "b", "aa", "ab", "A", " ", "ä", "\U0001f600", "\uffff", "~", "0"]

    def value(depth: int) -> object:
        if depth == 4 or rng.random() < 0.2:
            return rng.choice((1, "]}", '\\"', "", None, {}, []))
        items = [value(depth + 1) for _ in range(rng.randrange(5))]
        return items if rng.random() < 0.3 else dict(zip(rng.sample(names, len(items)), items, strict=True))

    texts = [dumps(value(0)) for _ in range(3_000)]
    assert compare_values(texts) == len(texts)


@pytest.mark.parametrize(
    ("count", "is_written"), [pytest.param(64, True, id="64-members"), pytest.param(65, False, id="65-members")]
)
def test_objects_have_a_limit_of_members(count: int, is_written: bool) -> None:
    names = [str(number) for number in range(count)]
    random.Random(4).shuffle(names)
    assert compare_values([dumps(dict.fromkeys(names, 1))]) == is_written


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":1}', b'{"b":1,"a":2,"b":3}', b'{"b":1,"a":2,"c":3,"a":4}', rb'{"\u0061":1}']
)
def test_objects_with_a_name_twice_or_with_an_escape_are_left_to_python(text: bytes) -> None:
    assert compare_values([text]) == 0


def test_digests_of_all_lengths_are_those_of_hashlib() -> None:
    for length in range(400):
        assert written([b'"t":1'], b"x" * length) != [b""]


@pytest.mark.slow
def test_threads_share_a_writer() -> None:
    """Each thread's rows have an order of columns of their own, which a writer remembers."""
    columns = tuple((b"c%d" % number, b',"c%d":' % number, False, number) for number in range(8))
    writer = native.Writer(columns, 0, 8)

    def write(seed: int) -> bool:
        numbers = random.Random(seed).sample(range(8), 8)
        row = b"{%b}" % b",".join(b'"c%d":{"b":%d,"a":0}' % (number, seed) for number in numbers)
        rows, _ = writer.read(b"[%b]" % b",".join([row] * 500), b"[")
        digests, lines = [one.digest for one in rows], [native.join([one], b"", b"", b"") for one in rows]
        [digest] = set(digests)
        return set(lines) == {row[:-1] + digest.encode()}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(400)))


def test_rows_are_the_bytes_of_their_text_and_live_on_without_the_writer() -> None:
    writer = native.Writer(((b"t", b',"t":', True, 0),), 0, 1)
    texts = [b'{"t":%d}' % number for number in range(1, 1_001)]
    rows, refused = writer.read(b"[%b]" % b",".join(texts), b"[")
    assert refused == []
    writer.read(b'[{"t":5}]', b"[")
    del writer
    assert list(map(bytes, rows)) == texts
    lines = native.join(rows[9:], b"<", b"|", b">").split(b">")
    assert lines[0] == b'<{"t":"1970-01-01T00:00:00.010Z"|' + rows[9].digest.encode()
    assert len(lines) == 992


def test_rows_of_one_digest_and_what_is_no_row_are_not_joined() -> None:
    writer = native.Writer(((b"t", b',"t":', True, -1), (b"v", b',"v":', False, 0)), 0, 1)
    rows, _ = writer.read(b"[%b]" % b",".join(b'{"t":1,"v":%d}' % number for number in range(300)), b"[")
    assert native.join(rows, b"", b"", b"") is not None
    assert native.join([*rows, rows[7]], b"", b"", b"") is None
    assert native.join([*rows, b'{"t":1}'], b"", b"", b"") is None
    assert native.join([], b"", b"", b"") == b""


@pytest.mark.parametrize(
    "odd",
    [
        *(b'{"t":01}', b"{}", b'{"t":1,"x":1}', b'{"t":1,"v":1e5}', b'{"t":1,"v":{"a":[1e5,{"b":"]}"}]}}', b'{"t": 1}'),
        *(rb'{"t":1,"v":"\ud83d\ude00"}', rb'{"t":1,"v":["\\\"}{",1e5]}', b'{"v":"x"}', b'{"t":1,"v":"\x01}]"}'),
    ],
    ids=repr,
)
def test_rows_that_are_refused_are_cut_by_their_brackets(odd: bytes) -> None:
    writer = native.Writer(((b"t", b',"t":', True, -1), (b"v", b',"v":', False, 0)), 0, 1)
    texts = [b'{"t":1}', odd, b'{"t":2,"v":1}', odd]
    rows, refused = writer.read(b"[%b]" % b",".join(texts), b"[")
    assert [bytes(row) for row in rows] == texts
    assert refused == [rows[1], rows[3]]
    assert [row.digest is None for row in rows] == [False, True, False, True]
    assert native.join(rows, b"", b"", b"") is None
    assert native.join([rows[0], rows[2]], b"", b"", b"\n").count(b"\n") == 2


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[", b"[]", b"{}", b'{"t":1}', b'[{"t":1}', b'[{"t":1},', b'[{"t":1},]', b'[{"t":1}]]', b'[{"t":1}] '),
        *(
            b'[,{"t":1}]',
            b'[{"t":1}{"t":2}]',
            b'[{"t":1},{"t":2]',
            b'[{"t":1}, {"t":2}]',
            b'[{"t":1},2]',
            b'[[{"t":1}]]',
        ),
        *(
            b'[{"t":01',
            b'[{"t":01,"x',
            b'[{"t":01,"x\\',
            b'[{"t":01,"x\\"',
            b'[{"t":01,"v":[}]',
            b'[{"t":1,"v":[{"t":1}]',
        ),
        b'[{"t":1%b}]' % (b" " * 2_000_000),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_lists_that_are_cut_or_odd_are_left_to_python(text: bytes) -> None:
    writer = native.Writer(((b"t", b',"t":', True, 0),), 0, 1)
    assert writer.read(text, b"[") is None


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        pytest.param((1,), TypeError, id="no-tuple"),
        pytest.param(((b"a",),), TypeError, id="too-short"),
        pytest.param(((b"a", b"", False, 0),), ValueError, id="without-our-name"),
        pytest.param(((b"a", b',"a":', False, 1),), ValueError, id="outside-of-the-identity"),
        pytest.param((), ValueError, id="no-required-column"),
    ],
)
def test_a_table_with_a_mistake_is_an_error(columns: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"column|argument|function"):
        native.Writer(columns, 0, 1)


def test_a_time_of_zero_is_no_time() -> None:
    """A row without a recording has it in `lastKeyFrameTimestamp` (the vendor's sample)."""
    writer = native.Writer(((b"t", b',"t":', True, 0), (b"v", b',"v":', True, -1)), 0, 1)
    [line], _ = lines_and_digests(writer, [b'{"t":1,"v":0}'], b"[")
    assert [instant(0), instant(0.0), instant("0")] == [None] * 3
    assert line.startswith(dumps({"t": instant(1), "v": None})[:-1])
