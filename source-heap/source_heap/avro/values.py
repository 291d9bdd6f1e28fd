"""What becomes of a value on its way from Avro to the JSON type that the catalog promised.

A table's schema is the union over its live dumps, so one file may hold an integer where another holds text, and the
catalog says text. A value that cannot be given the promised type is nulled, and the record says so in its `meta`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeAlias

import orjson

from source_heap.avro import times
from source_heap.avro.times import Unfit
from source_heap.columns import OWN_COLUMNS

#: The promise that nothing is promised: values stay as they are
ANY = "any"
#: The promise of an instant, see `times`
TIME = "time"
#: What `session_time` is in a catalog that promises nothing, text, or an instant: text that is an instant becomes one;
#: a number never does.
_SESSION_TIME = {ANY: "any or instant", "string": "string or instant", TIME: "instant"}
#: The promises of which all values are instants
INSTANTS = frozenset({TIME, _SESSION_TIME[TIME]})

#: What is promised of a `session_time` that is no text but has a logical type, one without a zone or a day: it stays so
WITHOUT_ZONE = {promise: kind for kind, promise in _SESSION_TIME.items() if kind != TIME}

#: A limit for the digits, since Python converts no more than 4,300; nineteen are a 64-bit integer's.
_INTEGER = re.compile(r"[+-]?\d{1,100}", re.ASCII)
#: Each digit can match in one way only: a long text that is no number must not take its length squared.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONG_LIMIT = 2**63
#: Levels that are made JSON at a time; orjson goes 254 deep.
_DUMPED_DEPTH = 200
#: Where a value lies: within what, and its key there
_Path: TypeAlias = tuple[Any, Any] | None


@dataclass(frozen=True, slots=True)
class RowRules:
    """What to make of a table's rows.

    `columns` maps the wanted columns to the promised type (a JSON type name, ANY or TIME); None wants all columns as
    they are, with `normalize_times` all but instants. `constants` are added to every row. Rows whose `time` lies before
    `since` (an instant as `times` writes it) are left out; rows without a time are kept. `head` and `tail`, in ASCII,
    enclose the row in each line.
    """

    columns: Mapping[str, str] | None
    constants: Mapping[str, Any]
    since: str | None = None
    normalize_times: bool = False
    head: str = ""
    tail: str = ""

    def promised(self, column: str) -> str | None:
        """The promised type of a column; None if it is not wanted, or named like one of ours."""
        if column in OWN_COLUMNS:
            return None
        if self.columns is not None:
            return self.columns.get(column)
        return promise(column, ANY, self.normalize_times)


def promise(column: str, declared: str, normalize_times: bool) -> str:
    """What is made of a column's values, by the catalog's type and, where that means an instant, by its name."""
    if column != times.SESSION_TIME and column not in times.TIME_COLUMNS:
        return declared
    if not normalize_times:
        return ANY if declared == TIME else declared
    return TIME if column in times.TIME_COLUMNS else _SESSION_TIME.get(declared, declared)


#: Where rows have their instant; `since` looks at it.
SINCE_COLUMN = "time"


def change(path: str) -> dict[str, str]:
    """Airbyte's note on a record that a value of it was lost: a column's, or one within."""
    return {"field": path, "change": "NULLED", "reason": "SOURCE_SERIALIZATION_ERROR"}


def text_of(data: bytes) -> str:
    """Bytes as text. What is no UTF-8 is shown as `\\xff`, so that nothing is lost and nothing fails."""
    return data.decode("utf-8", "backslashreplace")


def plain(value: Any, path: str, lost: list[str]) -> Any:
    """A value of fastavro's as JSON knows it. Raises Unfit for one that JSON has no notation for.

    Where such a value lies within another, it alone is None, and its path (`column.field`, `column.0`) joins `lost`.
    A dict or list is changed where it is, without recursion: values may be deeper than Python's stack, and than orjson
    goes.
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
            except Unfit:
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
                raise Unfit
            return value
        case bytes():
            return text_of(value)
        case datetime():
            return times.write(value) if value.tzinfo else times.write(value)[:-1]
        case date() | time():
            return value.isoformat()
    raise Unfit


def cast(value: Any, promised: str) -> Any:
    """A plain value as the promised type; None stays None. Raises Unfit."""
    if value is None:
        return None
    return _CASTS[promised](value)


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit
    return orjson.dumps(value).decode()


def _to_integer(value: Any) -> int:
    if isinstance(value, bool):
        raise Unfit
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or not -_LONG_LIMIT <= value < _LONG_LIMIT:
        raise Unfit
    return value


def _to_number(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit
    return value


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Unfit


def _with_instant(text: str) -> str:
    return times.instant_of(text) or text


def _to_instant(value: Any) -> str:
    """Only text that is an instant: what a number says of `session_time` is not known."""
    found = times.instant_of(value) if isinstance(value, str) else None
    if found is None:
        raise Unfit
    return found


def _of(kind: type) -> Callable[[Any], Any]:
    def same(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit
        return value

    return same


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    ANY: lambda value: value,
    TIME: times.normalize,
    _SESSION_TIME[ANY]: lambda value: (
        _with_instant(value) if isinstance(value, str) else plain(value, times.SESSION_TIME, [])
    ),
    _SESSION_TIME["string"]: lambda value: _with_instant(_to_string(value)),
    _SESSION_TIME[TIME]: _to_instant,
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "object": _of(dict),
    "array": _of(list),
    "null": _of(type(None)),
}
