"""What stands in the signature headers. The expected values were made with `openssl dgst -sha256 -hmac`."""

from __future__ import annotations

import base64
import subprocess

import pytest
from simulators.webhooks import signatures
from standardwebhooks import Webhook

BODY = b'{"event_id":"01A"}'


def hmac_by_openssl(key: str, message: bytes) -> str:
    """By another program."""
    command = ["openssl", "dgst", "-sha256", "-hmac", key]
    return subprocess.run(command, input=message, capture_output=True, check=True).stdout.split()[-1].decode()


def test_customerio_signs_version_time_and_body_in_lower_case_hex() -> None:
    expected = hmac_by_openssl("key", b"v0:1700000000:" + BODY)
    assert signatures.customerio("key", BODY, 1700000000) == (
        f"X-CIO-Timestamp: 1700000000\r\nX-CIO-Signature: {expected}\r\n".encode()
    )


@pytest.mark.parametrize("encoding", ["hex", "HEX", "base64", "prefixed"])
def test_pendo_signs_the_body_in_any_encoding(encoding: str) -> None:
    digest = hmac_by_openssl("key", BODY)
    sent = signatures.pendo("key", BODY, encoding).decode().removeprefix("X-Pendo-Signature: ").strip()
    assert (
        sent
        == {
            "hex": digest,
            "HEX": digest.upper(),
            "base64": base64.b64encode(bytes.fromhex(digest)).decode(),
            "prefixed": f"sha256={digest}",
        }[encoding]
    )


def test_pendo_without_signature_sends_no_header() -> None:
    assert signatures.pendo("key", BODY, "none") == b""


def test_the_library_of_standard_webhooks_verifies_what_is_signed() -> None:
    secret = signatures.new_standard_secret()
    lines = signatures.standard(secret, BODY, "msg_1").decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert Webhook(secret).verify(BODY, headers) == {"event_id": "01A"}
