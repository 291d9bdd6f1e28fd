"""The format of a line, the same in both stores. The connectors read it; `v` changes when its meaning does."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import orjson

VERSION = 1
#: How every line begins: its key as it stands there (JSON text without quotes) is found without decoding the rest.
KEY = rb'\{"v":%d,"key":"([^"\\]*(?:\\.[^"\\]*)*)"' % VERSION
_HEAD = re.compile(KEY + rb',"at":([0-9]+)')


def line(
    *, key: str, at: int, inlet: str, sig: int, headers: Mapping[str, str], body: bytes, embed: bool, truncated: bool
) -> bytes:
    """One event as a line, without its line feed.

        {"v":1,"key":"customerio:01..","at":1764200000000000,"inlet":"prod","sig":0,"headers":{..},"body":{..}}

    `at` is when the post came, in microseconds since 1970. `sig` is the place of the secret that matched, -1 without a
    signature. `body` stands as it was sent if `embed` (JSON in UTF-8 without a line feed), else as `body_b64`. A body
    that was cut has `"truncated":true`.
    """
    head = orjson.dumps({"v": VERSION, "key": key, "at": at, "inlet": inlet, "sig": sig, "headers": headers})
    cut = b',"truncated":true' if truncated else b""
    if embed:
        return b'%b%b,"body":%b}' % (head[:-1], cut, body)
    return b'%b%b,"body_b64":"%b"}' % (head[:-1], cut, base64.b64encode(body))


def key_of(line: bytes) -> bytes | None:
    """The key of a line as it stands there; None for what is no line."""
    head = _HEAD.match(line)
    return head.group(1) if head else None


def at_of(line: bytes) -> int | None:
    """When a line was received, in microseconds; None if it does not say."""
    head = _HEAD.match(line)
    return int(head.group(2)) if head else None
