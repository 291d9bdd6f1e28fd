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
from decimal import Decimal
from typing import Any

import orjson

from source_heap.avro import times
from source_heap.avro.times import Unfit

#: The promise that nothing is promised: values stay as they are
ANY = "any"
#: The promise of an instant, see `times`
TIME = "time"

#: A limit for the digits, since Python converts no more than 4,300; nineteen are a 64-bit integer's.
_INTEGER = re.compile(r"[+-]?\d{1,100}", re.ASCII)
#: Each digit can match in one way only: a long text that is no number must not take its length squared.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_LONG_LIMIT = 2**63


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
        """The promised type of a column; None if it is not wanted."""
        if self.columns is not None:
            return self.columns.get(column)
        return TIME if self.normalize_times and column in times.TIME_COLUMNS else ANY


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
    """
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
        case Decimal():
            return format(value, "f")
        case Mapping():
            return {str(key): _inner(item, f"{path}.{key}", lost) for key, item in value.items()}
        case list() | tuple():
            return [_inner(item, f"{path}.{index}", lost) for index, item in enumerate(value)]
    raise Unfit


def _inner(value: Any, path: str, lost: list[str]) -> Any:
    try:
        return plain(value, path, lost)
    except Unfit:
        lost.append(path)
        return None


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


def _of(kind: type) -> Callable[[Any], Any]:
    def same(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit
        return value

    return same


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    ANY: lambda value: value,
    TIME: times.normalize,
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "object": _of(dict),
    "array": _of(list),
    "null": _of(type(None)),
}
