"""Names, instants and records: from the vendor's form to ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from source_kit.limits import REMEMBERED_NAME, REMEMBERED_NAME_CHARACTERS, REMEMBERED_ROW_CHARACTERS

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """`trackTypeId` -> `track_type_id`, `rulesJSON` -> `rules_json`. Names without capitals stay the same."""
    return _remembered(name) if len(name) <= REMEMBERED_NAME else _converted(name)


def _converted(name: str) -> str:
    return _WORD_START.sub("_", name).lower() if any(map(str.isupper, name)) else name


_remembered = lru_cache(maxsize=4096)(_converted)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS = 60_000
#: "00.000Z" ... "59.999Z": the end of every timestamp, so that formatting is two look-ups
_MILLIS = tuple(f".{ms:03d}Z" for ms in range(1000))
_TAILS = tuple(second + millis for second in map("{:02d}".format, range(60)) for millis in _MILLIS)
_MINUTES: dict[int, str] = {}
_MINUTES_KEPT = 100_000


def iso_millis(epoch_ms: float) -> str:
    """`1772341200123` -> `2026-03-01T05:00:00.123Z`. Fractions of a millisecond are cut.

    Raises OverflowError for an instant outside the years 1 to 9999.
    """
    minute, tail = divmod(int(epoch_ms), _MINUTE_MS)
    head = _MINUTES.get(minute)
    if head is None:
        if len(_MINUTES) >= _MINUTES_KEPT:
            _MINUTES.clear()
        at = _EPOCH + timedelta(minutes=minute)
        head = _MINUTES[minute] = f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:"
    return head + _TAILS[tail]


def epoch_millis(at: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime, exact."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def parse_instant(text: str) -> datetime:
    """An RFC 3339 or ISO 8601 date or date-time as an aware datetime; without a zone it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text.strip())
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def utc_now() -> datetime:
    """Now, aware, in UTC. Connectors use no other clock, so that tests can set it."""
    return datetime.now(UTC)


_Converter: TypeAlias = Callable[[Any], Any]
#: Names for the values of a row, and those of them that are converted
_Plan: TypeAlias = tuple[list[str], list[tuple[str, _Converter]]]
#: Orders of keys whose plans are kept. Free-form rows could have one each.
_PLANS_KEPT = 2_000


def unique_names(rename: Callable[[str], str], names: Iterable[str]) -> list[str]:
    """Our names for the vendor's names of one row.

    If two become the same, no value is lost: a key that had our name before keeps it, and the other key keeps the
    vendor's name.
    """
    ours = {name: rename(name) for name in names}
    unchanged = {name for name, our in ours.items() if our == name}
    unique: dict[str, None] = {}
    for vendor_name, our in ours.items():
        name = our
        if our != vendor_name and (our in unchanged or our in unique):
            name = vendor_name
        while name in unique:
            name += "_"
        unique[name] = None
    return list(unique)


class RecordMapper:
    """Renames the top-level keys of rows, by `unique_names`, and converts some values.

    `rename` maps a vendor's name to ours. `convert` maps *our* names to functions, which are not called with None. The
    names for each order of keys are found once.
    """

    def __init__(self, rename: Callable[[str], str], convert: Mapping[str, _Converter] | None = None) -> None:
        self._rename = rename
        self._convert = dict(convert or {})
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._remembered = 0

    def __call__(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows under our names, in the same order."""
        plans = self._plans
        mapped = []
        for row in rows:
            shape = tuple(row)
            names, converters = plans.get(shape) or self._plan(shape)
            record = dict(zip(names, row.values(), strict=True))
            for name, convert in converters:
                value = record[name]
                if value is not None:
                    record[name] = convert(value)
            mapped.append(record)
        return mapped

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        names, size = unique_names(self._rename, shape), sum(map(len, shape))
        plan = names, [(name, self._convert[name]) for name in names if name in self._convert]
        if size <= REMEMBERED_ROW_CHARACTERS:
            self._remembered += size
            if len(self._plans) >= _PLANS_KEPT or self._remembered > REMEMBERED_NAME_CHARACTERS:
                self._plans.clear()
                self._remembered = size
            self._plans[shape] = plan
        return plan
