"""People, segments with their members, opt-outs and suppressed addresses.

Awkward on purpose: a `cio_id` that reads as a number, people with only an e-mail address or only an id or neither, one
who is in no segment, addresses with `+`, an empty segment, one that is still being built, addresses suppressed on two
domains.
"""

from __future__ import annotations

from random import Random

from simulators.customerio.workspace import DAY, Workspace
from simulators.server import Row

NUMERIC_LOOKING = "30e00001"
"""A legal `cio_id` that a YAML or Jinja reader takes for 3e+01."""

EMAIL_ONLY_PERSON, ID_ONLY_PERSON, NAMELESS_PERSON, NUMERIC_PERSON = 1, 2, 3, 4
SUPPRESSION_TYPES = ("bounces", "blocks", "spam_reports", "invalid_emails")
MAIN_DOMAIN, SECOND_DOMAIN = "mail.example.com", "news.example.org"
BUILDING_SEGMENT, EMPTY_SEGMENT = 3, 4


def build(workspace: Workspace, rng: Random) -> None:
    """Fill people, segments, opt-outs and suppressions."""
    for index in range(workspace.size.people):
        person = _person(workspace, rng, index)
        workspace.people[person["identifiers"]["cio_id"]] = person
    _segments(workspace, rng)
    _optouts(workspace)
    _suppressions(workspace)


def _person(workspace: Workspace, rng: Random, index: int) -> Row:
    cio_id = NUMERIC_LOOKING if index == NUMERIC_PERSON else f"a3{index:06x}"
    email: str | None = f"person+{index}@example.com" if index % 5 == 0 else f"person.{index}@example.com"
    user: str | None = f"u{index}"
    if index == EMAIL_ONLY_PERSON or index % 60 == 59:
        user = None
    if index == ID_ONLY_PERSON:
        email = None
    if index == NAMELESS_PERSON:
        email = user = None
    created = workspace.start + rng.randrange(250 * DAY)
    # attribute values are always strings on this API, whatever was sent
    attributes = {
        "cio_id": cio_id,
        "created_at": str(created),
        "plan": rng.choice(["free", "pro"]),
        "logins": str(index),
    }
    attributes |= {"email": email} if email else {}
    attributes |= {"id": user} if user else {}
    if index % 7 == 0:
        attributes |= {"Favorite Color": "türkis", "address": '{"city":"Zürich"}', "vip": "true"}
    devices: list[Row] = []
    if index % 4 == 0:
        devices = [{"id": f"tok+/{index}=", "platform": "ios", "last_used": created + DAY, "attributes": {}}]
    return {
        "attributes": attributes,
        "devices": devices,
        "id": user,
        "identifiers": {"cio_id": cio_id, "email": email, "id": user},
        "timestamps": dict.fromkeys(attributes, created),
        "unsubscribed": index % 11 == 0,
    }


def _segments(workspace: Workspace, rng: Random) -> None:
    everybody = list(workspace.people)
    rows: list[Row] = []
    for position in range(workspace.size.segments):
        number = position + 1
        created = workspace.start + position * 10 * DAY
        updated = created + rng.randrange(30 * DAY)
        building = number == BUILDING_SEGMENT
        rows.append(
            {
                "id": number,
                "deduplicate_id": f"{number}:{updated}",
                "name": f"Segment {number}",
                "description": "",
                "state": "build" if building else "finished",
                "progress": 40 if building else None,
                "type": "manual" if position % 2 else "dynamic",
                "tags": None if position % 2 else ["sample"],
                "conditions": {"and": [{"attribute": {"field": "plan", "operator": "eq", "value": "pro"}}]},
                "created_at": created,
                "updated_at": updated,
            }
        )
        # the last person is in no segment at all: a union of segments is not everybody
        members = everybody[:-1] if number == 1 else everybody[number :: number + 1][:-1]
        workspace.members[number] = [] if number == EMPTY_SEGMENT else members
        workspace.usage[number] = {
            "segment_id": number,
            "campaigns": [4] if number < BUILDING_SEGMENT else [],
            "draft_newsletters": [],
            "sent_newsletters": [number],
        }
    workspace.lists["segments"] = rows


def _optouts(workspace: Workspace) -> None:
    workspace.lists["optouts"] = [
        {
            "cio_id": cio_id,
            "customer_id": person["id"],
            "optouts": [{"channel": "sms", "from": "+15550100"}]
            + ([{"channel": "whatsapp", "from": "+15550101"}] if index % 2 else []),
        }
        for index, (cio_id, person) in enumerate(list(workspace.people.items())[::3])
    ]


def _suppressions(workspace: Workspace) -> None:
    for position, kind in enumerate(SUPPRESSION_TYPES):
        count = workspace.size.suppressions // (1 + position * 3)
        rows = [
            {
                "created": workspace.start + index * 3600,
                "email": f"gone.{index:05}@example.net",
                "reason": f"550 5.1.{position} mailbox unavailable",
                "status": "550" if kind == "bounces" else "",
            }
            for index in range(count)
        ]
        # without a domain the vendor answers one default list: the sending domain's, in a workspace with one domain
        workspace.suppressions[kind, ""] = workspace.suppressions[kind, MAIN_DOMAIN] = rows
        workspace.suppressions[kind, SECOND_DOMAIN] = [] if kind == "blocks" else rows[: count // 2]
