"""From the lines of the webhook log to records: what was posted, whatever it is, becomes at least one record."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import orjson
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.convert import RecordMapper, epoch_millis, iso_millis, parse_instant
from source_kit.errors import shorten, system_error
from source_kit.json_text import BadDocument, dumps, loads
from source_kit.limits import TooLarge
from source_kit.webhook_log import Piece

Record: TypeAlias = dict[str, Any]
#: Makes the value of a column from what was sent; None for what cannot become one without loss
Converter: TypeAlias = Callable[[Any], Any]

#: The version of the lines that this release reads
VERSION = 1
#: Columns that are not fields of the body
ADDED = ("record_id", "received_at", "inlet", "raw", "truncated")
#: Lines are decoded, emitted and freed in chunks of about this many bytes.
CHUNK_BYTES = 128 * 1024
_BODY = b',"body":'
#: A header that is called `body` looks like the body, so a few places are tried.
_BODIES_TRIED = 8
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})").fullmatch
#: Larger numbers may have come as other ones
_EXACT = 2**53
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
#: Stands for a body that is not JSON
_NO_JSON = object()


class _BadLine(Exception):
    """A line of the log is not an event."""


def text(value: Any) -> str | None:
    """A text; a number or a boolean as its JSON."""
    if isinstance(value, str):
        return value
    exact = isinstance(value, int) or (isinstance(value, float) and abs(value) < _EXACT)
    return dumps(value).decode() if exact else None


def document(value: Any) -> Any:
    """An object."""
    return value if isinstance(value, dict) else None


def integer(value: Any) -> int | None:
    """An integer of 64 bits, also one that came as text or as a number with a point."""
    if isinstance(value, str):
        value = int(value) if _INTEGER(value) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < _EXACT else None
    return value if value.__class__ is int and _SMALLEST <= value <= _LARGEST else None


def instant_of_seconds(value: Any) -> str | None:
    """Epoch seconds, as a number or as text, or an ISO text, as RFC 3339 in UTC with milliseconds."""
    try:
        if isinstance(value, str):
            whole = integer(value)
            return iso_millis(epoch_millis(parse_instant(value)) if whole is None else whole * 1000)
        return iso_millis(value * 1000) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a body: names of members, and places in arrays, split by dots."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> Path:
        return cls(tuple(path.split(".")))

    def value(self, body: Any) -> Any:
        """What lies there; None if nothing does."""
        for part in self.parts:
            if body.__class__ is dict:
                body = body.get(part)
            elif body.__class__ is list and part.isdecimal() and int(part) < len(body):
                body = body[int(part)]
            else:
                return None
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is known of a vendor's bodies.

    `ids` are the fields that together identify an event, behind the name of the vendor, `prefix`. `fields` are fields
    of the body itself whose columns have a type. `lifted` are columns of what lies deeper, by their path. `rename`
    makes the names of columns; None leaves them as they are.
    """

    prefix: str
    ids: tuple[str, ...]
    fields: Mapping[str, Converter]
    lifted: Mapping[str, tuple[str, Converter]]
    rename: Callable[[str], str] | None = None


class RecordMaker:
    """Makes records of the lines of a log.

    `columns` are the user's own: path by name. A field of the body that has the name of a column which is made here, or
    whose value cannot become one of its column's type, is kept under its name behind a `_`.
    """

    def __init__(self, form: Form, columns: Mapping[str, Path]) -> None:
        self._form = form
        self._fields = tuple((name, _kind(convert), convert) for name, convert in form.fields.items())
        self._lifted = _by_parent(form.lifted)
        self._columns = tuple(columns.items())
        self._made = frozenset([*ADDED, *form.lifted, *columns])
        self._mapper = None if form.rename is None else RecordMapper(form.rename)

    def batches(self, piece: Piece, lane: str) -> Iterator[list[Record]]:
        """The records of whole lines, in lists of bounded size.

        Raises an error that names lane, segment and line for a line that is not an event, and one that names the
        version for a line of another version.
        """
        number = piece.line
        for lines in _chunks(piece.data):
            records: list[Record] = []
            for line, event in zip(lines, _decoded(lines), strict=True):
                number += 1
                try:
                    self._add(records, line, event)
                except _BadLine as error:
                    raise _bad_line(lane, piece.segment, number, error) from error
            yield records

    def _add(self, records: list[Record], line: bytes, event: Any) -> None:
        """Adds the records of one line. `event` is the line decoded, None if orjson did not take it."""
        head, sent = (event, None) if event.__class__ is dict else _split(line)
        if head.get("v") != VERSION:
            raise _unknown_version(head.get("v"))
        about = _about(head)
        body = head.get("body") if sent is None else _parsed(sent)
        if body.__class__ is dict:
            records.append(self._record(about, body))  # nearly all
            return
        if sent is None:
            sent = _split(line)[1] if "body" in head else _from_base64(head.get("body_b64"))
            body = _parsed(sent)
        if body.__class__ is dict:
            records.append(self._record(about, body))
        elif body.__class__ is list and body:
            records += [self._element(about, index, element) for index, element in enumerate(body)]
        else:
            records.append({**about, "raw": sent.decode("utf-8", "replace")})

    def _element(self, about: Record, index: int, element: Any) -> Record:
        """The record of an element of an array, by its own ids if it has them."""
        numbered = {**about, "record_id": f"{about['record_id']}#{index}"}
        if element.__class__ is not dict:
            return {**numbered, "raw": dumps(element).decode()}
        ids = [one for name in self._form.ids if isinstance(one := element.get(name), str) and one]
        if len(ids) == len(self._form.ids):
            numbered["record_id"] = ":".join([self._form.prefix, *ids])
        return self._record(numbered, element)

    def _record(self, about: Record, body: Record) -> Record:
        lifted = self._deeper(body)  # before the names of the body change, which may become the record itself
        record = body if self._mapper is None else self._mapper([body])[0]
        if not self._made.isdisjoint(record):
            for name in self._made & record.keys():
                _keep(record, name)
        for name, kind, convert in self._fields:
            value = record.get(name)
            if value is not None and value.__class__ is not kind:
                converted = convert(value)
                if converted is None:
                    _keep(record, name)
                else:
                    record[name] = converted
        record.update(lifted)
        record.update(about)
        return record

    def _deeper(self, body: Record) -> Record:
        """The columns of what lies deeper in a body. What cannot become a value of its column's type stays there."""
        found = {}
        for parent, members in self._lifted:
            holder = parent.value(body)
            if holder.__class__ is dict:
                for member, column, kind, convert in members:
                    value = holder.get(member)
                    if value is not None:
                        if value.__class__ is not kind:
                            value = convert(value)
                        if value is not None:
                            found[column] = value
        for column, path in self._columns:
            value = path.value(body)
            if value is not None:
                found[column] = value
        return found


def received_at(line: bytes) -> int | None:
    """When the event of a line came, in epoch microseconds; None for what is not an event."""
    with suppress(_BadLine):
        head = _decoded_or_none(line) or _split(line)[0]
        _about(head)
        return int(head["at"])
    return None


def _kind(convert: Converter) -> type | None:
    """The type whose values a converter leaves as they are."""
    return str if convert is text else dict if convert is document else None


def _by_parent(lifted: Mapping[str, tuple[str, Converter]]) -> list[tuple[Path, list[tuple[str, str, Any, Converter]]]]:
    """Member, column, type and converter of what is lifted, by the object that holds it."""
    found: dict[str, list[tuple[str, str, Any, Converter]]] = {}
    for column, (path, convert) in lifted.items():
        parent, _, member = path.rpartition(".")
        found.setdefault(parent, []).append((member, column, _kind(convert), convert))
    return [(Path.of(parent), members) for parent, members in found.items()]


def _keep(record: Record, name: str) -> None:
    """Moves a field out of the way of a column of its name."""
    free = f"_{name}"
    while free in record:
        free = f"_{free}"
    record[free] = record.pop(name)


def _chunks(data: bytes) -> Iterator[list[bytes]]:
    """The lines, without their line feeds, a chunk at a time."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + CHUNK_BYTES) + 1 or data.find(b"\n", start) + 1 or len(data)
        yield data[start : end - data.endswith(b"\n", start, end)].split(b"\n")
        start = end


def _decoded(lines: list[bytes]) -> list[Any]:
    try:
        return list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return list(map(_decoded_or_none, lines))


def _decoded_or_none(line: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(line)
    return None


def _about(head: Record) -> Record:
    """The columns of a line that say when and where its body came."""
    key, at, inlet = head.get("key"), head.get("at"), head.get("inlet")
    if key.__class__ is not str or at.__class__ is not int or inlet.__class__ is not str:
        raise _BadLine("key, at or inlet is missing")
    try:
        about: Record = {"record_id": key, "received_at": iso_millis(at // 1000), "inlet": inlet}
    except OverflowError:
        raise _BadLine("at is no instant") from None
    if head.get("truncated") is True:
        about["truncated"] = True
    return about


def _split(line: bytes) -> tuple[Record, bytes]:
    """A line in two: all before its body, decoded, and the body as it was sent, which stands at the end."""
    at = -1
    for _ in range(_BODIES_TRIED):
        at = line.find(_BODY, at + 1)
        if at < 0 or not line.endswith(b"}"):
            break
        head = _decoded_or_none(line[:at] + b"}")
        if head.__class__ is dict:
            return head, line[at + len(_BODY) : -1]
    raise _BadLine("not a JSON object with a body")


def _from_base64(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise _BadLine("no body")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _BadLine("body_b64 is not base64") from None


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


def _bad_line(lane: str, segment: int, number: int, error: _BadLine) -> AirbyteTracedException:
    return system_error(
        f"Line {number} of segment {segment} of lane {lane} of the webhook log is not an event, so it was damaged in "
        "the store. The lane was read up to it. Restore the segment from a copy; if there is none, set the position of "
        f"the lane in the state of the stream to [{segment}, {number}] to read on behind the line.",
        f"lane {lane}, segment {segment}, line {number}: {error}",
    )
