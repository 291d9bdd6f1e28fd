"""The key of a post, by which the copies of an event are known as one.

    customerio:<event_id>     pendo:<event>:<uniqueId>     standard:<webhook-id>

A body without such an id has `<source>:sha256:<hex of the body as sent>`, which is the same for every copy, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

#: Longer ids are none: the key stays in memory and stands in every row
MAX_ID = 1000

#: Levels of arrays and objects that orjson surely reads
MAX_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body that was looked into. `embed`: it can stand in a line as it is."""

    value: Any
    embed: bool


NOT_JSON = Parsed(None, False)


def parse(body: bytes) -> Parsed:
    """Looks into a body. Never raises: what is no JSON has the value None.

    orjson refuses some JSON that others write (lone surrogates, numbers beyond a double). Its ids still count, but it
    is not embedded, because a reader's orjson would refuse the line.
    """
    try:
        value = orjson.loads(body)
    except ValueError:
        pass
    else:
        return Parsed(value, b"\n" not in body and b"\r" not in body and _fits_into_a_line(body))
    try:
        return Parsed(json.loads(body.decode(), parse_constant=_refuse), False)
    except (ValueError, RecursionError):
        return NOT_JSON


def event_key(source: str, value: Any, headers: Mapping[bytes, bytes]) -> str | None:
    """The key that the sender's own id makes; None if there is no usable one."""
    key = None
    if source == "standard":
        key = _key(source, headers.get(b"webhook-id", b"").decode("utf-8", "replace"))
    elif isinstance(value, dict):
        if source == "customerio":
            key = _key(source, value.get("event_id"))
        else:
            key = _key(source, value.get("event"), value.get("uniqueId"))
    return key


def hash_key(source: str, sha256: str) -> str:
    """The key of a post without an id."""
    return f"{source}:sha256:{sha256}"


def _key(source: str, *ids: Any) -> str | None:
    for text in ids:
        if not isinstance(text, str) or not text or len(text) > MAX_ID or not _is_unicode(text):
            return None
    return ":".join((source, *ids))


def _is_unicode(text: str) -> bool:
    """False if there are lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits_into_a_line(body: bytes) -> bool:
    """False if one level more is too deep for orjson (1,024 levels). Seldom more than two counts."""
    if body.count(b"[") + body.count(b"{") < MAX_DEPTH:
        return True
    try:
        orjson.loads(b"[%b]" % body)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
