"""The rows of the sources that are no events: visitors, accounts, definitions, apps, groups, feedback.

A source raises ValueError for a value that it does not accept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.pendo.expressions import compile_expression
from simulators.pendo.groups import GROUP_TYPES
from simulators.pendo.listen import ITEM_TYPES
from simulators.pendo.subscription import Subscription
from simulators.pendo.switches import Switches
from simulators.server import Row


@dataclass(frozen=True)
class ObjectQuery:
    """A query of a source: its parameters, and the apps that they name (None: all)."""

    source: str
    parameters: Mapping[str, Any]
    apps: frozenset[int] | None
    subscription: Subscription
    switches: Switches

    def flag(self, name: str) -> bool:
        """A boolean parameter. Absent and null are false."""
        value = self.parameters.get(name)
        if value is not None and not isinstance(value, bool):
            raise ValueError(name)
        return bool(value)

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        """A parameter with a list of known values. Absent and null mean the first of them."""
        value = self.parameters.get(name) or known[0]
        if value not in known:
            raise ValueError(name)
        return str(value)


def _visitors(query: ObjectQuery) -> list[Row]:
    """Visitors belong to the whole subscription, so apps do not filter them."""
    return _since(query, query.subscription.visitor_rows(**_scope(query)))


def _scope(query: ObjectQuery) -> dict[str, Any]:
    return {"anonymous": not query.flag("identified"), "blacklist": query.parameters.get("blacklist", "apply")}


def _since(query: ObjectQuery, rows: list[Row]) -> list[Row]:
    """Only visitors whose `metadata.auto.lastupdated` is `since` or later.

    The parameter and a text with `date(2024,1,1)` as its value are documented. Inferred: the column, that the bound is
    included, and that visitors without the column are left out.
    """
    since = query.parameters.get("since")
    if since is None:
        return rows
    if query.switches.no_since:
        message = "since"
        raise ValueError(message)
    first = compile_expression(since, query.subscription.calendar, query.subscription.now).evaluate({})
    if not isinstance(first, (int, float)):
        message = "since"
        raise ValueError(message)
    return [row for row in rows if _last_updated(row) >= first]


def _last_updated(row: Row) -> int:
    auto = (row["metadata"] or {}).get("auto") or {}
    return int(auto.get("lastupdated", -1))


def _accounts(query: ObjectQuery) -> list[Row]:
    with query.subscription.lock:
        return list(query.subscription.accounts)


def _do_not_process_visitors(query: ObjectQuery) -> list[Row]:
    return _since(query, query.subscription.do_not_process_rows("visitor", **_scope(query)))


def _do_not_process_accounts(query: ObjectQuery) -> list[Row]:
    return query.subscription.do_not_process_rows("account")


def _definitions(query: ObjectQuery) -> list[Row]:
    return query.subscription.definition_rows(query.source, query.apps)


def _apps(query: ObjectQuery) -> list[Row]:
    names = {"both": ("id", "appId")}.get(query.switches.app_id_name, (query.switches.app_id_name,))
    return [
        dict.fromkeys(names, row["id"]) | {name: value for name, value in row.items() if name != "id"}
        for row in query.subscription.app_rows()
    ]


def _groups(query: ObjectQuery) -> list[Row]:
    return query.subscription.group_rows(query.choice("groupType", GROUP_TYPES), with_items=query.flag("items"))


def _voc_items(query: ObjectQuery) -> list[Row]:
    item_type = query.choice("type", ITEM_TYPES if query.switches.ideas else ITEM_TYPES[:1])
    with query.subscription.lock:
        return query.subscription.feedback.item_rows(item_type, query.apps)


def _votes(query: ObjectQuery) -> list[Row]:
    with query.subscription.lock:
        return list(query.subscription.feedback.votes)


OBJECT_SOURCES: Mapping[str, Callable[[ObjectQuery], list[Row]]] = {
    "visitors": _visitors,
    "accounts": _accounts,
    "doNotProcessVisitors": _do_not_process_visitors,
    "doNotProcessAccounts": _do_not_process_accounts,
    "pages": _definitions,
    "features": _definitions,
    "guides": _definitions,
    "trackTypes": _definitions,
    "apps": _apps,
    "groups": _groups,
    "vocItems": _voc_items,
    "votes": _votes,
}
