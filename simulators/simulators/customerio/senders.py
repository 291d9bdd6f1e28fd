"""Which campaign, newsletter, broadcast or transactional message sends a delivery. All of it is invented.

Only what was there when the delivery was created sends. Some parents send far more than others, and a newsletter sends
for a few days.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from simulators.customerio.workspace import DAY, Workspace
from simulators.server import Row

_PARENT_COLUMNS = (
    *("campaign_id", "action_id", "parent_action_id", "newsletter_id", "content_id"),
    *("broadcast_id", "transactional_message_id"),
)
_KINDS = {
    "campaigns": "campaign_id",
    "newsletters": "newsletter_id",
    "broadcasts": "broadcast_id",
    "transactional_messages": "transactional_message_id",
}
_NEWSLETTER_LASTS = 4 * DAY
_OF_NEWSLETTERS, _OF_CAMPAIGNS, _OF_MESSAGES = 0.8, 0.75, 0.9
"""Limits of a random number. A newsletter that is being sent comes first."""


class _Parents:
    """The parents of one kind, by the time since when they send."""

    def __init__(self, rows: Sequence[Row], column: str) -> None:
        self._rows = sorted(rows, key=lambda row: int(row[column]))
        self._since = [row[column] for row in self._rows]
        self._weights = list(accumulate(0.15 + zlib.crc32(f"{row['id']}/".encode()) / (1 << 32) for row in self._rows))

    def pick(self, rng: Random, moment: int) -> Row | None:
        """One of those that send at a moment. None if there is none."""
        there = bisect_right(self._since, moment)
        if not there:
            return None
        row: Row = self._rows[bisect_right(self._weights, rng.random() * self._weights[there - 1], hi=there - 1)]
        return row

    def latest(self, moment: int) -> Row | None:
        """The one that began to send last, if that was not long before a moment."""
        there = bisect_right(self._since, moment)
        recent = there and moment - self._since[there - 1] < _NEWSLETTER_LASTS
        return self._rows[there - 1] if recent else None


class Senders:
    """The parents of a workspace as they are now."""

    def __init__(self, workspace: Workspace) -> None:
        lists = workspace.lists
        started = [row for row in lists["campaigns"] if row["first_started"]] or lists["campaigns"]
        self._actions = workspace.children["campaign_actions"]
        self._variants = workspace.children["newsletter_variants"]
        self._campaigns = _Parents(started, "created")
        self._first_campaign = started[0] if started else None
        self._broadcasts = _Parents(lists["broadcasts"], "created")
        self._messages = _Parents(lists["transactional_messages"], "created_at")
        sent = [row for row in lists["newsletters"] if row["sent_at"]]
        self._newsletters = {
            kind: _Parents([row for row in sent if row["type"] == kind], "sent_at") for kind in _types(sent)
        }
        self._fitting: dict[tuple[int, str], list[int]] = {}

    def parents(self, rng: Random, kind: str, index: int, created: int) -> Row:
        """The parent's ids of a delivery of a type, and None in the other columns."""
        parents: Row = dict.fromkeys(_PARENT_COLUMNS)
        chance = rng.random()
        newsletter = self._newsletters[kind].latest(created) if kind in self._newsletters else None
        if newsletter and chance < _OF_NEWSLETTERS:
            content = rng.choice(self._variants[newsletter["id"]])["id"]
            return parents | {"newsletter_id": newsletter["id"], "content_id": content}
        if chance > _OF_MESSAGES and (broadcast := self._broadcasts.pick(rng, created)):
            return parents | {"broadcast_id": broadcast["id"]}
        if chance > _OF_CAMPAIGNS and (message := self._messages.pick(rng, created)):
            return parents | {"transactional_message_id": message["id"]}
        campaign = self._campaigns.pick(rng, created) or self._first_campaign
        if campaign is None:
            return parents
        actions = self._actions_for(campaign["id"], kind)
        return parents | {
            "campaign_id": campaign["id"],
            "action_id": rng.choice(actions) if actions else None,
            "trigger_event_id": f"01E4C3CT6YDC7Y4N7F{index:08}",
        }

    def _actions_for(self, campaign_id: int, kind: str) -> list[int]:
        """The actions that send deliveries of a type. If there is none, the first action."""
        found = self._fitting.get((campaign_id, kind))
        if found is None:
            actions = self._actions.get(campaign_id, [])
            found = [int(row["id"]) for row in [row for row in actions if row["type"] == kind] or actions[:1]]
            self._fitting[campaign_id, kind] = found
        return found


def _types(newsletters: Sequence[Row]) -> set[str]:
    return {row["type"] for row in newsletters}


def parent_of(delivery: Row) -> str:
    """The parent of a delivery, as `funnel.share` names it."""
    return next((f"{kind}/{delivery[column]}" for kind, column in _KINDS.items() if delivery[column]), "nobody/0")
