"""`native` writes the same lines as Python does, byte for byte, whatever the rows hold."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.http.rows import RowReader
from source_kit.json_text import BadDocument, dumps
from source_kit.limits import TooLarge
from source_kit.output import RecordEncoder
from source_kit.stream import RecordLines
from source_pendo import native_records
from source_pendo.client import connect
from source_pendo.config import Config
from source_pendo.event_rows import cut, decoded, visitor_of
from source_pendo.streams.event_days import Reading
from source_pendo.streams.grouped_events import PageEvents

DAY = date(2026, 3, 1)
READING = Reading(DAY.isoformat(), "2026-03-20T00:00:00.000Z")
#: The columns of a usual row, with values that `native` writes itself
USUAL: dict[str, str] = {
    "visitorId": '"ann"',
    "accountId": '"a"',
    "appId": "-323232",
    "pageId": '"p"',
    "day": "1772341200000",
    "hour": "1772341200000",
    "firstTime": "1772341200123",
    "lastTime": "null",
    "latitude": "40.7128",
    "numEvents": "10",
    "userAgent": '"Mozilla/5.0 (X11)"',
    "parameters": '{"a":[1,2.5,{}],"b":{"c":null}}',
    "server": '""',
    "isFrustrated": "false",
}
NAMES = (
    *USUAL,
    *('"', "\\", "", " ", "a.b", "class", "self", "ä", "Ä", "\u2028", "\x00", "\ud800", "x" * 300),
    *("visitor_id", "VisitorId", "visitorID", "recordId", "record_id", "readDay", "read_at", "numMinutes", "week"),
)
STRINGS = (
    *('""', '" "', '"ä"', '"日本語"', '"😀"', '"\u2028\x7f"', '"a/b"', '"x' + "y" * 100 + '"'),
    *(r'"\u0026\u003c\u003E"', r'"\/"', r'"\""', r'"\\"', r'"\b\f\n\r\t"', r'"\u0000"', r'"\u001f"', r'"\u0022"'),
    *(r'"\u005c"', r'"\u007f"', r'"\u0080"', r'"\u00e9"', r'"\ud83d\ude00"', r'"\ud800"', r'"\udc00x"', r'"\\u0041"'),
    *('"1772341200000"', '"2026-03-01T00:00:00Z"', '"0"', '"null"', '"},{"', '"]}"'),
)
NUMBERS = (
    *("0", "-0", "1", "-1", "0.0", "-0.0", "1.0", "-1.5", "1.50", "0.1", "0.001", "0.0001", "0.00001", "123.456"),
    *("1e5", "1E5", "1e-7", "1e22", "1e308", "1e309", "1e999", "-1e999", "1.0e0", "0e0", "100.0", "1234567890.123456"),
    *("999999999999999", "9999999999999999", "999999999999999999", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "1" * 40, "123456789012345.0", "0.30000000000000004", "4.9e-324"),
    *(
        "-9223372036854775808",
        "-9223372036854775809",
        "253402300799999",
        "253402300800000",
        "-1772341200000",
        "-62135596800001",
    ),
    *("1772341200000.0", "1772341200000.5", "0.1e1", "12345678.90123456", "99999999999999.9", "0.123456789012345"),
)
#: What neither decoder takes, and what only the tolerant one takes
BROKEN = ("NaN", "Infinity", "-Infinity", '"\xff"', '"\x01"', "01", "1.", "tru", r'"\x"', '{"a":1,}', "[1,]", "+1", "")
DEEP = tuple("[" * depth + "]" * depth for depth in (31, 32, 33, 34, 300, 990, 999, 1003, 1010, 1030, 3000))


def lines_of(item: Any, stream: str = "page_events") -> bytes:
    """The lines of an item of a slice, with a fixed time of emission."""
    data = item.data if isinstance(item, RecordLines) else RecordEncoder(stream)(item).lines if item else b""
    return re.sub(rb'^(.{0,80}"emitted_at":)[0-9]+', rb"\g<1>0", data, flags=re.MULTILINE)


def page_events(period: Any = "day") -> PageEvents:
    config = Config(api_key="any", api_url="https://example.com", period=period)
    return PageEvents(config, connect(config))


def by_orjson(stream: PageEvents, body: bytes, chunk: int) -> bytes:
    """The lines that Python makes of rows that orjson decodes."""
    rows = [row for part in RowReader(BytesIO(body), "results", chunk) for row in part]
    return lines_of(stream.records(rows, stream.ids(rows, READING), READING))


def by_items(stream: PageEvents, body: bytes, chunk: int) -> bytes:
    """The lines that the stream emits for rows that it cuts, after it has learned the usual columns."""
    stream.items([dumps({name: json.loads(text) for name, text in USUAL.items()})], READING)
    rows = [row for part in RowReader(BytesIO(body), "results", chunk, stream.cut_of(DAY)) for row in part]
    return lines_of(stream.items(rows, READING))


def by_text(stream: PageEvents, body: bytes, chunk: int) -> bytes:
    """The lines that the stream emits for rows that are cut without `native`, which then reads each alone."""
    rows = [row for part in RowReader(BytesIO(body), "results", chunk, cut) for row in part]
    return lines_of(stream.items(rows, READING))


def outcome(lines: Callable[..., bytes], *args: Any) -> bytes:
    """All lines, or the name of the error."""
    try:
        return lines(*args)
    except (BadDocument, TooLarge, AirbyteTracedException, AttributeError) as error:
        return type(error).__name__.encode()


def document(rows: list[str], separator: str = ",") -> bytes:
    text = '{"results":[' + separator.join(rows) + "]}"
    return text.encode("utf-8", "surrogatepass").replace(b"\xc3\xbf", b"\xff")


class Rows:
    """Random rows, usual ones and hazards."""

    def __init__(self, seed: int, hazards: float) -> None:
        self.random = random.Random(seed)
        self.hazards = hazards

    def row(self) -> str:
        columns = dict(USUAL, visitorId=f'"v{self.random.randrange(6)}"')
        names = [name for name in columns if self.random.random() > self.hazards / 4]
        if self.random.random() < self.hazards:
            self.random.shuffle(names)
        members = [(name, columns[name]) for name in names]
        for number, (name, _) in enumerate(members):
            if self.random.random() < self.hazards / 4:
                members[number] = (name, self.value())
        while self.random.random() < self.hazards:
            members.append((self.random.choice(NAMES), self.value()))
        return self.object(members)

    def object(self, members: list[tuple[str, str]]) -> str:
        spaced = self.random.random() < self.hazards / 8
        colon, comma = (": ", ",\n") if spaced else (":", ",")
        return "{" + comma.join(f"{self.name(name)}{colon}{value}" for name, value in members) + "}"

    def name(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=self.random.random() < 0.5)

    def value(self, depth: int = 0) -> str:
        kind = self.random.random()
        if kind < 0.35:
            return self.random.choice(STRINGS)
        if kind < 0.7:
            return self.random.choice(NUMBERS)
        if kind < 0.8:
            return self.random.choice(("null", "true", "false", "{}", "[]"))
        if kind < 0.81 * self.hazards:
            return self.random.choice(DEEP[:6])
        if depth > 3:
            return "[ ]"
        if kind < 0.9:
            return "[" + ",".join(self.value(depth + 1) for _ in range(self.random.randrange(4))) + "]"
        names = [self.random.choice(NAMES) for _ in range(self.random.randrange(4))]
        return self.object([(name, self.value(depth + 1)) for name in names])


@pytest.mark.skipif(native_records.MISSING is not None, reason="native was not built")
@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 170), marks=pytest.mark.slow)], ids=["20", "150"])
@pytest.mark.parametrize("hazards", [0.02, 0.2, 0.7])
@pytest.mark.parametrize("period", ["day", "hour"])
def test_random_rows_become_the_same_lines(period: str, hazards: float, seeds: range) -> None:
    before, now, alone = page_events(period), page_events(period), page_events(period)
    for seed in seeds:
        rows = Rows(seed, hazards)
        body = document([rows.row() for _ in range(rows.random.randrange(1, 40))])
        for chunk in (512, 8192):
            expected = outcome(by_orjson, before, body, chunk)
            assert outcome(by_items, now, body, chunk) == expected, (seed, chunk)
            assert outcome(by_text, alone, body, chunk) == expected, (seed, chunk)
    assert before._undated == now._undated == alone._undated


@pytest.mark.skipif(native_records.MISSING is not None, reason="native was not built")
@pytest.mark.parametrize(
    "column",
    [
        "accountId",  # the others take a second each
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("day", "firstTime", "latitude", "parameters", "added", "nested", "list")
        ),
    ],
)
def test_each_odd_value_becomes_the_same_line(column: str) -> None:
    within = {"nested": '{"b":%s}', "list": "[0,%s]"}.get(column, "%s")
    usual = "{" + ",".join(f'"{name}":{text}' for name, text in USUAL.items()) + "}"
    for value in (*STRINGS, *NUMBERS, *BROKEN, *DEEP):
        columns = {**USUAL, column: within % value}
        odd = "{" + ",".join(f'"{name}":{text}' for name, text in columns.items()) + "}"
        body = document([usual, odd, usual.replace("ann", "bob"), odd])
        for chunk in (256, 100_000):
            expected = outcome(by_orjson, page_events(), body, chunk)
            assert outcome(by_items, page_events(), body, chunk) == expected, value
            assert outcome(by_text, page_events(), body, chunk) == expected, value


@pytest.mark.skipif(native_records.MISSING is not None, reason="native was not built")
def test_usual_rows_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with columns in any order, without some of them, and with escapes that others write."""
    stream, count = page_events(), 0
    rows = [
        {"day": 1772341200000, "visitorId": f"v{number}", "parameters": {"q": "a&b"}, **{f"c{number % 9}": 1.5}}
        for number in range(50)
    ]
    texts = [json.dumps(row, separators=(",", ":")).replace("&", r"\u0026").encode() for row in rows]
    lines_of(stream.items(cut(b"[%b]" % b",".join(texts)), READING))

    def counting(row: Any) -> Any:
        nonlocal count
        count += 1
        return decoded(row)

    monkeypatch.setattr(native_records, "decoded", counting)
    random.Random(1).shuffle(texts)
    found = stream.cut_of(DAY)(b"[%b]" % b",".join(texts))
    assert {type(row) for row in found} == {native_records.native.Row}
    expected = list(map(decoded, found))
    assert lines_of(stream.items(found, READING)) == lines_of(
        stream.records(expected, stream.ids(expected, READING), READING)
    )
    assert count == 0


@pytest.mark.skipif(native_records.MISSING is not None, reason="native was not built")
def test_thousands_of_columns_and_rows_of_a_megabyte_are_written_in_python() -> None:
    columns = ",".join(f'"column{number}":{number}' for number in range(1_500))
    rows = [f'{{"visitorId":"v{number}","day":1772341200000,{columns}}}' for number in range(3)]
    rows.append('{"visitorId":"w","day":1772341200000,"text":"%s"}' % ("x" * 1_000_000))
    body = document(rows)
    assert outcome(by_items, page_events(), body, 4096) == outcome(by_orjson, page_events(), body, 4096)


def test_without_the_compiled_module_the_records_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_records, "MISSING", "no compiler")
    rows = Rows(1, 0.2)
    body = document([rows.row() for _ in range(50)])
    assert outcome(by_items, page_events(), body, 8192) == outcome(by_orjson, page_events(), body, 8192) != b""


def test_rows_are_cut_and_their_visitors_found_whatever_they_hold() -> None:
    text = b'[{"visitorId":"a"},{"visitorId":1e999},{"x":{"visitorId":2}},{"visitorId":"b","visitorId":"c"}]'
    rows = cut(text)
    assert [visitor_of(row) for row in rows] == ["a", None, None, "c"]
    deep = b"[" * 1_010 + b"]" * 1_010
    [row] = cut(b'[{"x":%b}]' % deep)
    assert bytes(row) == b'{"x":%b}' % deep
    for broken in (b'[{"a":"\xff"}]', b'[{"a":1}', b'[{"a":01}]', rb'[{"a":"\ud800"}]'):
        with pytest.raises(ValueError, match=r"."):
            cut(broken)


@pytest.mark.skipif(native_records.MISSING is not None, reason="native was not built")
@pytest.mark.parametrize(
    "odd",
    [
        *(
            b'{"day":1,"list":[{"x":1}',
            b'{"x":1}]}',
            b'{"day":01}',
            b'{"day":1,"a":[}',
            b'{"day":1,"a":tru}',
            b"{",
            b"1",
        ),
        *(b'{"day":1,"a":"\xff"}', rb'{"day":1,"a":"\ud800"}', b'{"day":1,"a":"\x01"}', b'{"day":1,}', b'"', b""),
        *(b'{"day":1,"a":1e999}', b"{}", b'{"day": 1}', b' {"day":1} ', b'{"a":%b}' % (b"[" * 1010 + b"]" * 1010)),
    ],
    ids=lambda odd: repr(odd[:30]),
)
def test_the_stream_cuts_a_list_as_msgspec_does_or_refuses_it_as_well(odd: bytes) -> None:
    """So a body that is not JSON is asked for again, and a wrong guess of where rows end is noticed."""
    stream = page_events()
    stream.items([b'{"day":1}'], READING)
    for text in (b"[%b]" % odd, b'[{"day":1},%b]' % odd, b'[{"day":1},%b,{"day":2}]' % odd):
        try:
            expected = list(map(bytes, cut(text)))
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                stream.cut_of(DAY)(text)
        else:
            assert list(map(bytes, stream.cut_of(DAY)(text))) == expected
