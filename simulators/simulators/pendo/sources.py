"""The `source` stage: the rows that a pipeline starts with, and the errors of a wrong source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulators.pendo.errors import PendoError, bad_pipeline, no_period, unexpected_parameters
from simulators.pendo.expressions import ExpressionError, compile_expression
from simulators.pendo.object_sources import OBJECT_SOURCES, ObjectQuery
from simulators.pendo.parameters import app_ids, check_rules, id_values
from simulators.pendo.periods import PERIODS
from simulators.pendo.subscription import EventQuery, Subscription
from simulators.pendo.switches import Switches
from simulators.pendo.tables import Table

_BLACKLISTS = ("apply", "ignore", "only")


@dataclass(frozen=True)
class Source:
    """The parameters of a source. `ids` filter by a column; `pageIds` by the column `pageId`.

    Event sources need a `timeSeries`. `needs` has parameters that are accepted only beside another one.
    """

    is_event: bool = False
    ids: frozenset[str] = frozenset()
    others: frozenset[str] = field(default_factory=lambda: frozenset({"appId", "blacklist"}))
    needs: Mapping[str, str] = field(default_factory=dict)
    is_whole_life: bool = False
    """An event source without a window."""


_VISITORS = Source(others=frozenset({"appId", "blacklist", "identified", "since"}))
_VIEWS = Source(True, frozenset({"guideId", "guideStepId"}), needs={"guideStepId": "guideId"})
_ANSWERS = Source(True, frozenset({"guideId", "pollId"}), needs={"pollId": "guideId"})

SOURCES: Mapping[str, Source] = {
    "events": Source(True, others=frozenset({"appId", "blacklist", "eventClass"})),
    "pageEvents": Source(True, frozenset({"pageId", "pageIds"})),
    "featureEvents": Source(True, frozenset({"featureId", "featureIds"})),
    "trackEvents": Source(True, frozenset({"trackTypeId", "trackTypeIds"})),
    "guideEvents": Source(True, frozenset({"guideId", "guideStepId"})),
    "pollEvents": Source(True, frozenset({"guideId", "pollId"})),
    "emailEvents": Source(True, frozenset({"targetType", "targetId", "eventType"}), needs={"targetId": "targetType"}),
    "guidesSeen": _VIEWS,
    "guidesSeenEver": replace(_VIEWS, is_whole_life=True),
    "pollsSeen": _ANSWERS,
    "pollsSeenEver": replace(_ANSWERS, is_whole_life=True),
    "visitors": _VISITORS,
    "accounts": Source(),
    "doNotProcessVisitors": _VISITORS,
    "doNotProcessAccounts": Source(),
    "pages": Source(),
    "features": Source(),
    "guides": Source(),
    "trackTypes": Source(),
    "apps": Source(),
    "groups": Source(others=frozenset({"items", "groupType"})),
    "vocItems": Source(others=frozenset({"appId", "blacklist", "type"})),
    "votes": Source(),
}
"""The simulated sources."""


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source, the start of its window, the number of stored rows scanned (0: no limit applies), and apps.

    `apps` None means all apps.
    """

    table: Table
    start_time: int | None = None
    scanned: int = 0
    apps: frozenset[int] | None = None


def source_name(stage: Mapping[str, Any]) -> str:
    """The source that a `source` stage names. Beside it the stage can have `timeSeries` only."""
    names = [name for name in stage if name != "timeSeries"]
    if len(names) != 1:
        message = "bad source: expected exactly one source"
        raise bad_pipeline(message)
    if names[0] not in SOURCES:
        message = f"bad source: unknown source type {names[0]}"
        raise bad_pipeline(message)
    return names[0]


def read_source(stage: Mapping[str, Any], subscription: Subscription, switches: Switches) -> SourceRows:
    """Check a `source` stage and read its rows. A parameter that is null counts as absent (documented)."""
    name = source_name(stage)
    source = SOURCES[name]
    given = stage[name] if stage[name] is not None else {}
    if not isinstance(given, dict) or set(given) - source.ids - source.others:
        raise unexpected_parameters(name)
    parameters = {parameter: value for parameter, value in given.items() if value is not None}
    series = stage.get("timeSeries")
    check_rules(name, parameters, series.get("period") if isinstance(series, dict) else None, switches)
    blacklist = parameters.get("blacklist", "apply")
    if blacklist not in _BLACKLISTS:
        raise unexpected_parameters(name)
    apps = app_ids(name, parameters, switches)
    if not source.is_event:
        try:
            return SourceRows(Table(OBJECT_SOURCES[name](ObjectQuery(name, parameters, apps, subscription, switches))))
        except ValueError:
            raise unexpected_parameters(name) from None
    if any(parameter in parameters and other not in parameters for parameter, other in source.needs.items()):
        raise unexpected_parameters(name)
    if source.is_whole_life:
        start, end, bucket = 0, subscription.now + 1, "day"
    else:
        start, end, bucket = _window(series, subscription)
    query = EventQuery(bucket, start, end, apps, _ids(name, parameters, source), blacklist)
    table, scanned = subscription.event_table(name, query)
    if name in ("pollsSeen", "pollsSeenEver") and switches.answer_name != "pollResponse":
        table = _with_other_name(table, "pollResponse", switches.answer_name)
    return SourceRows(table, None if source.is_whole_life else start, scanned, apps)


def _with_other_name(table: Table, name: str, new: str) -> Table:
    return Table([{new if column == name else column: value for column, value in row.items()} for row in table.rows()])


def _ids(name: str, parameters: Mapping[str, Any], source: Source) -> tuple[tuple[str, frozenset[str]], ...]:
    """Columns and their allowed values."""
    chosen = sorted(source.ids & set(parameters))
    if any(parameter.endswith("Ids") and not isinstance(parameters[parameter], list) for parameter in chosen):
        raise unexpected_parameters(name)
    return tuple((parameter.removesuffix("s"), id_values(name, parameters[parameter])) for parameter in chosen)


def _window(series: Any, subscription: Subscription) -> tuple[int, int, str]:
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
    first = _instant(series["first"], subscription)
    last = _instant(series["last"], subscription) if "last" in series else None
    return *subscription.calendar.window(bucket, first, last, count), bucket


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _instant(value: Any, subscription: Subscription) -> int:
    """One end of a time series: milliseconds as a number or as text, or an expression."""
    try:
        if isinstance(value, str):
            value = compile_expression(value, subscription.calendar, subscription.now).evaluate({})
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _bad_instant()
        return int(value)
    except ExpressionError:
        raise _bad_instant() from None


def _bad_instant() -> PendoError:
    return bad_pipeline("bad source: bad time series: cannot parse first or last")
