"""The `source` stage: which rows a pipeline starts from, and what is said to a source that is asked wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators.pendo.directory import DEFAULT_APP
from simulators.pendo.errors import PendoError, bad_pipeline, no_period, unexpected_parameters
from simulators.pendo.expressions import ExpressionError, compile_expression
from simulators.pendo.periods import PERIODS
from simulators.pendo.tables import Table
from simulators.pendo.world import Scope, World

_ALL_APPS = 'expandAppIds("*")'
_BLACKLISTS = ("apply", "ignore", "only")


@dataclass(frozen=True)
class Source:
    """What a source takes. `ids` are the parameters that narrow a column; event sources need a `timeSeries`."""

    is_event: bool = False
    ids: frozenset[str] = frozenset()
    others: frozenset[str] = field(default_factory=lambda: frozenset({"appId", "blacklist"}))


SOURCES: Mapping[str, Source] = {
    "events": Source(True, others=frozenset({"appId", "blacklist", "eventClass"})),
    "pageEvents": Source(True, frozenset({"pageId"})),
    "featureEvents": Source(True, frozenset({"featureId"})),
    "trackEvents": Source(True, frozenset({"trackTypeId"})),
    "guideEvents": Source(True, frozenset({"guideId"})),
    "pollEvents": Source(True, frozenset({"guideId", "pollId"})),
    "visitors": Source(others=frozenset({"appId", "blacklist", "identified"})),
    "accounts": Source(),
    "pages": Source(),
    "features": Source(),
    "guides": Source(),
    "trackTypes": Source(),
    "apps": Source(),
}
"""The sources that are simulated.

Narrowing `visitors` by time is left out: three forms of it were seen, none is certain.
"""


@dataclass(frozen=True)
class Opened:
    """An opened source: its rows, the start of its window, and the stored rows scanned (0 where no limit applies)."""

    table: Table
    start_time: int | None = None
    scanned: int = 0


def source_name(stage: Mapping[str, Any]) -> str:
    """The one source that a `source` stage names; its siblings are `timeSeries` and nothing else."""
    names = [name for name in stage if name != "timeSeries"]
    if len(names) != 1:
        message = "bad source: expected exactly one source"
        raise bad_pipeline(message)
    if names[0] not in SOURCES:
        message = f"bad source: unknown source type {names[0]}"
        raise bad_pipeline(message)
    return names[0]


def open_source(stage: Mapping[str, Any], world: World) -> Opened:
    """Check a `source` stage and fetch its rows."""
    name = source_name(stage)
    source = SOURCES[name]
    parameters = stage[name] if stage[name] is not None else {}
    if not isinstance(parameters, dict) or set(parameters) - source.ids - source.others:
        raise unexpected_parameters(name)
    blacklist = parameters.get("blacklist", "apply")
    if blacklist not in _BLACKLISTS:
        raise unexpected_parameters(name)
    apps = _apps(name, parameters)
    if not source.is_event:
        return Opened(_objects(name, parameters, apps, world))
    start, end, bucket = _window(stage.get("timeSeries"), world)
    ids = tuple(sorted((column, _values(name, parameters[column])) for column in source.ids & set(parameters)))
    table, scanned = world.event_table(name, Scope(bucket, start, end, apps, ids, blacklist))
    return Opened(table, start, scanned)


def require_ids_of_hours(stage: Mapping[str, Any]) -> None:
    """Refuse hours of a source whose objects have ids where none is named. The text is invented."""
    name = source_name(stage)
    ids = SOURCES[name].ids if name in ("pageEvents", "featureEvents", "trackEvents") else frozenset()
    series = stage.get("timeSeries")
    by_hour = isinstance(series, dict) and series.get("period") == "hourRange"
    if ids and by_hour and not ids & set(stage[name] or {}):
        message = f"{min(ids)} must be specified with hourRange"
        raise PendoError(400, message)


def _apps(name: str, parameters: Mapping[str, Any]) -> frozenset[int] | None:
    """Apps asked for: the default one unless told (certain), None for all of them."""
    value = parameters.get("appId", DEFAULT_APP)
    if isinstance(value, str) and value.replace(" ", "") == _ALL_APPS:
        return None
    values = value if isinstance(value, list) else [value]
    try:
        if isinstance(value, (str, bool)):
            raise unexpected_parameters(name)
        return frozenset(int(item) for item in values)
    except (TypeError, ValueError):
        raise unexpected_parameters(name) from None


def _values(name: str, value: Any) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in values):
        raise unexpected_parameters(name)
    return frozenset(values)


def _objects(name: str, parameters: Mapping[str, Any], apps: frozenset[int] | None, world: World) -> Table:
    """Visitors and accounts belong to the whole subscription, whatever the apps."""
    if name == "visitors":
        identified = parameters.get("identified", False)
        if not isinstance(identified, bool):
            raise unexpected_parameters(name)
        return Table(world.people(anonymous=not identified, blacklist=parameters.get("blacklist", "apply")))
    if name == "accounts":
        with world.lock:
            return Table(list(world.accounts))
    if name == "apps":
        return Table(world.app_rows())
    return Table(world.definition_rows(name, apps))


def _window(series: Any, world: World) -> tuple[int, int, str]:
    if not isinstance(series, dict) or "period" not in series:
        raise no_period()
    if set(series) - {"period", "first", "last", "count"}:
        message = "bad source: bad time series: unexpected parameters"
        raise bad_pipeline(message)
    bucket = PERIODS.get(series["period"])
    if bucket is None:
        message = f"bad source: bad time series: period {series['period']} is not simulated"
        raise bad_pipeline(message)
    count = series.get("count")
    if "first" not in series or ("last" in series) == ("count" in series) or not _is_count(count):
        message = "bad source: bad time series: expected first and either last or count"
        raise bad_pipeline(message)
    first = _instant(series["first"], world)
    last = _instant(series["last"], world) if "last" in series else None
    return *world.calendar.window(bucket, first, last, count), bucket


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _instant(value: Any, world: World) -> int:
    """One end of a time series: milliseconds, the same as text, or an expression."""
    try:
        if isinstance(value, str):
            value = compile_expression(value, world.calendar, world.now).evaluate({})
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _bad_instant()
        return int(value)
    except ExpressionError:
        raise _bad_instant() from None


def _bad_instant() -> PendoError:
    return bad_pipeline("bad source: bad time series: cannot parse first or last")
