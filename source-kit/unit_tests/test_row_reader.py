"""The rows of any page are those that json finds, in memory that depends on the chunk only."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_kit.http.rows import RowReader
from source_kit.json_text import BadDocument, UnexpectedShape, loads

#: Text that looks like JSON around rows
TRICKY = st.sampled_from(
    [
        "},{",
        '"},{"',
        "}, {",
        "},\n{",
        '{"results":[',
        '"results":[',
        "\\",
        '\\"',
        "[[{{",
        "}}]]",
        "}",
        "{",
        "é\u2028",
        "😀",
    ]
)
TEXT = st.text(max_size=6) | TRICKY
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
KEYS = TEXT | st.sampled_from(["results", "id", "envelope"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
ROWS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=30)
MEMBERS = st.dictionaries(KEYS.filter(lambda key: key != "results"), VALUES, max_size=3)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (",\n", ": "), (",\r\n", " : "), (" ,\t", ":")])
CHUNKS = st.sampled_from([1, 2, 7, 20, 64, 300, 5000])


def read(body: bytes, key: str | None = "results", chunk: int = 64) -> tuple[list[Any], dict[str, Any]]:
    reader = RowReader(io.BytesIO(body), key, chunk)
    rows = [row for piece in reader for row in piece]
    return rows, reader.envelope


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(before=MEMBERS, rows=ROWS, after=MEMBERS, style=STYLES, ascii_only=st.booleans(), chunk=CHUNKS)
def test_rows_and_envelope_are_what_json_finds(
    before: dict[str, Any], rows: list[Any], after: dict[str, Any], style: tuple[str, str], ascii_only: bool, chunk: int
) -> None:
    document = {**before, "results": rows, **{key: value for key, value in after.items() if key not in before}}
    body = to_bytes(document, style, ascii_only)
    found, envelope = read(body, chunk=chunk)
    assert found == rows
    assert envelope == {key: value for key, value in document.items() if key != "results"}


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(rows=ROWS, style=STYLES, chunk=CHUNKS, indent=st.none() | st.integers(0, 3))
def test_rows_of_a_document_that_is_an_array_are_found(
    rows: list[Any], style: tuple[str, str], chunk: int, indent: int | None
) -> None:
    body = b" \n" + json.dumps(rows, separators=style, indent=indent).encode()
    assert read(body, None, chunk)[0] == rows


def to_bytes(document: Any, style: tuple[str, str], ascii_only: bool) -> bytes:
    return json.dumps(document, separators=style, ensure_ascii=ascii_only).encode()


@pytest.mark.parametrize("chunk", [1, 9, 40, 10_000])
@pytest.mark.parametrize(
    ("body", "rows", "envelope"),
    [
        (b'{"results":[],"next":"n"}', [], {"next": "n"}),
        (b'{"results":null,"next":null}', [], {"next": None}),
        (b'{"a":{"results":[{"x":1},{"x":2}]},"results":[{"y":1},{"y":2}]}', [{"y": 1}, {"y": 2}], None),
        (b'{"a":"\\"results\\":[","results":[{"y":1},{"y":2}]}', [{"y": 1}, {"y": 2}], None),
        (b'{"a":"results","results" : [ {"y":1} , {"y":2} ] }', [{"y": 1}, {"y": 2}], {"a": "results"}),
        (b'{"r\\u0065sults":[{"y":1},{"y":2}]}', [{"y": 1}, {"y": 2}], {}),
        (b'{"results":[1,"},{",null,[{}],{"y":2}],"z":[{"a":1},{"b":2}]}', [1, "},{", None, [{}], {"y": 2}], None),
        (b'{"results":[{"y":1},{"y":2}],"z":[{"a":1},{"b":2}]}', [{"y": 1}, {"y": 2}], {"z": [{"a": 1}, {"b": 2}]}),
        (
            b'{"results":[{"n":9223372036854775807},{"n":-9223372036854775808}]}',
            [{"n": 2**63 - 1}, {"n": -(2**63)}],
            {},
        ),
        (b'{"results":[{"n":18446744073709551615}]}', [{"n": 2**64 - 1}], {}),
    ],
)
def test_misleading_pages(body: bytes, rows: list[Any], envelope: dict[str, Any] | None, chunk: int) -> None:
    found, rest = read(body, chunk=chunk)
    assert found == rows
    if envelope is not None:
        assert rest == envelope


@pytest.mark.parametrize("chunk", [1, 30, 10_000])
@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        (b"NaN", None),
        (b"-Infinity", None),
        (b"1e999", None),
        (b'"\\ud800 lone"', "\ufffd lone"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"bad \xff utf-8"', "bad \ufffd utf-8"),
    ],
)
def test_invalid_numbers_and_text_are_replaced_and_the_row_is_emitted(
    value: bytes, read_as: str | None, chunk: int
) -> None:
    rows = b",".join(b'{"n":%d,"v":%b}' % (n, value) for n in range(20))
    found, envelope = read(b'{"results":[%b],"next":1}' % rows, chunk=chunk)
    assert found == [{"n": n, "v": read_as} for n in range(20)]
    assert envelope == {"next": 1}


@pytest.mark.parametrize("body", [b'{"results":[{"a":1},{"a":', b'{"results":[{"a":1}]', b"<html>", b"", b"{", b"[1,]"])
@pytest.mark.parametrize("key", ["results", None])
def test_a_page_that_is_not_json_is_an_error(body: bytes, key: str | None) -> None:
    with pytest.raises(BadDocument):
        read(body, key)


@pytest.mark.parametrize(
    ("body", "key", "message"),
    [
        (b'{"errors":["no"]}', "results", "the answer has no 'results'"),
        (b"[]", "results", "the answer has no 'results'"),
        (b"null", "results", "the answer has no 'results'"),
        (b'{"results":{"a":1}}', "results", "a list was expected, not dict"),
        (b'{"results":"none"}', "results", "a list was expected, not str"),
        (b'{"a":1}', None, "a list was expected, not dict"),
    ],
)
def test_json_of_another_shape_is_an_error_that_names_what_is_missing(
    body: bytes, key: str | None, message: str
) -> None:
    with pytest.raises(UnexpectedShape, match=message):
        read(body, key)


def flat(n: int) -> dict[str, Any]:
    return {"id": n, "name": "n" * 500, "at": "2026-03-01T00:00:00Z", "value": None}


def nested(n: int) -> dict[str, Any]:
    return {"id": n, "steps": [{"id": k, "text": "},{" * 60} for k in range(4)], "more": {"list": [{}, {"a": [{}]}]}}


def unbalanced(n: int) -> dict[str, Any]:
    return {"id": n, "code": "if (x) {" if n % 1000 == 500 else "x", "steps": [{"id": 1}], "pad": "p" * 500}


@pytest.mark.slow
@pytest.mark.parametrize("row", [flat, nested, unbalanced])
@pytest.mark.parametrize("style", [(",", ":"), (", ", ": ")])
def test_a_page_of_40_megabytes_needs_memory_for_a_piece_only(row: Any, style: tuple[str, str]) -> None:
    block = json.dumps([row(n) for n in range(2000)], separators=style)[1:-1]
    times = 40_000_000 // len(block)
    body = io.BytesIO(f'{{"results":[{style[0].join([block] * times)}],"next":"n"}}'.encode())
    tracemalloc.start()
    reader = RowReader(body, "results")
    count = sum(map(len, reader))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2000 * times
    assert reader.envelope == {"next": "n"}
    assert peak < 12_000_000


def test_loads_decodes_what_orjson_refuses() -> None:
    assert loads(b'{"a":[1,2.5,"x",null,true]}') == {"a": [1, 2.5, "x", None, True]}
    assert loads(b'{"a":NaN}') == {"a": None}
    assert orjson.dumps(loads(b'"\\udc00"')) == '"\ufffd"'.encode()
    for bad in (b"", b"{", b"nope"):
        with pytest.raises(BadDocument):
            loads(bad)


@pytest.mark.parametrize("chunk", [1, 20, 64, 10_000])
@pytest.mark.parametrize("style", [(",", ":"), (" ,\n", " : ")])
def test_a_decoder_of_the_caller_sees_lists_of_rows_and_nothing_else(chunk: int, style: tuple[str, str]) -> None:
    rows = [{"n": n, "list": [{"a": "},{"}, {}]} for n in range(9)]
    seen: list[Any] = []

    def decode(text: bytes) -> list[Any]:
        found = orjson.loads(text)
        seen.extend(found)
        return [row["n"] for row in found]

    body = to_bytes({"a": [{}], "results": rows, "b": [{}]}, style, ascii_only=True)
    reader = RowReader(io.BytesIO(body), "results", chunk, decode)
    assert [n for piece in reader for n in piece] == list(range(9))
    assert seen == rows
    assert reader.envelope == {"a": [{}], "b": [{}]}


@pytest.mark.parametrize("chunk", [1, 8, 10_000])
@pytest.mark.parametrize("rows", ["{},,{}", "{}{}", "{} {}", "{},", "{}, ", ",{}", ",", "{},{} {}"])
def test_a_comma_too_many_or_too_few_is_an_error(rows: str, chunk: int) -> None:
    with pytest.raises(BadDocument):
        read(f'{{"results":[{rows}]}}'.encode(), chunk=chunk)


@pytest.mark.parametrize("chunk", [1, 10_000])
@pytest.mark.parametrize("second", ["[]", "null", '[{"y":2}]'])
def test_an_array_that_comes_twice_is_an_error(second: str, chunk: int) -> None:
    with pytest.raises(UnexpectedShape, match="twice"):
        read(f'{{"results":[{{"y":1}}],"results":{second}}}'.encode(), chunk=chunk)
