"""Signatures of the three forms, against vectors made by hand and the library of Standard Webhooks."""

import base64
import hmac
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from webhook_inlet.config import InletConfig
from webhook_inlet.signatures import Verifier, verifier

BODY = b'{"event_id": "01J", "subject": "\xc3\xa9"}'
PATH = "a" * 22
STANDARD = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def made(source: str, *secrets: str) -> Verifier:
    found = verifier(InletConfig.model_validate({"name": "a", "source": source, "path": PATH, "secrets": secrets}))
    assert found is not None
    return found


def place(checker: Verifier, headers: dict[bytes, bytes], body: bytes = BODY) -> int | None:
    """The place of the secret, once for the whole body and once in pieces; None also for headers that claim nothing."""
    claim = checker.read(headers)
    if claim is None:
        return None
    stream = checker.stream(claim)
    for start in range(0, len(body), 7):
        stream.update(body[start : start + 7])
    whole = checker.place(claim, body)
    assert stream.place() == whole
    return whole


def cio(signature: bytes, stamp: bytes = b"1764200000") -> dict[bytes, bytes]:
    return {b"x-cio-signature": signature, b"x-cio-timestamp": stamp}


def cio_hex(key: str, stamp: bytes = b"1764200000", body: bytes = BODY) -> bytes:
    return hmac.new(key.encode(), b"v0:" + stamp + b":" + body, "sha256").hexdigest().encode()


def test_customerio_signs_version_timestamp_and_body() -> None:
    checker = made("customerio", "current", "previous")
    assert place(checker, cio(cio_hex("current"))) == 0
    assert place(checker, cio(cio_hex("previous"))) == 1
    assert place(checker, cio(cio_hex("other"))) is None
    assert place(checker, cio(cio_hex("current")), BODY + b" ") is None
    assert place(checker, cio(cio_hex("current"), b"1764200001")) is None


def test_a_vector_of_customerio_that_another_program_made() -> None:
    # printf 'v0:1:{}' | openssl dgst -sha256 -hmac key
    known = b"236beeb373582a83005d170cf7966f7bc1bc3d8e39280320817c04d7ea3fab6e"
    assert place(made("customerio", "key"), cio(known, b"1"), b"{}") == 0


@pytest.mark.parametrize("form", [b"v0=%b", b"%b,v0=00", b"x, %b", b" %b "])
def test_customerio_may_name_the_version_and_send_several_values(form: bytes) -> None:
    checker = made("customerio", "current")
    assert place(checker, cio(form % cio_hex("current"))) == 0
    assert place(checker, cio(form % cio_hex("current").upper())) == 0
    assert place(checker, cio(form % cio_hex("other"))) is None


def test_pendo_may_encode_its_signature_in_any_usual_way() -> None:
    checker = made("pendo", "s1", "s2")
    digest = hmac.digest(b"s2", BODY, "sha256")
    for text in (
        digest.hex(),
        digest.hex().upper(),
        "sha256=" + digest.hex(),
        "SHA256=" + digest.hex(),
        base64.b64encode(digest).decode(),
        base64.b64encode(digest).decode().rstrip("="),
        base64.urlsafe_b64encode(digest).decode(),
        "sha256=" + base64.b64encode(digest).decode(),
    ):
        assert place(checker, {b"x-pendo-signature": text.encode()}) == 1, text
    assert place(checker, {b"x-pendo-signature": hmac.digest(b"s3", BODY, "sha256").hex().encode()}) is None


def test_standard_webhooks_agree_with_their_library() -> None:
    name, now = "msg_1", datetime.fromtimestamp(int(time.time()), UTC)
    signed = Webhook(STANDARD).sign(name, now, BODY.decode())
    headers = {
        b"webhook-id": name.encode(),
        b"webhook-timestamp": str(int(now.timestamp())).encode(),
        b"webhook-signature": f"v1a,xyz v1,AAAA {signed}".encode(),
    }
    checker = made("standard", STANDARD)
    assert place(checker, headers) == 0
    assert place(checker, headers, BODY + b"x") is None
    assert place(checker, {**headers, b"webhook-id": b"msg_2"}) is None
    old = {**headers, b"webhook-timestamp": b"1600000000"}
    assert place(checker, old) is None
    signed = Webhook(STANDARD).sign(name, datetime.fromtimestamp(1600000000, UTC), BODY.decode())
    assert place(checker, {**old, b"webhook-signature": signed.encode()}) == 0  # old, as a retry may be


@pytest.mark.parametrize("source", ["customerio", "pendo", "standard"])
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"v0=",
        b"sha256=",
        b"\xff\xfe",
        "é".encode(),
        b"zz" * 32,
        b"0" * 63,
        b"v1,",
        b"v1",
        b",,,",
        b"=" * 44,
        b"a" * 100000,
        b"\x00" * 64,
        b"00," * 1000,
        b"v1,%%%%",
    ],
)
def test_absurd_signatures_are_no_signatures(source: str, value: bytes) -> None:
    checker = made(source, STANDARD if source == "standard" else "secret")
    headers = dict.fromkeys((b"x-cio-signature", b"x-pendo-signature", b"webhook-signature"), value)
    headers |= {b"x-cio-timestamp": b"1", b"webhook-id": b"1", b"webhook-timestamp": b"1"}
    assert place(checker, headers) is None
    assert place(checker, dict.fromkeys(headers, value)) is None
    assert place(checker, {}) is None
