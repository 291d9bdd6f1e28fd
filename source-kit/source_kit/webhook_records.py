"""From the events of the webhook log to records: what was posted, whatever it is, becomes at least one record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from source_kit.convert import epoch_millis, iso_millis, parse_instant, unique_names
from source_kit.json_text import dumps
from source_kit.limits import REMEMBERED_NAME
from source_kit.webhook_lines import BadLine, about_of, bad_line, chunks, decoded, opened
from source_kit.webhook_log import SegmentPart

Record: TypeAlias = dict[str, Any]
#: Makes the value of a column from what was sent; None for what cannot become one without loss
Converter: TypeAlias = Callable[[Any], Any]

#: Columns that are not fields of the body
ADDED = ("record_id", "received_at", "inlet", "raw", "truncated")
#: Names that are kept with ours; a vendor has a few dozen
_NAMES_KEPT = 4096
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})").fullmatch
#: Larger numbers may have come as other ones
_EXACT = 2**53
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


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
    if value.__class__ is not int:  # nearly all are
        if isinstance(value, str) and _INTEGER(value):
            value = int(value)
        elif isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
            return int(value)
        else:
            return None
    return value if _SMALLEST <= value <= _LARGEST else None


def instant_of_seconds(value: Any) -> str | None:
    """Epoch seconds, as a number or as text, or an ISO text, as RFC 3339 in UTC with milliseconds."""
    try:
        if value.__class__ is int or value.__class__ is float:
            return iso_millis(value * 1000)
        if not isinstance(value, str):
            return None
        whole = integer(value)
        return iso_millis(epoch_millis(parse_instant(value)) if whole is None else whole * 1000)
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


@dataclass(frozen=True, slots=True)
class _Holder:
    """An object in a body, and by member: the column that it becomes, the type whose values stay, the converter."""

    path: tuple[str, ...]
    members: Mapping[str, tuple[str, type | None, Converter]]


class _Names(dict[str, str]):
    """Our names by the vendor's. They come in any order, so nothing is compiled for an order."""

    def __init__(self, rename: Callable[[str], str]) -> None:
        super().__init__()
        self._rename = rename

    def __missing__(self, name: str) -> str:
        our = self._rename(name)
        if len(name) <= REMEMBERED_NAME:
            if len(self) >= _NAMES_KEPT:
                self.clear()
            self[name] = our
        return our

    def of(self, body: Record) -> Record:
        """A body under our names."""
        record = {self[name]: value for name, value in body.items()}
        if len(record) < len(body):  # two names became the same
            return dict(zip(unique_names(self._rename, body), body.values(), strict=True))
        return record


class RecordMaker:
    """Makes records of the lines of a log.

    `columns` are the user's own: path by name. A field of the body that has the name of a column which is made here, or
    whose value cannot become one of its column's type, is kept under its name behind a `_`.
    """

    def __init__(self, form: Form, columns: Mapping[str, Path]) -> None:
        self._form = form
        self._fields = tuple((name, _kind(convert), convert) for name, convert in form.fields.items())
        self._holders = _holders(form.lifted)
        self._columns = tuple(columns.items())
        self._made = frozenset([*ADDED, *form.lifted, *columns])
        self._names = None if form.rename is None else _Names(form.rename)

    def batches(self, part: SegmentPart, lane: str) -> Iterator[list[Record]]:
        """The records of whole lines, in lists of bounded size.

        Raises an error that names lane, segment and line for a line that is not an event, and one that names the
        version for a line of another version.
        """
        number = part.line
        for lines in chunks(part.data):
            records: list[Record] = []
            for line, event in zip(lines, decoded(lines), strict=True):
                number += 1
                try:
                    self._add(records, line, event)
                except BadLine as error:
                    raise bad_line(lane, part.segment, number, error) from error
            yield records

    def _add(self, records: list[Record], line: bytes, event: Any) -> None:
        """Adds the records of one line. `event` is the line decoded, None if orjson did not take it."""
        head, body, sent = opened(line, event)
        about = about_of(head)
        if body.__class__ is dict:
            records.append(self._record(about, body))  # nearly all
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
        record = body if self._names is None else self._names.of(body)
        if not self._made.isdisjoint(record):
            for name in self._made & record.keys():
                _keep(record, name)
        for name, kind, convert in self._fields:
            value = record.get(name)
            if value.__class__ is not kind and value is not None:
                converted = convert(value)
                if converted is None:
                    _keep(record, name)
                else:
                    record[name] = converted
        record |= lifted
        record |= about
        return record

    def _deeper(self, body: Record) -> Record:
        """The columns of what lies deeper in a body. What cannot become a value of its column's type stays there."""
        found = {}
        for at in self._holders:
            holder: Any = body
            for name in at.path:
                holder = holder.get(name) if holder.__class__ is dict else None
            if holder.__class__ is dict:
                members = at.members
                for name, value in holder.items():
                    if value is not None and name in members:
                        column, kind, convert = members[name]
                        if value.__class__ is not kind:
                            value = convert(value)
                            if value is None:
                                continue
                        found[column] = value
        for column, path in self._columns:
            value = path.value(body)
            if value is not None:
                found[column] = value
        return found


def _kind(convert: Converter) -> type | None:
    """The type whose values a converter leaves as they are."""
    return str if convert is text else dict if convert is document else None


def _holders(lifted: Mapping[str, tuple[str, Converter]]) -> tuple[_Holder, ...]:
    found: dict[tuple[str, ...], dict[str, tuple[str, type | None, Converter]]] = {}
    for column, (path, convert) in lifted.items():
        *parents, member = path.split(".")
        found.setdefault(tuple(parents), {})[member] = (column, _kind(convert), convert)
    return tuple(_Holder(parents, members) for parents, members in found.items())


def _keep(record: Record, name: str) -> None:
    """Moves a field out of the way of a column of its name."""
    free = f"_{name}"
    while free in record:
        free = f"_{free}"
    record[free] = record.pop(name)
