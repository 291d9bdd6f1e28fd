"""Coerces values from Avro to the target types of the catalog.

A table's schema is the union over its live dumps, so one file may hold an integer where another holds text, and the
catalog says text. A value that cannot be coerced becomes null, and the record's `meta` lists it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, TypeAlias

import orjson
from source_kit.output import RECORD_TAIL

from source_heap.added_columns import OWN_COLUMNS
from source_heap.avro import times
from source_heap.avro.times import CoercionError

#: No declared type: pass values through.
ANY = "any"
#: An instant, see `times`
TIME = "time"
#: Target types of `session_time`. Text that is an instant is normalized; a number never is.
SESSION_ANY, SESSION_TEXT, SESSION_INSTANT = "any or instant", "string or instant", "instant"
#: The same by the catalog's type
_SESSION_TIME = {ANY: SESSION_ANY, "string": SESSION_TEXT, TIME: SESSION_INSTANT}
#: Target types of which every value is an instant
INSTANTS = frozenset({TIME, SESSION_INSTANT})
#: Target types of `session_time` for a value that Avro declares as a date or a time without zone: it is not normalized.
WITHOUT_ZONE = {SESSION_ANY: ANY, SESSION_TEXT: "string"}

#: The digits are limited because Python converts no more than 4,300. A 64-bit integer has 19.
_INTEGER = re.compile(r"[+-]?\d{1,100}", re.ASCII)
#: Each digit matches in one way only, so that a long text that is not a number takes linear time.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONG_LIMIT = 2**63
#: Levels that are written as JSON at a time; orjson's limit is 254.
_DUMPED_DEPTH = 200
#: A position within a nested value: the path of its container, and its key there
_Path: TypeAlias = tuple[Any, Any] | None


@dataclass(frozen=True, slots=True)
class Projection:
    """Which columns and rows of a table are emitted, and how.

    `columns` maps the selected columns to their target types (a JSON type name, ANY or TIME). None selects all columns
    as they are; with `normalize_times` instants are still normalized. `constants` are added to every row. Rows whose
    `time` is before `since` (an instant as `times` writes it) are filtered out; rows without a time are not. `head`, in
    ASCII, is the beginning of a record's line, up to the row; without it, a line is the bare row. `misfits` counts, by
    column, the values of written rows that are null because they do not fit their target types.
    """

    columns: Mapping[str, str] | None
    constants: Mapping[str, Any]
    since: str | None = None
    normalize_times: bool = False
    head: bytes = b""
    misfits: Counter[str] = field(default_factory=Counter, compare=False)

    @property
    def tail(self) -> bytes:
        """What follows the row in a line."""
        return RECORD_TAIL if self.head else b"\n"

    def target(self, column: str) -> str | None:
        """The target type of a column; None if it is not selected or has the name of an added column."""
        if column in OWN_COLUMNS:
            return None
        if self.columns is not None:
            return self.columns.get(column)
        return target_type(column, ANY, self.normalize_times)


def target_type(column: str, declared: str, normalize_times: bool) -> str:
    """The target type of a column, by the catalog's type; columns that hold instants are known by their names."""
    if column != times.SESSION_TIME and column not in times.TIME_COLUMNS:
        return declared
    if not normalize_times:
        return ANY if declared == TIME else declared
    return TIME if column in times.TIME_COLUMNS else _SESSION_TIME.get(declared, declared)


#: The column that `since` is compared with
SINCE_COLUMN = "time"


def change(path: str) -> dict[str, str]:
    """An entry of `meta.changes`: the value of a column, or one within it, was lost."""
    return {"field": path, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}


def text_of(data: bytes) -> str:
    """Bytes as text. A byte that is not UTF-8 is written as `\\xff`."""
    return data.decode("utf-8", "backslashreplace")


def plain(value: Any, path: str, lost: list[str]) -> Any:
    """A value of fastavro as JSON can hold it. Raises CoercionError for a value without a JSON notation.

    Within a dict or list only that value becomes None, and its path (`column.field`, `column.0`) is added to `lost`.
    Dicts and lists are changed in place and without recursion, since they may be deeper than Python's stack and than
    orjson's limit.
    """
    if not isinstance(value, dict | list):
        return _scalar(value)
    todo: list[tuple[Any, _Path, int]] = [(value, (None, path), 1)]
    deep = []
    while todo:
        container, here, depth = todo.pop()
        for key, item in container.items() if isinstance(container, dict) else enumerate(container):
            if item is None or isinstance(item, str | int):
                continue
            if isinstance(item, dict | list):
                todo.append((item, (here, key), depth + 1))
                if depth % _DUMPED_DEPTH == 0:
                    deep.append((container, key))
                continue
            try:
                container[key] = _scalar(item)
            except CoercionError:
                container[key] = None
                lost.append(_written((here, key)))
    for container, key in reversed(deep):
        container[key] = orjson.Fragment(orjson.dumps(container[key]))
    return value


def _written(path: _Path) -> str:
    parts = []
    while path is not None:
        path, key = path
        parts.append(str(key))
    return ".".join(reversed(parts))


def _scalar(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise CoercionError
            return value
        case bytes():
            return text_of(value)
        case datetime():
            return times.write(value) if value.tzinfo else times.write(value)[:-1]
        case date() | time():
            return value.isoformat()
    raise CoercionError


def coerce(value: Any, target: str) -> Any:
    """A plain value in its target type; None stays None. Raises CoercionError."""
    if value is None:
        return None
    return _COERCIONS[target](value)


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise CoercionError
    return orjson.dumps(value).decode()


def _to_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise CoercionError
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or not -_LONG_LIMIT <= value < _LONG_LIMIT:
        raise CoercionError
    return value


def _to_number(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CoercionError
    return value


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise CoercionError


def _with_instant(text: str) -> str:
    return times.instant_of(text) or text


def _to_instant(value: Any) -> str:
    """Text only: the unit of a number in `session_time` is not known."""
    found = times.instant_of(value) if isinstance(value, str) else None
    if found is None:
        raise CoercionError
    return found


def _of(kind: type) -> Callable[[Any], Any]:
    def same(value: Any) -> Any:
        if not isinstance(value, kind):
            raise CoercionError
        return value

    return same


_COERCIONS: Mapping[str, Callable[[Any], Any]] = {
    ANY: lambda value: value,
    TIME: times.normalize,
    SESSION_ANY: lambda value: _with_instant(value) if isinstance(value, str) else plain(value, times.SESSION_TIME, []),
    SESSION_TEXT: lambda value: _with_instant(_to_string(value)),
    SESSION_INSTANT: _to_instant,
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "object": _of(dict),
    "array": _of(list),
    "null": _of(type(None)),
}
