"""Names, instants and records: from the vendor's form to ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from source_kit.generated import compiled
from source_kit.limits import COMPILED_NAME_CHARACTERS, COMPILED_NAMES, REMEMBERED_NAME, REMEMBERED_NAME_CHARACTERS

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


#: Compiled key orders that are kept. Free-form rows could have one each.
_PLANS_KEPT = 2_000
_Plan: TypeAlias = Callable[[Iterable[Any]], dict[str, Any]]


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

    `rename` maps a vendor's name to ours. `convert` maps *our* names to functions, which are not called with None. Each
    key order is compiled to a function of the values, a third faster than renaming key by key.
    """

    def __init__(self, rename: Callable[[str], str], convert: Mapping[str, Callable[[Any], Any]] | None = None) -> None:
        self._rename = rename
        self._convert = dict(convert or {})
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._remembered = 0

    def __call__(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows under our names, in the same order."""
        plans = self._plans
        mapped = []
        last: tuple[str, ...] | None = None
        plan: _Plan = dict
        for row in rows:
            shape = tuple(row)
            if shape != last:
                plan, last = plans.get(shape) or self._plan(shape), shape
            mapped.append(plan(row.values()))
        return mapped

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        names, size = unique_names(self._rename, shape), sum(map(len, shape))
        if len(shape) > COMPILED_NAMES or size > COMPILED_NAME_CHARACTERS:
            return _uncompiled(names, self._convert)
        self._remembered += size
        if len(self._plans) >= _PLANS_KEPT or self._remembered > REMEMBERED_NAME_CHARACTERS:
            self._plans.clear()
            self._remembered = size
        plan = self._plans[shape] = _compiled(names, self._convert)
        return plan


def _uncompiled(names: list[str], convert: Mapping[str, Callable[[Any], Any]]) -> _Plan:
    """As `_compiled`, for rows with too many keys to compile."""
    converters = [convert.get(name) for name in names]

    def row(values: Iterable[Any]) -> dict[str, Any]:
        return {
            name: value if value is None or converter is None else converter(value)
            for name, value, converter in zip(names, values, converters, strict=True)
        }

    return row


def _compiled(names: list[str], convert: Mapping[str, Callable[[Any], Any]]) -> _Plan:
    """A function from the values of a row to the row under `names`, which are in its source as literals only.

    For the names `id` and `created_at`, of which the second is converted:

        def row(values):
            [v0, v1] = values
            return {'id': v0, 'created_at': v1 if v1 is None else c1(v1)}
    """
    values = [f"v{index}" for index in range(len(names))]
    converters = {f"c{index}": convert[name] for index, name in enumerate(names) if name in convert}
    members = [
        f"{name!r}: {value} if {value} is None else c{index}({value})" if name in convert else f"{name!r}: {value}"
        for index, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    source = f"def row(values):\n    [{', '.join(values)}] = values\n    return {{{', '.join(members)}}}"
    return compiled(source, "row", converters)
