"""Whatever a vendor writes, a destination reads the same from a raw row as from one that was decoded and encoded."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from source_customerio.raw_decoder import MISSING, RawRowDecoder
from source_kit.http.rows import RowReader
from source_kit.json_text import BadDocument
from source_kit.limits import TooLarge
from source_kit.output import RECORD_TAIL, RecordEncoder
from source_kit.raw_rows import RawRows

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"native was not built: {MISSING}")

DECODER = RawRowDecoder({"id": str, "created": int})
#: Values that some parser reads in its own way or refuses, valid and not
HAZARDS = [
    *(b"-0", b"-0.0", b"1E5", b"1e-999", b"0.1234567890123456789", b"18446744073709551615", b"18446744073709551616"),
    *(b"-9223372036854775809", b"1" * 300, b"1" * 308, b"1" * 309, b"9" * 5000, b"0." + b"3" * 400, b"1.5e308"),
    *(
        b"1" * 208 + b"e99",
        b"1" * 250 + b"e99",
        b"-" + b"2" * 299 + b".5E+99",
        b"3e123",
        b"1e+99",
        b"1e+309",
        b"1e00000309",
    ),
    *(
        b'"3e4567"',
        b'"3e4567 "',
        b'"0e0000e000"',
        b"[1e99,2e999,3e-999]",
        b"5e1 ",
        b"5e309 ",
        b"[5e309\t]",
        b'{"5e309":1}',
    ),
    *(b"1e999", b"-1e+999", b"1.0E0999", b"NaN", b"-Infinity", b"01", b"1.", b".5", b"+1", b"True", b"nul"),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\ud83d\\u0041"', b'"\\u0000"', b'"\\u12"', b'"\\x"'),
    *(b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x80\xa8"', b'"\xef\xbb\xbf"'),
    *(b'"\x01"', b'"\x7f"', b'"a\tb"', b'"a\nb"', b'"\\n\\r\\t\\/\\""', b'"},{"', b'"1e999,"', b'": 1e999, "', b'"}]"'),
    *(b'{"a":1,"a":{"a":2},"b":3,"a":4}', b'{"created":1,"id":"x"}', b'{"":0}', b"[1,]", b'{"a":1,}', b"{1:2}", b"[]"),
    *(b"[" * 300 + b"]" * 300, b"[" * 1500 + b"]" * 1500, b'{"a":' * 1100 + b"1" + b"}" * 1100, b"\xef\xbb\xbf1"),
]
NAMES = [
    b'"a"',
    b'"b"',
    b'"\xc3\xa9"',
    b'"\\u0061"',
    b'"\\ud800"',
    b'"\xff"',
    b'"created"',
    b'"cr\\u0065ated"',
    b'"id"',
]
SPACES = [b"", b"", b"", b" ", b"\t", b"\n", b"\r\n", b"\x0b", b"\xc2\xa0"]


class Pages:
    """Pages of random rows. `hazard` is how likely a value, a name or a space is one of the dangerous ones."""

    def __init__(self, seed: int, hazard: float) -> None:
        self._random = random.Random(seed)
        self._hazard = hazard

    def page(self) -> bytes:
        rows = (b"," + self._space()).join(self._row() for _ in range(self._random.randrange(1, 12)))
        return b'{"rows":[%b%b%b],"next":"n"}' % (self._space(), rows, self._space())

    def _row(self) -> bytes:
        members = [b'"id":"%d"' % self._random.randrange(99), b'"created":%d' % self._random.randrange(1, 2**40)]
        members += [self._member(0) for _ in range(self._random.randrange(5))]
        self._random.shuffle(members)
        return b"{" + b",".join(members) + self._space() + b"}"

    def _member(self, depth: int) -> bytes:
        name = self._random.choice(NAMES) if self._dangerous() else b'"n%d"' % self._random.randrange(9)
        return name + self._space() + b":" + self._space() + self._value(depth)

    def _value(self, depth: int) -> bytes:
        if self._dangerous():
            return self._random.choice(HAZARDS)
        kind = self._random.randrange(8 if depth < 3 else 6)
        if kind == 7:
            return b"[" + b",".join(self._value(depth + 1) for _ in range(self._random.randrange(4))) + b"]"
        if kind == 6:
            return b"{" + b",".join(self._member(depth + 1) for _ in range(self._random.randrange(4))) + b"}"
        values = (
            b"null",
            b"true",
            b"%d" % self._random.randrange(10**18),
            b"-1.25",
            b'"text 1e5"',
            '"é },{ 😀"'.encode(),
        )
        return values[kind]

    def _space(self) -> bytes:
        return self._random.choice(SPACES) if self._dangerous() else b""

    def _dangerous(self) -> bool:
        return self._random.random() < self._hazard


def written(page: bytes, decode: Callable[[bytes], Any], chunk: int) -> tuple[list[bytes] | None, int]:
    """The data of the records of a page, None if it is refused; and how many of the rows were raw."""
    lines, raw = b"", 0
    try:
        for rows in RowReader(io.BytesIO(page), "rows", chunk, decode):
            lines += RecordEncoder("s")(rows).lines
            raw += len(rows) if isinstance(rows, RawRows) else 0
    except (BadDocument, TooLarge):
        return None, 0
    found = lines.splitlines(keepends=True) if b"\r" not in lines else lines.split(b"\r")
    assert all(line.endswith(RECORD_TAIL) for line in found)
    return [line.split(b'"data":', 1)[1].removesuffix(RECORD_TAIL) for line in found], raw


def exact(text: bytes) -> str:
    """What Python's json reads, in order, with integers beyond 64 bits as floats."""
    return repr(json.loads(text, parse_int=lambda digits: orjson.loads(digits)))


@pytest.mark.slow
@pytest.mark.parametrize("hazard", [0.0, 0.002, 0.02])
@pytest.mark.parametrize("chunk", [150, 100_000])
def test_raw_rows_are_read_as_decoded_ones(hazard: float, chunk: int) -> None:
    refused = raw_rows = rows = 0
    pages = Pages(seed=7, hazard=hazard)
    for _ in range(600):
        page = pages.page()
        (raw, count), (decoded, _) = written(page, DECODER, chunk), written(page, orjson.loads, chunk)
        if raw is None or decoded is None:
            assert raw is decoded
            refused += 1
            continue
        assert list(map(exact, raw)) == list(map(exact, decoded))
        assert list(map(orjson.loads, map(shallow, raw))) == list(map(orjson.loads, map(shallow, decoded)))
        raw_rows += count
        rows += len(raw)
    assert refused < 300
    assert raw_rows > rows / 10
    assert hazard or raw_rows == rows


def shallow(row: bytes) -> bytes:
    """A row that orjson, which ends at a depth of 1,024, can read."""
    return row if row.count(b"[") + row.count(b"{") < 1000 else b"{}"


@pytest.mark.parametrize("value", HAZARDS, ids=range(len(HAZARDS)))
def test_each_dangerous_value(value: bytes) -> None:
    page = b'{"rows":[{"id":"1","created":1,"v":%b},{"id":"2","created":2}]}' % value
    (raw, _), (decoded, _) = written(page, DECODER, 100_000), written(page, orjson.loads, 100_000)
    assert (raw is None) == (decoded is None)
    assert list(map(exact, raw or [])) == list(map(exact, decoded or []))


@pytest.mark.parametrize(
    "row",
    [
        '{"id":"1","created":1}',
        '{"id":"","created":-0}',
        '{"created":-999999999999999999,"id":"long enough for a word \x7f日本"}',
        '{"x":[{},[],{"y":"},{ 1e999"}],"id":"é","created":5,"n":123456789012345678}',
        f'{{"id":"1","created":1,"long":"{"x" * 5000}","list":[{"1," * 5000}1]}}',
        '{"id":"7e1234","created":1,"v":1e5,"w":[-1.5E+99,2e-30],"x":0.1234567890123456,"y":"1e999","1e999":{"1e9999":0}}',
        '{"id":"1","created":1,"v":"\\u0000\\ud7ff\\uE000\\/\\\\","w":{"\\n":true,"a":false,"a":null}}',
        f'{{"id":"1","created":1,"v":{"[" * 63}{"]" * 63}}}',
    ],
)
def test_usual_rows_are_passed_as_they_came(row: str) -> None:
    rows = DECODER(f"[{row},{row}]".encode())
    assert isinstance(rows, RawRows)
    assert rows.texts == [row.encode()] * 2
    assert rows.columns == {name: [json.loads(row)[name]] * 2 for name in ("id", "created")}
    assert rows.decoded() == [orjson.loads(row)] * 2


@pytest.mark.parametrize(
    "row",
    [
        b"{}",
        b"null",
        b'["1",1]',
        b'{"id":"1"}',
        b'{"id":1,"created":1}',
        b'{"id":null,"created":1}',
        b'{"id":"\\n","created":1}',
        b'{"id":"1","created":"1"}',
        b'{"id":"1","created":1.0}',
        b'{"id":"1","created":1e5}',
        b'{"id":"1","created":true}',
        b'{"id":"1","created":1234567890123456789}',
        b'{"id":"1","created":1,"id":"2"}',
        b'{"id":"1","created":1,"cr\\u0065ated":2}',
        b'{"id":"1","created":1,"v":1e100}',
        b'{"id":"1","created":1,"v":[1E+300]}',
        b'{"id":"1","created":1,"v":1.5e0001}',
        b'{"id":"1","created":1,"v":1.23456789012345678}',
        b'{"id":"1","created":1,"v":1234567890123456789}',
        b'{"id":"1","created":1,"v":"\\ud83d\\ude00"}',
        b'{"id":"1","created":1, "v":1}',
        b'{"id":"1","created":1} ',
        b'{"id":"1","created":1,\n"v":1}',
        b'{"id":"1","created":1,"v":[[]\r]}',
        b'{"id":"1","created":1,"v":%b%b}' % (b"[" * 64, b"]" * 64),
        b'{"id":"1","created":1,"v":%b1%b}' % (b'{"a":' * 64, b"}" * 64),
    ],
)
def test_other_rows_are_decoded(row: bytes) -> None:
    rows = DECODER(b'[{"id":"1","created":1},%b]' % row)
    assert isinstance(rows, list)
    assert rows[0] == {"id": "1", "created": 1}
    assert orjson.dumps(rows[1:])[1:-1] == orjson.dumps(orjson.loads(row))


NOT_JSON = [
    *(b"", b"[", b"[{}", b"[{}]]", b"[{},]", b"{}x", b'[{"id":"1","created":1}x]'),
    *(
        b'[{"id":"1","created":1,"v":%b}]' % value
        for value in (b"01", b"-", b"1.", b".5", b"1e", b"1e+", b"tru", b"nul")
    ),
    *(
        b'[{"id":"1","created":1,"v":%b}]' % value
        for value in (b'"\\', b'"\\u00', b'"\\x"', b'"\\u00g0"', b'"\t"', b"[1,]")
    ),
    *(b'[{"id":"1","created":1,"v":"%b"}]' % text for text in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80")),
    *(b'[{"id":"1","created":1,%b}]' % rest for rest in (b"", b'"v"', b'"v":', b"1:1", b'"v":{"a":1,}', b'"v":{"a"}')),
]


@pytest.mark.parametrize("text", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"utf-8|column"):
        DECODER(text)


def test_every_beginning_of_a_list_is_refused() -> None:
    """Texts end at every place; the sanitizers of the fuzz tests see a byte too far."""
    text = b'[{"id":"a","created":12,"v":[true,null,-1.5e+9,"\\u00e9\\n"]},{"created":1,"id":"b"}]'
    assert isinstance(DECODER(text), RawRows)
    for size in range(len(text)):
        with pytest.raises(orjson.JSONDecodeError):
            DECODER(text[:size])


@pytest.mark.parametrize("columns", [{}, {str(number): int for number in range(9)}])
def test_the_number_of_columns_has_limits(columns: dict[str, type]) -> None:
    with pytest.raises(ValueError, match="columns; 1 to 8 are possible"):
        RawRowDecoder(columns)(b"[]")


CUT_PAGES = (
    b'{"a":1,"rows":[{"id":"1","created":1,"x":[{"b":1},{"c":"}]"}]},{"id":"2","created":2}],"next":{"rows":[{}]}}',
    b'{"rows":[\n{"id":"1","created":1} , {"id":"2","created":2,"t":"],[{"}\n] }',
    b'{"rows":[ ],"next":[{"id":"1","created":1}]}',
)


@pytest.mark.parametrize("page", CUT_PAGES, ids=["nested", "spaces", "empty"])
def test_a_page_that_is_cut_or_has_more_behind_it_is_refused_wherever_that_is(page: bytes) -> None:
    for chunk in (1, 3, 7, 30, 1_000):
        assert written_count(page, chunk) == page.count(b'"id":') * (b"[ ]" not in page)
        assert not [end for end in range(len(page)) if written_count(page[:end], chunk) is not None]
        assert not [
            end for end in (b"x", b"]", b"}", b",", b"{}", b"\0") if written_count(page + end, chunk) is not None
        ]


def written_count(page: bytes, chunk: int) -> int | None:
    """The number of rows, None if the page is refused."""
    try:
        return sum(map(len, RowReader(io.BytesIO(page), "rows", chunk, DECODER)))
    except BadDocument:
        return None
