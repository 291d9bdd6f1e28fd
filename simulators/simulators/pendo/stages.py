"""The stages after the source. Each takes rows and returns rows, in the order of the pipeline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from simulators.pendo.directory import ANONYMOUS_PREFIX
from simulators.pendo.errors import bad_pipeline, unparsable_filter
from simulators.pendo.expansions import bulk_expand, segment, unwind
from simulators.pendo.expressions import Expression, ExpressionError, compile_expression, lookup
from simulators.pendo.subscription import Subscription
from simulators.pendo.tables import Table, View, sort_key
from simulators.server import Row

Aggregator = Callable[[list[Any]], Any]

_READ_ONLY = {"hour", "day", "week", "month", "quarter"}


def _known(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


_AGGREGATORS: Mapping[str, Aggregator] = {
    "sum": lambda values: sum(value for value in values if value is not None),
    "min": lambda values: min((value for value in values if value is not None), key=sort_key, default=None),
    "max": lambda values: max((value for value in values if value is not None), key=sort_key, default=None),
    "avg": lambda values: statistics.fmean(known) if (known := _known(values)) else None,
    "mean": lambda values: statistics.fmean(known) if (known := _known(values)) else None,
    "median": lambda values: statistics.median(known) if (known := _known(values)) else None,
    "countIf": lambda values: sum(value is True for value in values),
    "first": lambda values: next((value for value in values if value is not None), None),
    "list": list,
}


def apply_stage(name: str, argument: Any, view: View, subscription: Subscription) -> View:
    """Apply one stage. Raises PendoError for a stage or an argument that Pendo would refuse."""
    stage = _STAGES.get(name)
    if stage is None:
        message = f"unknown stage {name}"
        raise bad_pipeline(message)
    return stage(argument, view, subscription)


def _compiled(text: Any, subscription: Subscription) -> Expression:
    return compile_expression(
        text, subscription.calendar, subscription.now, parent_accounts=subscription.parent_accounts
    )


def _compile(text: Any, stage: str, subscription: Subscription) -> Expression:
    try:
        return _compiled(text, subscription)
    except ExpressionError as error:
        message = f"bad {stage}: {error}"
        raise bad_pipeline(message) from None


def _filter(argument: Any, view: View, subscription: Subscription) -> View:
    try:
        view.filter(_compiled(argument, subscription))
    except ExpressionError:
        raise unparsable_filter() from None
    return view


def _sort(argument: Any, view: View, subscription: Subscription) -> View:
    if not isinstance(argument, list) or not argument or not all(isinstance(key, str) and key for key in argument):
        message = "bad sort: expected a list of fields"
        raise bad_pipeline(message)
    view.sort(argument)
    return view


def _limit(argument: Any, view: View, subscription: Subscription) -> View:
    if not isinstance(argument, int) or isinstance(argument, bool) or argument < 0:
        message = "bad limit: expected a number"
        raise bad_pipeline(message)
    return View(view.table(argument))


def _count(argument: Any, view: View, subscription: Subscription) -> View:
    return View(Table([{"count": len(view.table())}]))


def _identified(argument: Any, view: View, subscription: Subscription) -> View:
    """Drop anonymous rows; with `!` keep only them. An account with an empty id counts as anonymous (inferred)."""
    if not isinstance(argument, str):
        message = "bad identified: expected a field"
        raise bad_pipeline(message)
    column, wanted = argument.removeprefix("!"), not argument.startswith("!")

    def is_identified(row: Mapping[str, Any]) -> bool:
        value = lookup(row, column)
        return bool(value) and not str(value).startswith(ANONYMOUS_PREFIX)

    view.filter(Expression(lambda row: is_identified(row) == wanted))
    return view


def _columns(argument: Any, stage: str, subscription: Subscription) -> dict[str, Expression]:
    if not isinstance(argument, dict):
        message = f"bad {stage}: expected an object"
        raise bad_pipeline(message)
    return {name: _compile(text, stage, subscription) for name, text in argument.items()}


def _select(argument: Any, view: View, subscription: Subscription) -> View:
    columns = _columns(argument, "select", subscription)
    rows = [{name: column.evaluate(row) for name, column in columns.items()} for row in view.table().rows()]
    return View(Table(rows))


def _eval(argument: Any, view: View, subscription: Subscription) -> View:
    """Add columns. Those of time are read-only (documented; the names and the text are inferred)."""
    columns = _columns(argument, "eval", subscription)
    if _READ_ONLY & set(columns):
        message = f"bad eval: {min(_READ_ONLY & set(columns))} is read-only"
        raise bad_pipeline(message)
    rows = [{**row, **{name: column.evaluate(row) for name, column in columns.items()}} for row in view.table().rows()]
    return View(Table(rows))


def _reduced(rows: Iterable[Row], fields: Mapping[str, Any], subscription: Subscription) -> Row:
    """One row of aggregates: `{"n": {"sum": "numEvents"}}`. `count` of null counts rows, otherwise distinct values."""
    chosen = list(rows)
    reduced: Row = {}
    for name, aggregation in fields.items():
        if not isinstance(aggregation, dict) or len(aggregation) != 1:
            message = f"bad aggregation for {name}"
            raise bad_pipeline(message)
        ((kind, text),) = aggregation.items()
        if kind == "count" and text is None:
            reduced[name] = len(chosen)
            continue
        evaluate = _compile(text, "aggregation", subscription).evaluate
        values = [evaluate(row) for row in chosen]
        if kind == "count":
            reduced[name] = len({orjson.dumps(value) for value in values if value is not None})
        elif kind in _AGGREGATORS:
            reduced[name] = _AGGREGATORS[kind](values)
        else:
            message = f"unknown aggregation {kind}"
            raise bad_pipeline(message)
    return reduced


def _fields(argument: Any) -> dict[str, Any]:
    """The aggregated fields, from one object or a list of objects."""
    maps = argument if isinstance(argument, list) else [argument or {}]
    if not all(isinstance(item, dict) for item in maps):
        message = "bad fields: expected objects"
        raise bad_pipeline(message)
    return {name: value for item in maps for name, value in item.items()}


def _group(argument: Any, view: View, subscription: Subscription) -> View:
    if (
        not isinstance(argument, dict)
        or set(argument) - {"group", "fields"}
        or not isinstance(argument.get("group"), list)
    ):
        message = "bad group: expected group and fields"
        raise bad_pipeline(message)
    keys: list[str] = argument["group"]
    fields = _fields(argument.get("fields"))
    groups: dict[bytes, list[Row]] = {}
    for row in view.table().rows():
        groups.setdefault(orjson.dumps([lookup(row, key) for key in keys]), []).append(row)
    rows = [
        {key: lookup(rows[0], key) for key in keys} | _reduced(rows, fields, subscription) for rows in groups.values()
    ]
    return View(Table(rows))


def _reduce(argument: Any, view: View, subscription: Subscription) -> View:
    return View(Table([_reduced(view.table().rows(), _fields(argument), subscription)]))


_STAGES: Mapping[str, Callable[[Any, View, Subscription], View]] = {
    "filter": _filter,
    "sort": _sort,
    "limit": _limit,
    "count": _count,
    "identified": _identified,
    "select": _select,
    "eval": _eval,
    "group": _group,
    "reduce": _reduce,
    "unwind": unwind,
    "bulkExpand": bulk_expand,
    "segment": segment,
}
