"""People, segments with their members, opt-outs and suppressed addresses.

Unusual rows, on purpose: a `cio_id` that looks like a number, people with an e-mail address only, with an id only or
with neither, a person in no segment, addresses with `+`, an empty segment, a segment that is still being built,
addresses that are suppressed on two domains, preferences that are no JSON or name a topic that is gone, devices without
attributes.
"""

from __future__ import annotations

import json
from random import Random

from simulators.customerio.names import SEGMENTS, named
from simulators.customerio.workspace import DAY, Preferences, Workspace
from simulators.server import Row

NUMERIC_LOOKING = "30e00001"
"""A valid `cio_id` that a YAML or Jinja parser reads as the number 30."""

SET, COMPUTED = "cio_subscription_preferences", "_cio_subscription_preferences_computed"
"""Attributes whose values are texts of JSON: what a person chose, and what applies with the topics' defaults."""

MALFORMED_PERSON, GONE_TOPIC_PERSON = 5, 10
EMAIL_ONLY_PERSON, ID_ONLY_PERSON, NAMELESS_PERSON, NUMERIC_PERSON = 1, 2, 3, 4
SUPPRESSION_TYPES = ("bounces", "blocks", "spam_reports", "invalid_emails")
MAIN_DOMAIN, SECOND_DOMAIN = "mail.example.com", "news.example.org"
BUILDING_SEGMENT, EMPTY_SEGMENT = 3, 4


def build(workspace: Workspace, rng: Random) -> None:
    """Fill people, segments, opt-outs and suppressions."""
    for index in range(workspace.size.people):
        row = person(workspace, rng, index, workspace.start + rng.randrange(250 * DAY))
        workspace.people[row["identifiers"]["cio_id"]] = row
    _segments(workspace, rng)
    _optouts(workspace)
    _suppressions(workspace)


def person(workspace: Workspace, rng: Random, index: int, created: int) -> Row:
    """One person, who was created at a second."""
    cio_id = NUMERIC_LOOKING if index == NUMERIC_PERSON else f"a3{index:06x}"
    email: str | None = f"person+{index}@example.com" if index % 5 == 0 else f"person.{index}@example.com"
    user: str | None = f"u{index}"
    if index == EMAIL_ONLY_PERSON or index % 60 == 59:
        user = None
    if index == ID_ONLY_PERSON:
        email = None
    if index == NAMELESS_PERSON:
        email = user = None
    # This API answers every attribute value as a string, whatever type was sent.
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
    attributes |= {"phone": f"+1555{index:07}"} if index % 2 else {}
    texts, changed = _preferences(workspace, index, cio_id, min(created + 2 * DAY, workspace.now))
    timestamps = {**dict.fromkeys(attributes, created), **changed}
    timestamps |= {"_last_emailed": min(created + 3 * DAY, workspace.now)} if index % 2 else {}
    return {
        "attributes": attributes | texts,
        "devices": _devices(index, created, workspace.now),
        "id": user,
        "identifiers": {"cio_id": cio_id, "email": email, "id": user},
        "timestamps": timestamps,
        "unsubscribed": index % 11 == 0,
    }


def _preferences(workspace: Workspace, index: int, cio_id: str, moment: int) -> tuple[dict[str, str], dict[str, int]]:
    """The attributes and timestamps that hold a person's topics. A third of the people has none, a third chose none."""
    if index % 3 == 0:
        return {}, {}
    chosen = {"topic_1": False} if index % 3 == 1 else {}
    computed = {"topic_1": True, "topic_2": False} | chosen
    if index == GONE_TOPIC_PERSON:
        chosen["topic_7"] = False
    texts = {COMPUTED: _text(computed)} | ({SET: _text(chosen)} if chosen else {})
    changed = {SET: moment} if chosen else {}
    if index == MALFORMED_PERSON:
        texts[COMPUTED] = texts[COMPUTED][:-2]
    else:
        workspace.preferences[cio_id] = Preferences(chosen, computed, changed.get(SET))
    return texts, changed


def _text(topics: dict[str, bool]) -> str:
    return json.dumps({"topics": topics}, separators=(",", ":"))


def _devices(index: int, created: int, now: int) -> list[Row]:
    if index % 4:
        return []
    device: Row = {"id": f"tok+/{index}=", "platform": "ios", "last_used": min(created + DAY, now)}
    attributes = {"device_os": "17.2", "app_version": "1.0.3", "_last_status": "", "push_enabled": "true"}
    return [device if index % 8 else device | {"attributes": attributes}]


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
                "name": named(SEGMENTS, position),
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
        # The last person is in no segment, so the members of all segments together are not all people.
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
        # Without a domain the vendor answers a default list. In a workspace with one domain it is the list of that
        # domain.
        workspace.suppressions[kind, ""] = workspace.suppressions[kind, MAIN_DOMAIN] = rows
        workspace.suppressions[kind, SECOND_DOMAIN] = [] if kind == "blocks" else rows[: count // 2]
