"""What all endpoints of the App API share: headers, error bodies, query parameters, and three kinds of page token.

A changed token (case, padding, an unencoded `+`) is answered with 200 and an empty page, as the real vendor does. So a
client that encodes tokens wrongly loses rows here too, and a test can see it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import random
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

from simulators.customerio.options import Options
from simulators.server import Request, Response

CONTENT_TYPE = "application/json; charset=utf-8"
HEADERS = {
    "Cache-Control": "must-revalidate,no-cache,no-store",
    "Via": "1.1 google",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
}
"""Headers as recorded from live answers. There is no ETag, no Link and no header about the rate limit."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TOKEN_SALTS = 200
_ACTIVITY_TOKEN_BASE = 9 * 10**17


class VendorError(Exception):
    """An error answer. Its body has `status` as a string, as the vendor's has."""

    def __init__(
        self, status: int, detail: str, *, code: str = "", pointer: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.pointer = pointer
        self.retry_after = retry_after

    def response(self, rng: random.Random) -> Response:
        """The answer. Its support reference comes from `rng`."""
        reference = "".join(rng.choices(_ALPHABET, k=26))
        item: dict[str, Any] = {"detail": f"{self.detail} (reference {reference})", "status": str(self.status)}
        if self.code:
            item["code"] = self.code
        if self.pointer:
            item["source"] = {"pointer": self.pointer}
        headers = HEADERS if self.retry_after is None else {**HEADERS, "Retry-After": str(self.retry_after)}
        return Response(self.status, orjson.dumps({"errors": [item]}), CONTENT_TYPE, headers)


def not_found() -> VendorError:
    """404: the id or the path does not exist."""
    return VendorError(404, "not found")


def reject(detail: str) -> NoReturn:
    """Raise a 400: the request is malformed."""
    raise VendorError(400, detail) from None


def ok(document: object) -> Response:
    """A 200 with the recorded headers. Bytes are sent as they are, anything else as JSON."""
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return Response(200, body, CONTENT_TYPE, HEADERS)


def integer(request: Request, name: str) -> int | None:
    """A number of the query; None if it is missing. Raises a 400 for anything else."""
    text = request.param(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        reject(f"invalid {name}")


def flag(request: Request, name: str) -> bool:
    """A boolean of the query, false if it is missing."""
    return (request.param(name) or "").lower() in {"true", "1"}


def page_size(request: Request, options: Options, envelope: str, default: int, maximum: int) -> int:
    """The rows a page: `limit`, but not more than the documented maximum and `Options.page_caps`."""
    text = request.param("limit") or ""
    limit = int(text) if text.isdigit() and int(text) > 0 else default
    if limit > maximum and options.over_limit == "error":
        reject(f"limit must not be over {maximum}")
    return min(limit, maximum, options.page_caps.get(envelope, maximum))


def list_or_null(rows: list[Any], options: Options, *, seen_null: bool = False) -> list[Any] | None:
    """The list; an empty one as `null` if that was observed live or the option `null_when_empty` is set."""
    return None if not rows and (seen_null or options.null_when_empty) else rows


def opaque_token(scope: str, text: str) -> str:
    """A token in the form of `messages` and others: base64 with `+`, `/` and `=`, so that a wrong encoding fails."""
    token = ""
    for salt in range(_TOKEN_SALTS):
        check = hashlib.blake2b(f"{scope}|{salt}|{text}".encode(), digest_size=18).digest()
        body = bytes([salt]) + check + text.encode()
        body += b"" if len(body) % 3 else b" "
        token = base64.b64encode(body).decode()
        if "+" in token and "/" in token:
            break
    return token


def read_opaque_token(scope: str, token: str) -> str | None:
    """The text in a token, None if this server did not issue the token for this list."""
    try:
        text = base64.b64decode(token, validate=True)[19:].rstrip(b" ").decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if opaque_token(scope, text) == token else None


def plain_token(text: str) -> str:
    """Plain base64: the live form of `newsletters`, `sender_identities` (`MQ==`) and memberships (`MDo2MQ==`)."""
    return base64.b64encode(text.encode()).decode()


def read_plain_token(token: str) -> str | None:
    """The text in a token, None if `plain_token` does not give exactly this token."""
    try:
        text = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if plain_token(text) == token else None


def activity_token(offset: int) -> str:
    """Eighteen digits, as recorded. Here the last two are a checksum."""
    return str(_ACTIVITY_TOKEN_BASE + offset * 100 + (offset * 31 + 7) % 97)


def read_activity_token(token: str) -> int | None:
    """The offset in a token, None if the token is wrong."""
    if not token.isdigit():
        return None
    offset = (int(token) - _ACTIVITY_TOKEN_BASE) // 100
    return offset if offset >= 0 and activity_token(offset) == token else None


def offset_page(
    request: Request,
    options: Options,
    envelope: str,
    size: int,
    total: int,
    *,
    write: Callable[[str], str],
    read: Callable[[str], str | None],
) -> tuple[int, int, str]:
    """A page of a list whose token is a position (`0:<offset>`): first row, row after the last one, and `next`.

    Positions shift when the list changes. If rows are added in front while a client reads pages, some rows are answered
    twice. If rows are removed, some are skipped.
    """
    token = request.param("start") or ""
    text = read(token) if token else "0:0"
    family, _, digits = (text or "").partition(":")
    if not digits.isdigit() or family not in {"0", "1"}:
        return 0, 0, ""
    offset = int(digits)
    if options.repeat_token == envelope and token:
        return offset, min(offset + size, total), token
    if envelope in options.empty_pages and family == "0" and offset > 0 and offset < total:
        return offset, offset, write(f"1:{offset}")
    end = min(offset + size, total)
    return offset, end, write(f"0:{end}") if end < total else ""


def opaque_page(
    request: Request, options: Options, envelope: str, scope: str, size: int, total: int
) -> tuple[int, int, str]:
    """As `offset_page`, with opaque tokens of the list `scope`."""
    return offset_page(
        request,
        options,
        envelope,
        size,
        total,
        write=lambda text: opaque_token(scope, text),
        read=lambda token: read_opaque_token(scope, token),
    )


def matches(condition: Any, leaf: Callable[[Any], bool | None], *, has_or: bool = True) -> bool:
    """Whether something matches the filter of a search: `and`, `or`, `not`, and what `leaf` knows.

    `leaf` answers None for a condition that it does not know, which is a 400.
    """
    match condition:
        case {"and": [_, *_] as parts, **rest} if not rest:
            results = [matches(part, leaf, has_or=has_or) for part in parts]
            return all(results)  # of a list, so that a wrong part is always found
        case {"or": [_, *_] as parts, **rest} if has_or and not rest:
            results = [matches(part, leaf, has_or=has_or) for part in parts]
            return any(results)
        case {"not": part, **rest} if not rest:
            return not matches(part, leaf, has_or=has_or)
    found = leaf(condition)
    if found is None:
        raise VendorError(400, "invalid filter")
    return found
