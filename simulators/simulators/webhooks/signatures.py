"""Signature headers of the senders, as whole header lines.

Customer.io: certain, from the vendor's specification. Pendo: HMAC-SHA256 of the body is second-hand and its encoding is
not known, so all that receivers have been seen to expect are here. Standard Webhooks: certain, a published standard.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

ENCODINGS = ("hex", "HEX", "base64", "prefixed", "none")

#: Takes the id of the event and the body, gives header lines
Sign = Callable[[str | None, bytes], bytes]


def customerio(secret: str, body: bytes, at: int | None = None) -> bytes:
    """`X-CIO-Timestamp` (seconds, when the request is sent) and `X-CIO-Signature`, lower-case hex."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), b"v0:%d:%b" % (moment, body), hashlib.sha256).hexdigest()
    return b"X-CIO-Timestamp: %d\r\nX-CIO-Signature: %b\r\n" % (moment, digest.encode())


def pendo(secret: str, body: bytes, encoding: str = "hex") -> bytes:
    """`X-Pendo-Signature` in one of `ENCODINGS`; `none` sends no header, as a webhook without secret might do."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    texts = {
        "hex": digest.hex(),
        "HEX": digest.hex().upper(),
        "base64": base64.b64encode(digest).decode(),
        "prefixed": f"sha256={digest.hex()}",
    }
    return b"" if encoding == "none" else b"X-Pendo-Signature: %b\r\n" % texts[encoding].encode()


def standard(secret: str, body: bytes, message_id: str, at: int | None = None) -> bytes:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature` (`v1,<base64>`); a secret is `whsec_<base64>`."""
    moment = int(time.time()) if at is None else at
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"%b.%d.%b" % (message_id.encode(), moment, body), hashlib.sha256).digest()
    lines = f"webhook-id: {message_id}\r\nwebhook-timestamp: {moment}\r\n"
    return f"{lines}webhook-signature: v1,{base64.b64encode(digest).decode()}\r\n".encode()


def new_standard_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
