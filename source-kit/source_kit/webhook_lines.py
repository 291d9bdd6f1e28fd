"""The lines of the webhook log: an event each, its body as it was posted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import orjson
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.convert import iso_millis
from source_kit.errors import shorten, system_error
from source_kit.json_text import BadDocument, loads
from source_kit.limits import TooLarge

#: The version of the lines that this release reads
VERSION = 1
#: Lines are decoded, emitted and freed in chunks of about this many bytes.
CHUNK_BYTES = 128 * 1024
_BODY = b',"body":'
#: A header that is called `body` looks like the body, so a few places are tried.
_BODIES_TRIED = 8
#: Stands for a body that is not JSON
_NO_JSON = object()


class BadLine(Exception):
    """A line of the log is not an event."""


def opened(line: bytes, event: Any) -> tuple[dict[str, Any], Any, bytes]:
    """What stands around a body, the body decoded, and the body as it was sent, empty if it is an object.

    `event` is the line decoded, None if orjson did not take it. Raises BadLine, and the error for another version.
    """
    head, sent = (event, b"") if event.__class__ is dict else _split(line)
    if head.get("v") != VERSION:
        raise _unknown_version(head.get("v"))
    if head is event:
        body = head.get("body")
        if body.__class__ is dict:
            return head, body, b""  # nearly all
        sent = _split(line)[1] if "body" in head else _from_base64(head.get("body_b64"))
    return head, _parsed(sent), sent


def received_at(line: bytes) -> int | None:
    """When the event of a line came, in epoch microseconds; None for what is not an event."""
    with suppress(BadLine):
        head = _decoded_or_none(line) or _split(line)[0]
        about_of(head)
        return int(head["at"])
    return None


def chunks(data: bytes) -> Iterator[list[bytes]]:
    """The lines, without their line feeds, a chunk at a time."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + CHUNK_BYTES) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start : end - data.endswith(b"\n", start, end)].split(b"\n")
        start = end


def decoded(lines: list[bytes]) -> list[Any]:
    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return list(map(_decoded_or_none, lines))


def _decoded_or_none(line: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(line)
    return None


def about_of(head: dict[str, Any]) -> dict[str, Any]:
    """The columns of a line that say when and where its body came."""
    key, at, inlet = head.get("key"), head.get("at"), head.get("inlet")
    if key.__class__ is not str or at.__class__ is not int or inlet.__class__ is not str:
        raise BadLine("key, at or inlet is missing")
    try:
        about: dict[str, Any] = {"record_id": key, "received_at": iso_millis(at // 1000), "inlet": inlet}
    except OverflowError:
        raise BadLine("at is no instant") from None
    if head.get("truncated") is True:
        about["truncated"] = True
    return about


def _split(line: bytes) -> tuple[dict[str, Any], bytes]:
    """A line in two: all before its body, decoded, and the body as it was sent, which stands at the end."""
    at = -1
    for _ in range(_BODIES_TRIED):
        at = line.find(_BODY, at + 1)
        if at < 0 or not line.endswith(b"}"):
            break
        head = _decoded_or_none(line[:at] + b"}")
        if head.__class__ is dict:
            return head, line[at + len(_BODY) : -1]
    raise BadLine("not a JSON object with a body")


def _from_base64(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise BadLine("no body")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise BadLine("body_b64 is not base64") from None


def _parsed(sent: bytes) -> Any:
    """A body as JSON, with U+FFFD for lone surrogates; `_NO_JSON` for one that is not JSON in UTF-8.

    What is beyond the kit's limits, such as a nesting of thousands, counts as no JSON.
    """
    try:
        return orjson.loads(sent)
    except orjson.JSONDecodeError:
        pass
    try:
        json.loads(sent.decode(), parse_constant=_refuse)  # `loads` would also take NaN and invalid UTF-8
        return loads(sent)
    except (ValueError, RecursionError, BadDocument, TooLarge):
        return _NO_JSON


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _unknown_version(version: Any) -> AirbyteTracedException:
    return system_error(
        f"The webhook log has lines of version {shorten(str(version), 20)}, and this connector reads version {VERSION}."
        " Update the connector to a release that knows the version of your webhook-inlet."
    )


def bad_line(lane: str, segment: int, number: int, error: BadLine) -> AirbyteTracedException:
    return system_error(
        f"Line {number} of segment {segment} of lane {lane} of the webhook log is not an event, so it was damaged in "
        "the store. The lane was read up to it. Restore the segment from a copy; if there is none, set the position of "
        f"the lane in the state of the stream to [{segment}, {number}] to read on behind the line.",
        f"lane {lane}, segment {segment}, line {number}: {error}",
    )
