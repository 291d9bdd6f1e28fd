"""Who must not be processed, and the requests for bulk deletion.

Documented: `doNotProcessVisitors` and `doNotProcessAccounts` have those with the flag, set in the UI, by the API or by
a bulk deletion; a bulk deletion sets the flag at once; the list of requests has the outstanding ones only, and a single
request stays readable for ever. Invented: all members of a request but `id`, and that those who were deleted keep a row
with their id and the flag.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from simulators.pendo.definitions import new_id
from simulators.pendo.periods import DAY_MS
from simulators.server import Row

ID_COLUMNS = {"visitor": "visitorId", "account": "accountId"}


class Erasures:
    """Requests for bulk deletion, and the visitors and accounts that are gone."""

    def __init__(self, rng: random.Random, now: int) -> None:
        self.gone: dict[str, list[Row]] = {
            kind: [erased_row(kind, f"erased-{kind}-{number}") for number in range(3)] for kind in ID_COLUMNS
        }
        self.requests: list[Row] = [
            request_row(new_id(rng), "visitor", ["erased-visitor-0"], now - 5 * DAY_MS),
            request_row(new_id(rng), "account", ["erased-account-0", "erased-account-1"], now - 2 * DAY_MS),
            request_row(new_id(rng), "visitor", ["erased-visitor-1"], now - 90 * DAY_MS) | {"status": "finished"},
        ]

    def outstanding(self) -> list[Row]:
        """The requests that are not finished."""
        return [request for request in self.requests if request["status"] != "finished"]

    def request(self, request_id: str) -> Row | None:
        """One request, outstanding or finished."""
        return next((request for request in self.requests if request["id"] == request_id), None)

    def flagged(self, kind: str, rows: Sequence[Row]) -> list[Row]:
        """Those of `rows` that have the flag, and those that are gone."""
        return [row for row in rows if is_flagged(row)] + self.gone[kind]


def is_flagged(row: Row) -> bool:
    """Whether a visitor or an account must not be processed."""
    pendo = (row["metadata"] or {}).get("pendo") or {}
    return pendo.get("donotprocess") is True


def erased_row(kind: str, object_id: str) -> Row:
    """The row of a visitor or an account whose data are deleted."""
    return {ID_COLUMNS[kind]: object_id, "metadata": {"pendo": {"donotprocess": True}}}


def request_row(request_id: str, kind: str, ids: Sequence[str], now: int) -> Row:
    """A request for bulk deletion."""
    return {
        "id": request_id,
        "type": kind,
        "status": "pending",
        "total": len(ids),
        "ids": list(ids),
        "createdAt": now,
        "createdByUser": {"id": "491", "username": "ann@example.com"},
    }
