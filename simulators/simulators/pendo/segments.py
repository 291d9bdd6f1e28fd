"""Who belongs to a segment.

How Pendo evaluates a segment is not documented, and the form of a definition's filters is made up. What matters to a
client is documented: a segment that looks at accounts needs rows of visitors to which `unwind` and `bulkExpand` have
added their accounts. So a filter of accounts finds nobody in rows without the column `account`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulators.pendo.expressions import lookup
from simulators.pendo.subscription import Subscription
from simulators.server import Row


def segment_definition(subscription: Subscription, segment_id: object) -> Row | None:
    """The row of a segment that exists."""
    rows = subscription.definition_rows("segments", None)
    return next((row for row in rows if row["id"] == segment_id), None)


def belongs(row: Mapping[str, Any], segment: Row) -> bool:
    """Whether a row of visitors, with its `account` if it has been expanded, passes all filters of a segment."""
    return all(lookup(row, _path(condition)) == condition["value"] for condition in segment["definition"]["filters"])


def _path(condition: Row) -> str:
    prefix = "account.metadata." if condition.get("kind", "account") == "account" else "metadata."
    return f"{prefix}{condition['field']}"


def members(subscription: Subscription, segment: Row) -> Iterator[Row]:
    """The members of a segment: one row for each visitor and account. The account of a visitor without one is null."""
    for visitor in subscription.visitor_rows(anonymous=False):
        auto = (visitor["metadata"] or {}).get("auto") or {}
        for account_id in auto.get("accountids") or [None]:
            if belongs({**visitor, "account": subscription.account(account_id)}, segment):
                yield {"segmentId": segment["id"], "visitorId": visitor["visitorId"], "accountId": account_id}
