"""Feedback of Pendo Listen: items (`vocItems`) and votes.

Documented: the two sources and their columns. `type: feedback` is documented; `type: idea` is inferred and refused
unless the switch `ideas` is on. Invented: the values, and that without `type` the items of feedback are answered.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulators.pendo.definitions import new_id
from simulators.pendo.directory import APPS, CROWD_VISITOR, EXCLUDED_VISITOR
from simulators.server import Row

ITEM_TYPES = ("feedback", "idea")
_BEHALF = ("Visitor", "User", "IntegrationKey")


@dataclass(frozen=True)
class Item:
    """A row of `vocItems`, and its app: no documented column names it."""

    row: Row
    app: int


@dataclass
class Feedback:
    """The items and votes of a subscription."""

    items: list[Item]
    votes: list[Row]

    def item_rows(self, item_type: str | None, apps: frozenset[int] | None) -> list[Row]:
        """The items of one type (None: all) that belong to some apps (None: all)."""
        return [
            item.row
            for item in self.items
            if item_type in (None, item.row["type"]) and (apps is None or item.app in apps)
        ]

    def touch(self, item_id: str | None, number: int) -> Row:
        """Change the status of an item (None: the first one), and add a vote for it. KeyError for an unknown id."""
        for position, item in enumerate(self.items):
            if item_id in (None, item.row["id"]):
                self.items[position] = Item(item.row | {"statusId": f"status-{2 + number}"}, item.app)
                vote = {**self.votes[0], "id": f"vote-{number}", "vocItemId": item.row["id"], "revoked": False}
                self.votes.append(vote)
                return self.items[position].row
        raise KeyError(item_id)


def make_feedback(rng: random.Random, count: int, visitors: Sequence[Row]) -> Feedback:
    """`count` items of each type, and two votes an item on average."""
    ids = [row["visitorId"] for row in visitors if (row["metadata"] or {}).get("agent")]
    # No answer has somebody who is on the exclude list.
    ids = [CROWD_VISITOR if name == EXCLUDED_VISITOR else name for name in ids]
    items = [
        Item(_item(rng, item_type, number, rng.choice(ids)), APPS[number % len(APPS)]["id"])
        for item_type in ITEM_TYPES
        for number in range(count)
    ]
    return Feedback(items, [_vote(rng, rng.choice(items).row["id"], rng.choice(ids)) for _ in range(4 * count)])


def _on_behalf(rng: random.Random, visitor: str) -> Row:
    kind = rng.choice(_BEHALF)
    return {"onBehalfOfId": visitor if kind == "Visitor" else str(rng.randrange(400, 600)), "onBehalfOfType": kind}


def _item(rng: random.Random, item_type: str, number: int, visitor: str) -> Row:
    return {
        "id": new_id(rng),
        "type": item_type,
        "statusId": f"status-{number % 3}",
        "effort": rng.choice((None, 1, 3, 5)),
        "impact": rng.choice((None, 2, 4)),
        "accountId": rng.choice(("", "account-0001", "00123")),
        **_on_behalf(rng, visitor),
        "ownedByUserId": rng.choice((None, "491", "522")),
    }


def _vote(rng: random.Random, item_id: str, visitor: str) -> Row:
    return {
        "id": new_id(rng),
        "vocItemId": item_id,
        "accountId": rng.choice(("", "account-0001", "00123")),
        **_on_behalf(rng, visitor),
        "createdById": visitor,
        "createdByType": "Visitor",
        "strength": rng.randrange(1, 4),
        "revoked": rng.random() < 0.1,
    }
