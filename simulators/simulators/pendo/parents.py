"""Parent accounts: a setting of the subscription with which account ids are `Parent::Child`.

Documented: by default the source `accounts` has the child accounts only, and there are parameters for the parents,
whose names it does not give. So the parents are in no answer here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from simulators.pendo.functions import PARENT_SEPARATOR
from simulators.pendo.subscription import Subscription
from simulators.server import Row

_PARENTS = ("holding-0", "holding-1", "holding-2")
_COLUMNS = {"accountId", "accountIds", "accountid", "accountids"}


def switch_on_parents(subscription: Subscription) -> None:
    """Make each account the child of one of three parents. The id changes wherever it stands."""
    ids = [row["accountId"] for row in subscription.accounts if row["accountId"]]
    new = {old: f"{_PARENTS[number % 3]}{PARENT_SEPARATOR}{old}" for number, old in enumerate(ids)}
    subscription.accounts = [_renamed(row, new) for row in subscription.accounts]
    subscription.visitors = [_renamed(row, new) for row in subscription.visitors]
    for hourly_rows in (rows for days in subscription.hourly_rows.values() for rows in days.values()):
        for hourly_row in hourly_rows:
            hourly_row.identity = _renamed(hourly_row.identity, new)
    for days in subscription.events.values():
        for day, events in days.items():
            days[day] = [replace(event, row=_renamed(event.row, new)) for event in events]
    feedback = subscription.feedback
    feedback.items = [replace(item, row=_renamed(item.row, new)) for item in feedback.items]
    feedback.votes = [_renamed(row, new) for row in feedback.votes]
    subscription.parent_accounts = True


def _renamed(row: Row, new: Mapping[str, str]) -> Row:
    """A row with other account ids, in `metadata.auto` too."""
    changed = {name: _new_value(row[name], new) for name in _COLUMNS & row.keys()}
    auto = (row.get("metadata") or {}).get("auto")
    if auto is not None:
        own = {"id": _new_value(auto["id"], new)} if "accountId" in row else {}
        changed["metadata"] = {**row["metadata"], "auto": _renamed(auto, new) | own}
    return {**row, **changed}


def _new_value(value: Any, new: Mapping[str, str]) -> Any:
    return [new.get(item, item) for item in value] if isinstance(value, list) else new.get(value, value)
