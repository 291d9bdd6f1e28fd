"""The sources `guidesSeen` and `pollsSeen`: one row for a visitor and a step, or a visitor and a poll.

A row is in the answer if its latest view, or answer, lies in the window (documented). The sources whose names end with
`Ever` have no window. All rows are made from the guide and poll events that are visible at the simulated present.

Inferred: the times are those of receipt, so that the window and the times agree; a step counts as seen if it has an
event `guideSeen`; a time that does not exist is 0. `lastState` and `seenCount` are second-hand. Which columns the real
rows have besides the documented ones is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulators.pendo.events import Event
from simulators.server import Row


@dataclass(frozen=True)
class SeenSource:
    """The events that a source is made from, and the function that makes its rows."""

    events: str
    rows: Callable[[Iterable[Event]], list[Row]]
    time: str
    """The column that must lie in the window."""

    def in_window(self, events: Iterable[Event], start: int, end: int) -> list[Row]:
        """The rows whose latest event lies in the window."""
        return [row for row in self.rows(events) if start <= row[self.time] < end]


def _grouped(events: Iterable[Event], columns: tuple[str, ...]) -> Mapping[tuple[str, ...], list[Event]]:
    groups: dict[tuple[str, ...], list[Event]] = {}
    for event in sorted(events, key=lambda event: event.at):
        groups.setdefault(tuple(event.row[column] for column in columns), []).append(event)
    return groups


def _views(events: Iterable[Event]) -> list[Row]:
    rows = []
    for (visitor, guide, step), group in _grouped(events, ("visitorId", "guideId", "guideStepId")).items():
        seen = [event.at for event in group if event.row["type"] == "guideSeen"]
        if not seen:
            continue
        rows.append(
            {
                "guideId": guide,
                "guideStepId": step,
                "visitorId": visitor,
                "firstSeenAt": seen[0],
                "lastSeenAt": seen[-1],
                "lastAdvancedAutoAt": _last(group, "guideAdvanced"),
                "lastDismissedAutoAt": _last(group, "guideDismissed"),
                "lastTimeoutAt": _last(group, "guideTimeout"),
                "lastNotSeenAt": 0,
                "lastState": group[-1].row["type"].removeprefix("guide").lower(),
                "seenCount": len(seen),
            }
        )
    return rows


def _last(events: Iterable[Event], kind: str) -> int:
    return max((event.at for event in events if event.row["type"] == kind), default=0)


def _answers(events: Iterable[Event]) -> list[Row]:
    rows = []
    for (visitor, guide, poll), group in _grouped(events, ("visitorId", "guideId", "pollId")).items():
        latest = group[-1]
        rows.append(
            {
                "time": latest.at,
                "guideId": guide,
                "pollId": poll,
                "visitorId": visitor,
                "accountId": latest.row["accountId"],
                "pollResponse": latest.row["pollResponse"],
            }
        )
    return rows


_GUIDES = SeenSource("guideEvents", _views, "lastSeenAt")
_POLLS = SeenSource("pollEvents", _answers, "time")
SEEN_SOURCES: Mapping[str, SeenSource] = {
    "guidesSeen": _GUIDES,
    "guidesSeenEver": _GUIDES,
    "pollsSeen": _POLLS,
    "pollsSeenEver": _POLLS,
}


def with_nps(answers: Iterable[Row], guides: Iterable[Row]) -> list[Row]:
    """The answers with what the definitions of the guides say about them.

    Each row gets `pollType`. The score of an NPS guide also gets `npsScore` and `npsComment`, the latest answer of the
    same visitor to the poll that `followUp` names. These three are no columns of Pendo's answer.
    """
    polls = {poll["id"]: poll["attributes"] for guide in guides for poll in guide["polls"]}
    rows = list(answers)
    texts = {(row["visitorId"], row["guideId"], row["pollId"]): row["pollResponse"] for row in rows}
    joined = []
    for row in rows:
        attributes = polls.get(row["pollId"], {})
        new = {**row, "pollType": attributes.get("type"), "npsScore": None, "npsComment": None}
        if attributes.get("type") == "NPSRating":
            new["npsScore"] = row["pollResponse"]
            new["npsComment"] = texts.get((row["visitorId"], row["guideId"], attributes["followUp"]))
        joined.append(new)
    return joined
