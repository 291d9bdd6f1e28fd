"""The stages that add rows or objects to rows: `unwind`, `bulkExpand` and `segment`.

Their arguments are documented. `prefix` of `unwind` is not simulated, because its effect is not described.
"""

from __future__ import annotations

from typing import Any

from simulators.pendo.errors import bad_pipeline
from simulators.pendo.expressions import lookup
from simulators.pendo.segments import belongs, segment_definition
from simulators.pendo.subscription import Subscription
from simulators.pendo.tables import Table, View
from simulators.server import Row


def unwind(argument: Any, view: View, subscription: Subscription) -> View:
    """A row for each element of the list in `field`.

    A row whose list is empty or missing is dropped; with `keepEmpty` it stays, with null in the field (inferred). A
    value that is no list stays as it is (inferred). `index` names a column for the position, from 0.
    """
    known = isinstance(argument, dict) and not set(argument) - {"field", "index", "keepEmpty"}
    if not known or not isinstance(argument.get("field"), str):
        message = "bad unwind: expected field, index and keepEmpty"
        raise bad_pipeline(message)
    column, index, keeps_empty = argument["field"], argument.get("index"), argument.get("keepEmpty", False)
    rows: list[Row] = []
    for row in view.table().rows():
        value = lookup(row, column)
        items = value if isinstance(value, list) else [] if value is None else [value]
        for position, item in enumerate(items or ([None] if keeps_empty else [])):
            rows.append({**row, column: item} | ({} if index is None else {index: position}))
    return View(Table(rows))


def bulk_expand(argument: Any, view: View, subscription: Subscription) -> View:
    """Add a column with the visitor or account whose id is in a field: `{"out": {"account": "accountId"}}`.

    It is null if there is no such object (inferred). The form of the object is that of the source's rows (inferred).
    """
    if not isinstance(argument, dict):
        message = "bad bulkExpand: expected an object"
        raise bad_pipeline(message)
    find = {"visitor": subscription.visitor, "account": subscription.account}
    added: dict[str, tuple[Any, str]] = {}
    for out, what in argument.items():
        if not isinstance(what, dict) or len(what) != 1 or not set(what) <= set(find):
            message = f"bad bulkExpand: expected visitor or account for {out}"
            raise bad_pipeline(message)
        ((kind, column),) = what.items()
        added[out] = (find[kind], column)
    rows = [
        {**row, **{out: find_one(lookup(row, column)) for out, (find_one, column) in added.items()}}
        for row in view.table().rows()
    ]
    return View(Table(rows))


def segment(argument: Any, view: View, subscription: Subscription) -> View:
    """Keep the members of a segment. An unknown id is refused (inferred)."""
    found = segment_definition(subscription, argument.get("id")) if isinstance(argument, dict) else None
    if found is None:
        message = "bad segment: unknown segment"
        raise bad_pipeline(message)
    return View(Table([row for row in view.table().rows() if belongs(row, found)]))
