"""Values of documented types that the seeded objects do not have.

Documented: `attributes.device` of a guide is an object or a text; `launcher` is a list, `email` a boolean;
`idResponses` of a poll is an object or a list; `definition` of a report is a list. Metadata times are accepted as
seconds and in words; it is not said how they read back, so here they come back as they were sent (inferred).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from simulators.pendo.definitions import Definition
from simulators.pendo.directory import EXCLUDED_VISITOR
from simulators.server import Row

_LAYOUTS = ("%a %b %d %Y", "%a %b %d %Y %H:%M:%S GMT+0000 (UTC)", "%m/%d/%Y %I:%M%p", "%Y-%m-%d %H:%M:%S -0700")


def odd_definitions(definitions: Mapping[str, Sequence[Definition]]) -> Iterator[tuple[str, int, Row]]:
    """Kind, position and changed columns of some guides and a report."""
    for position, guide in enumerate(definitions["guides"][:3]):
        attributes = {**guide.row["attributes"], "device": "mobile", "launcher": ["help", "start"]}
        if len(guide.row["polls"]) > 1:
            attributes["email"] = True
        yield "guides", position, {"attributes": attributes, "polls": [_odd_poll(poll) for poll in guide.row["polls"]]}
    definition = {
        "config": [{"appId": definitions["reports"][0].app}],
        "generator": "visitorList",
        "type": "List",
        "kind": "visitor",
        "timeSeries": [],
    }
    yield "reports", 0, {"definition": [definition]}


def _odd_poll(poll: Row) -> Row:
    responses = poll.get("idResponses")
    if not isinstance(responses, dict):
        return poll
    return {**poll, "idResponses": [{"id": key, "text": text} for key, text in responses.items()]}


def odd_metadata(visitors: Sequence[Row], now: int) -> Iterator[tuple[int, Row]]:
    """Position and new row of some visitors: `agent.signup` in seconds, and in each form with words."""
    moment = datetime.fromtimestamp(now // 1000 - 86_400, UTC)
    forms = [int(moment.timestamp()), *(moment.strftime(layout) for layout in _LAYOUTS)]
    known = [
        (position, row)
        for position, row in enumerate(visitors)
        if row["visitorId"] != EXCLUDED_VISITOR and (row["metadata"] or {}).get("agent")
    ]
    for (position, row), signup in zip(known, forms, strict=False):
        metadata = row["metadata"]
        changed = {
            "auto": {**metadata["auto"], "lastupdated": now},
            "agent": {**metadata["agent"], "signup": signup},
        }
        yield position, {**row, "metadata": {**metadata, **changed}}
