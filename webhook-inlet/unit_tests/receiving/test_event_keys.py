"""Keys of events, of whatever was posted."""

import orjson
import pytest
from webhook_inlet.receiving.event_keys import MAX_ID, event_key, parse


def key(source: str, body: bytes, headers: dict[bytes, bytes] | None = None) -> str | None:
    return event_key(source, parse(body).value, headers or {})


def test_each_source_has_its_own_id() -> None:
    assert key("customerio", b'{"event_id":"01J","metric":"sent"}') == "customerio:01J"
    assert key("pendo", b'{"event":"guideDisplayed","uniqueId":"abc"}') == "pendo:guideDisplayed:abc"
    assert key("standard", b"not JSON", {b"webhook-id": b"msg_1"}) == "standard:msg_1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'[{"event_id":"1"}]',
        b"1",
        b"NaN",
        b'"text"',
        b'{"event_id":NaN,"a":1}',
        b"\x00",
        b"\xff",
        b'{"event_id":1}',
        b'{"event_id":""}',
        b'{"event_id":null}',
        b'{"event_id":["a"]}',
        b'{"event_id":"\\ud800"}',
        b'{"event":"a"}',
        b'{"uniqueId":"a"}',
        b'{"event":"","uniqueId":"a"}',
        b"[" * 100000,
        b'{"a":' * 5000,
        b'{"event_id":"' + b"x" * (MAX_ID + 1) + b'"}',
        b'\xef\xbb\xbf{"event_id":"1"}',
        b"1" * 10000,
    ],
)
def test_a_body_without_a_usable_id_has_no_key_of_its_own(body: bytes) -> None:
    assert key("customerio", body) is None
    assert key("pendo", body) is None
    assert key("standard", body) is None


def test_what_orjson_refuses_still_has_its_id_but_is_not_embedded() -> None:
    for rest in (b'"\\ud800"', b"1e999", b"[" * 200 + b"]" * 200):
        parsed = parse(b'{"event_id":"01J","x":%b}' % rest)
        assert event_key("customerio", parsed.value, {}) == "customerio:01J"
        assert parsed.embed is (rest[:1] == b"[")


def test_only_what_fits_into_a_line_is_embedded() -> None:
    assert parse(b'{"a": "\\n \\u0000"}').embed
    assert not parse(b'{"a":\n1}').embed
    assert not parse(b'{"a":\r1}').embed
    deepest = next(depth for depth in range(1100, 1000, -1) if _reads(b"[" * depth + b"]" * depth))
    for depth in (deepest, deepest - 1):
        body = b"[" * depth + b"]" * depth
        assert parse(body).embed is _reads(b'{"body":%b}' % body)


def _reads(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except ValueError:
        return False
    return True
