"""Who may see `/log` and `/status`: who has the read token."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request

    from webhook_inlet.service import Service


def has_token(request: Request, service: Service, basic: bool = False) -> bool:
    """Whether the request has the token, compared in constant time.

    As `Authorization: Bearer`; with `basic` also as the password of HTTP Basic under any user name, which is what a
    browser can send. Never in the URL, which ends up in the logs of proxies.
    """
    expected = service.config.read_token.get_secret_value().encode()
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    given = b""
    if scheme.lower() == "bearer":
        given = value.strip().encode("latin-1")  # as the header was decoded
    elif basic and scheme.lower() == "basic":
        given = _password(value.strip())
    return hmac.compare_digest(given, expected) and bool(expected)


def _password(value: str) -> bytes:
    """The password of HTTP Basic; empty if it is none."""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
