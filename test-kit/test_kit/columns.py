"""What Spark should hold of a connector's records: the same values, by other code than the data source's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import orjson

from test_kit.catalogs import Row


def differences(records: Iterable[Row], found: Iterable[Row], schema: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The rows that are missing and those that are too much. `schema` is the stream's of the catalog."""
    wanted, got = Counter(_canonical(expected(row, schema)) for row in records), Counter(map(_canonical, found))
    return list(wanted - got), list(got - wanted)


def expected(record: Row, schema: Mapping[str, Any]) -> Row:
    """A record as a row of columns."""
    properties = schema["properties"]
    row: Row = {name: _cell(record.get(name), declared) for name, declared in properties.items()}
    more = {name: value for name, value in record.items() if name not in properties}
    return row | {"_extra": more or None}


def _cell(value: Any, declared: Mapping[str, Any]) -> Any:
    kinds = set(declared["type"] if isinstance(declared.get("type"), list) else [declared.get("type")]) - {"null"}
    if value is None or kinds in ({"integer"}, {"boolean"}):
        return value
    if kinds == {"number"}:
        return float(value)
    if kinds == {"string"} and declared.get("format") == "date-time":
        return datetime.fromisoformat(value).astimezone(UTC)
    if kinds == {"string"} and declared.get("format") == "date":
        return date.fromisoformat(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _canonical(row: Row) -> str:
    extra = row.get("_extra")
    shown = {**row, "_extra": json.loads(extra) if isinstance(extra, str) else extra}
    return json.dumps(shown, sort_keys=True, default=_time)


def _time(value: Any) -> str:
    if not isinstance(value, date):
        raise TypeError
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value.isoformat()
