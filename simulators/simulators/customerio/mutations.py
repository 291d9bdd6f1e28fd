"""Changes to the workspace, between two syncs or during one. `POST /_sim/mutate` takes the same names and arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from simulators.customerio import build_deliveries, build_parents, build_people
from simulators.customerio.workspace import DAY, Deliveries, Preferences, Workspace
from simulators.server import Row

_CURSORS = {
    "campaigns": "updated",
    "broadcasts": "updated",
    "newsletters": "updated",
    "transactional_messages": "updated_at",
    "segments": "updated_at",
    "snippets": "updated_at",
    "collections": "updated_at",
    "exports": "updated_at",
}
_KEYS = {"snippets": "name", "optouts": "cio_id"}


def advance(workspace: Workspace, rng: Random, seconds: int) -> int:
    """Move the clock, which does not move by itself. Returns the new time."""
    workspace.now += seconds
    return workspace.now


def edit(workspace: Workspace, rng: Random, stream: str, id: int | str, fields: Row | None = None) -> Row:
    """Change a row of a flat list. Its time of change becomes now, unless `fields` sets it."""
    row: Row = next(row for row in workspace.lists[stream] if row[_KEYS.get(stream, "id")] == id)
    cursor = _CURSORS.get(stream)
    row |= ({cursor: workspace.now} if cursor else {}) | (fields or {})
    if cursor and "deduplicate_id" in row:
        row["deduplicate_id"] = f"{row['id']}:{row[cursor]}"
    return row


def edit_action(
    workspace: Workspace,
    rng: Random,
    campaign_id: int | None = None,
    position: int = 0,
    fields: Row | None = None,
) -> Row:
    """Change an action of a campaign (default: the first campaign with actions).

    `updated` of the campaign does not change, as with the real vendor.
    """
    actions = workspace.children["campaign_actions"]
    number = campaign_id if campaign_id is not None else min(key for key, rows in actions.items() if rows)
    row = actions[number][position]
    row |= {"updated": workspace.now, "name": f"edited {row['id']}"} | (fields or {})
    row["deduplicate_id"] = f"{int(row['id']) + 7}:{row['updated']}"
    return row


def duplicate_campaign(workspace: Workspace, rng: Random, campaign_id: int | None = None) -> Row:
    """Duplicate a campaign. The new campaign has actions with the times of the original actions."""
    campaigns, actions = workspace.lists["campaigns"], workspace.children["campaign_actions"]
    source = min(actions) if campaign_id is None else campaign_id
    original = next(row for row in campaigns if row["id"] == source)
    number = max(row["id"] for row in campaigns) + 3
    row = original | {
        "id": number,
        "name": f"{original['name']} copy",
        "created": workspace.now,
        "updated": workspace.now,
    }
    row["deduplicate_id"] = f"{number}:{workspace.now}"
    actions[number] = build_parents.copied(actions[source], number)
    row["actions"] = [{"id": int(item["id"]), "type": item["type"]} for item in actions[number]]
    campaigns.append(row)
    return row


def vanish(workspace: Workspace, rng: Random, stream: str, id: int | None = None) -> int:
    """Let a parent answer 404 although it is still listed, like one that is deleted after the list was read."""
    number = workspace.lists[stream][0]["id"] if id is None else id
    workspace.vanished.add((stream, number))
    return int(number)


def delete(workspace: Workspace, rng: Random, stream: str, id: int | str | None = None) -> int | str:
    """Delete a row of a flat list (default: the first). Its children are not answered any more."""
    key = _KEYS.get(stream, "id")
    number: int | str = workspace.lists[stream][0][key] if id is None else id
    workspace.lists[stream] = [row for row in workspace.lists[stream] if row[key] != number]
    return number


def clear(workspace: Workspace, rng: Random, stream: str) -> None:
    """Empty a list. `exports`, `collections` and `reporting_webhooks` then answer `null`."""
    if stream == "messages":
        workspace.deliveries = Deliveries([])
    elif stream == "activities":
        workspace.activities = []
    elif stream == "customers":
        workspace.people = {}
    else:
        workspace.lists[stream] = []


def fill_metrics(workspace: Workspace, rng: Random, newest: int = 20, id: str | None = None) -> list[str]:
    """Add opens and clicks, with the time now, to the newest deliveries or to the one with this id. Returns the ids."""
    total = len(workspace.deliveries)
    ids: set[str] = {id} if id else set()
    if not id:
        ids = {row["id"] for index, row in enumerate(workspace.deliveries.rows()) if index >= total - newest}

    def change(row: Row) -> bool:
        if row["id"] not in ids:
            return False
        row["metrics"] |= {"opened": workspace.now, "human_opened": workspace.now, "clicked": workspace.now}
        row["deduplicate_id"] = f"{row['id']}:{workspace.now}"
        return True

    workspace.deliveries.update(change)
    return sorted(ids)


def grow_metrics(workspace: Workspace, rng: Random, opens: int = 1) -> None:
    """Add late opens: that many for each parent on each of the last three days."""
    workspace.late_opens += opens


def add_message(workspace: Workspace, rng: Random, created: int | None = None, count: int = 1) -> list[str]:
    """Add deliveries, created now or at a given second. Returns their ids."""
    people = list(workspace.people.values())
    ids = []
    for _ in range(count):
        moment = workspace.now if created is None else created
        index = len(workspace.deliveries)
        row = build_deliveries.delivery(workspace, rng, index, moment, people[index % len(people)])
        workspace.deliveries.add(row)
        ids.append(row["id"])
    return ids


def add_activity(workspace: Workspace, rng: Random, ago: int = 0, type: str = "event", count: int = 1) -> list[str]:
    """Add activities dated `ago` seconds before now. A negative number dates them in the future. Returns their ids."""
    person = next(iter(workspace.people.values()))
    rows = [build_deliveries.activity(rng, type, workspace.now - ago, person) for _ in range(count)]
    workspace.activities += rows
    workspace.sort_activities()
    return [row["id"] for row in rows]


def add_newsletter(workspace: Workspace, rng: Random) -> Row:
    """Add a newsletter with the next id, which is not sent yet."""
    number = max((row["id"] for row in workspace.lists["newsletters"]), default=0) + 1
    row: Row = {
        "id": number,
        "deduplicate_id": f"{number}:{workspace.now}",
        "name": f"Weekly {number}",
        "sent_at": None,
    }
    row |= {
        "created": workspace.now,
        "updated": workspace.now,
        "type": "email",
        "tags": [],
        "content_ids": [number * 2],
    }
    workspace.lists["newsletters"].append(row)
    variant = build_parents.content(number * 2, "email", workspace.now)
    workspace.children["newsletter_variants"][number] = [variant | {"newsletter_id": number}]
    workspace.children["newsletter_test_groups"][number] = []
    return row


def delete_person(workspace: Workspace, rng: Random, cio_id: str | None = None) -> str:
    """Delete a person from searches and segments. Deliveries and activities stay, with a `profile_delete` more."""
    key = next(iter(workspace.people)) if cio_id is None else cio_id
    del workspace.people[key]
    workspace.deleted_people.add(key)
    gone = build_deliveries.nobody_now(key)
    workspace.activities.append(build_deliveries.activity(rng, "profile_delete", workspace.now, gone))
    workspace.sort_activities()
    return key


def merge_people(
    workspace: Workspace, rng: Random, cio_id: str | None = None, into: str | None = None, of: str = "kept"
) -> list[str]:
    """Merge a person (default: the first) into another (default: the one after). Returns who is gone and who is kept.

    The kept person gets what it lacks: attributes, devices and segments of the other. Deliveries and activities stay.
    `of` says whose activity the `profile_merge` is: of the person who is `kept`, or who is `gone`.
    """
    gone = next(iter(workspace.people)) if cio_id is None else cio_id
    kept = next(key for key in workspace.people if key != gone) if into is None else into
    lost, person = workspace.people.pop(gone), workspace.people[kept]
    for group in ("attributes", "timestamps"):
        more = {name: value for name, value in lost[group].items() if name not in {"cio_id", "id", "email"}}
        person[group] = more | person[group]
    person["devices"] = person["devices"] + lost["devices"]
    for members in workspace.members.values():
        if gone in members and kept not in members:
            members.append(kept)
    _merge_preferences(workspace, person, gone, kept)
    workspace.deleted_people.add(gone)
    workspace.activities.append(build_deliveries.profile_merge(rng, workspace.now, gone, person, of=of))
    workspace.sort_activities()
    return [gone, kept]


def _merge_preferences(workspace: Workspace, person: Row, gone: str, kept: str) -> None:
    """What the kept person has of the topics now, which may be what the other one had."""
    workspace.preferences.pop(gone, None)
    workspace.preferences.pop(kept, None)
    texts = [person["attributes"].get(name) for name in (build_people.SET, build_people.COMPUTED)]
    with suppress(json.JSONDecodeError):
        chosen, computed = ({} if text is None else json.loads(text)["topics"] for text in texts)
        changed = person["timestamps"].get(build_people.SET)
        workspace.preferences[kept] = Preferences(chosen, computed, changed)


def identify_by(workspace: Workspace, rng: Random, kinds: list[str]) -> None:
    """Let the workspace know people by these of `id`, `email` and `phone`. Others are in no identifiers any more."""
    workspace.identified_by = tuple(kinds)
    off = {"id", "email"}.difference(kinds)

    def strip(row: Row) -> bool:
        known = row.get("customer_identifiers") or {}
        row["customer_identifiers"] = {name: value for name, value in known.items() if name not in off} or None
        return True

    for person in workspace.people.values():
        person["identifiers"] = {name: value for name, value in person["identifiers"].items() if name not in off}
    workspace.deliveries.update(strip)
    workspace.drafts.update(strip)
    for row in workspace.activities:
        strip(row)


def object_field(workspace: Workspace, rng: Random, field: str) -> None:
    """Let every object have this field: `object_id`, or `cio_object_id`; then every third one has no `object_id`.

    A search does not find objects by the other field, or only some. Which of the two holds is not documented.
    """
    workspace.object_field = field
    for item in list(workspace.objects.values())[::3] if field == "cio_object_id" else ():
        item["identifiers"]["object_id"] = None


def delete_object(workspace: Workspace, rng: Random, cio_object_id: str) -> None:
    """Delete an object."""
    for key in [key for key in workspace.objects if key[1] == cio_object_id]:
        del workspace.objects[key]


def age(workspace: Workspace, rng: Random, days: int) -> int:
    """Move the clock by whole days."""
    return advance(workspace, rng, days * DAY)


MUTATIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        add_activity,
        add_message,
        add_newsletter,
        advance,
        age,
        clear,
        delete,
        delete_object,
        delete_person,
        duplicate_campaign,
        edit,
        edit_action,
        fill_metrics,
        grow_metrics,
        merge_people,
        identify_by,
        object_field,
        vanish,
    )
}
