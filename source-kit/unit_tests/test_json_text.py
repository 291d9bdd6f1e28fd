"""JSON as bytes: what orjson refuses is decoded and encoded, and brackets are found in pieces of any size."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_kit.json_text import BadDocument, Brackets, _written, decoded_bytes, dumps, loads
from source_kit.limits import TooLarge

TEXT = st.text(alphabet=st.characters(exclude_categories=()) | st.sampled_from('\\"[]{}u,\ud800\udc00'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def usual(value: Any) -> Any:
    """The value that is emitted."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case bool() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else float(value)
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [usual(item) for item in value]
    return {usual(key): usual(item) for key, item in value.items()}


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(value=VALUES, ascii_only=st.booleans())
def test_what_the_standard_library_writes_is_decoded(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if ascii_only:  # as raw bytes, a lone surrogate is three invalid bytes
        assert loads(text) == usual(json.loads(text))
    else:
        loads(text)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(value=VALUES, size=st.integers(1, 9))
def test_brackets_in_strings_are_ignored_wherever_the_text_is_cut(value: Any, size: int) -> None:
    text = json.dumps([value], ensure_ascii=True).encode()
    whole = Brackets()
    expected = [(at, whole.depth) for at in whole.of(text)]
    assert expected[-1] == (len(text), 0)
    brackets = Brackets()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    found = [(n * size + at, brackets.depth) for n, piece in enumerate(pieces) for at in brackets.of(piece)]
    assert found == expected
    plain = json.dumps(json.loads(text), ensure_ascii=False)
    assert len(expected) == sum(_outside(plain, sign) for sign in "[]{}")


def _outside(text: str, sign: str) -> int:
    count, inside, at = 0, False, 0
    while at < len(text):
        if inside and text[at] == "\\":
            at += 1
        elif text[at] == '"':
            inside = not inside
        else:
            count += not inside and text[at] == sign
        at += 1
    return count


@pytest.mark.parametrize("text", [b"", b"{", b"nope", b'{"a":1-2}', b'{"a":-NaN}', b'"\\u12"', b'["\n"]', b"[1,]"])
def test_what_is_not_json_is_an_error(text: bytes) -> None:
    with pytest.raises(BadDocument):
        loads(text)


def test_numbers_of_any_length_are_numbers_or_null() -> None:
    digits = b"7" * 1_000_000
    assert loads(b"[%b, -%b, 0.%b, 1e%b, 12345678901234567890123]" % ((digits,) * 4)) == [
        None,
        None,
        0.7777777777777778,
        None,
        1.2345678901234568e22,
    ]


def test_nested_json_has_a_limit() -> None:
    assert loads(b"[" * 1000 + b"]" * 1000)
    for text in (b"[" * 1_000_000, b'{"a":' * 2000 + b"1" + b"}" * 2000):
        with pytest.raises(TooLarge, match=r"nested more than 1,000 deep"):
            loads(text)


@pytest.mark.slow
def test_a_record_of_any_depth_is_written() -> None:
    value: Any = {"n": 2**70, "é": "\ud800", "at": math.nan, "empty": [{}, [], ()]}
    for _ in range(5000):
        value = {"in": [value, "}"]}
    text = dumps(value)
    inside = b'{"n":1180591620717411303424,"\xc3\xa9":"\xef\xbf\xbd","at":null,"empty":[{},[],[]]}'
    assert text == b'{"in":[' * 5000 + inside + b',"}"]}' * 5000


@pytest.mark.slow
@given(value=VALUES)
def test_sorted_keys_are_sorted_as_orjson_does_at_any_depth(value: Any) -> None:
    value = loads(json.dumps(value).encode())
    assert b"".join(_written(value, True)) == orjson.dumps(value, None, orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize(
    ("text", "at_least"),
    [(b"[%b]" % b",".join([b"{}"] * 1000), 72_000), (b'{"a":"%b"}' % ("😀" + "a" * 1000).encode(), 4000)],
)
def test_the_estimate_is_not_below_what_python_needs(text: bytes, at_least: int) -> None:
    assert decoded_bytes(text) >= at_least
