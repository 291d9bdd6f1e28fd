"""The functions of the expression language, as Pendo's API documentation (August 2025) lists them.

`hash` is used by a client and is not documented. That `listInRange` takes two positions is inferred. A function raises
TypeError, KeyError, ValueError or AttributeError for arguments that it does not take. Except for `toString` and the
tests of a type, null in gives null or false out (inferred).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from simulators.pendo.directory import ANONYMOUS_PREFIX
from simulators.pendo.periods import Calendar

PARENT_SEPARATOR = "::"
"""Between the parent's and the child's part of an account id, where the subscription has parent accounts."""

_DATE_FORMS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")


def functions(calendar: Calendar, now: int, *, parent_accounts: bool) -> dict[str, Callable[..., Any]]:
    """All functions by name. Those of parent accounts exist only where the subscription has them (documented)."""
    known: dict[str, Callable[..., Any]] = {
        "now": lambda: now,
        "date": lambda *parts: _date(calendar, *parts),
        "dateAdd": lambda ms, count, unit: calendar.date_add(int(ms), int(count), unit),
        "startOfPeriod": lambda period, ms: calendar.start_of_period(period, int(ms)),
        "if": lambda condition, yes, no=None: yes if condition else no,
        "identified": lambda value: bool(value) and not str(value).startswith(ANONYMOUS_PREFIX),
        "hash": lambda value: zlib.crc32(str(value).encode()),
        **_TYPES,
        **_TEXTS,
        **_LISTS,
    }
    if parent_accounts:
        known |= {
            "parentAccountId": lambda value: None if value is None else _parts(value)[0],
            "childAccountId": lambda value: None if value is None else _parts(value)[1],
        }
    return known


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _date(calendar: Calendar, *parts: Any) -> int:
    """`date(2026,3,1)` or `date("2026-03-01")`. Parts that are missing at the end have their lowest value."""
    if len(parts) == 1 and isinstance(parts[0], str):
        for form in _DATE_FORMS:
            try:
                return calendar.instant(datetime.strptime(parts[0], form))  # noqa: DTZ007  the calendar has the zone
            except ValueError:
                continue
        message = "not a date"
        raise ValueError(message)
    if not 1 <= len(parts) <= 6 or not all(is_number(part) for part in parts):
        message = "a date has one to six numbers"
        raise ValueError(message)
    year, month, day, *clock = (int(part) for part in (*parts, *(1, 1)[len(parts) - 1 :]))
    return calendar.instant(datetime(year, month, day, *clock))  # type: ignore[arg-type]  # noqa: DTZ001


def _parts(account_id: str) -> tuple[str, str]:
    parent, separator, child = account_id.partition(PARENT_SEPARATOR)
    return (parent, child) if separator else ("", account_id)


def _contains(whole: Any, part: Any) -> bool:
    return isinstance(whole, (str, list)) and part in whole


def _to_string(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _sort_unique(values: list[Any]) -> list[Any]:
    return sorted({orjson.dumps(value): value for value in values}.values())


_TYPES: dict[str, Callable[..., Any]] = {
    "isBoolean": lambda value: isinstance(value, bool),
    "isNumber": is_number,
    "isString": lambda value: isinstance(value, str),
    "isList": lambda value: isinstance(value, list),
    # The documentation explains isNull as the opposite, but uses it like this in every example.
    "isNull": lambda value: value is None,
    "isNil": lambda value: value is None,
    "isEmpty": lambda value: value is None or value in ("", [], {}),
}
_TEXTS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "split": lambda text, by: None if text is None else text.split(by),
    "startsWith": lambda text, part: isinstance(text, str) and text.startswith(part),
    "toLowerCase": lambda text: None if text is None else str.lower(text),
    "toString": _to_string,
}
_LISTS: dict[str, Callable[..., Any]] = {
    "len": lambda value: None if value is None else len(value),
    "list": lambda *values: list(values),
    "listInRange": lambda values, first, last: None if values is None else values[int(first) : int(last)],
    "reverse": lambda values: None if values is None else list(reversed(values)),
    "sortUnique": lambda values: None if values is None else _sort_unique(values),
    "sum": lambda values: None if values is None else sum(value for value in values if value is not None),
}
