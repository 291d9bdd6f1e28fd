"""Deliveries and activities.

Deliveries lie between `Workspace.start` and now. One of the ten 30-day windows is empty. At the border between two
other windows there are two rows: one in the last second of the earlier window, one in the first second of the later
one. Activities lie in the last 33 days, and three of them in the future, up to a year ahead.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from random import Random

from simulators.customerio.workspace import DAY, HISTORY, Deliveries, Workspace
from simulators.server import Row

WINDOW = 30 * DAY
EMPTY_WINDOW = 4
"""The fifth 30-day window from `Workspace.start` on has no deliveries."""

DRAFTS = 6
DELETED_PERSON, MERGED_PERSON = "a3ffffff", "a3fffffe"
"""People who are gone: one was deleted, one was merged into the first person."""

UNKNOWN_TYPE = "hologram"

_TYPES = ("email", "email", "email", "twilio", "push", "webhook", "in_app", "inbox", "whatsapp", "live_notification")
SURVEY = ('Do you like "us"?', "How was it, from 1 to 5? (\N{WHITE SMILING FACE})", "a.b c\\d")
"""Names of the questions of an in-app survey. Each needs quotes as a column of a table."""

TRACKED = "tracked_responses"
"""Answers to a survey: the last field of a delivery, so that `handlers_deliveries` can cut it off."""

_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ACTIVITY_TYPES = (
    "sent_email",
    "opened_email",
    "event",
    "page",
    "attribute_change",
    "profile_create",
    "_o:1:attribute_change",
)


def build(workspace: Workspace, rng: Random) -> None:
    """Fill deliveries, drafts and activities."""
    people = list(workspace.people.values())
    moments = list(_moments(workspace, rng))
    workspace.deliveries = Deliveries(
        delivery(workspace, rng, index, created, people[index % len(people)]) for index, created in enumerate(moments)
    )
    workspace.drafts = Deliveries(
        _draft(delivery(workspace, rng, 5 * index, workspace.now - index * 2 * DAY - DAY, people[index]))
        for index in range(DRAFTS)
    )
    workspace.activities = list(_activities(workspace, rng, people))
    workspace.sort_activities()


def _moments(workspace: Workspace, rng: Random) -> Iterator[int]:
    """Creation times: first those at the borders, then the rest up to the number of deliveries of the size."""
    borders = 0
    for window in range(HISTORY // WINDOW + 1):
        first = workspace.start + window * WINDOW
        for moment, inside in ((first, window), (first - 1, window - 1)):
            if inside != EMPTY_WINDOW and moment <= workspace.now:
                borders += 1
                yield moment
    empty_from, empty_to = workspace.start + EMPTY_WINDOW * WINDOW, workspace.start + (EMPTY_WINDOW + 1) * WINDOW
    span = workspace.now - workspace.start
    count = max(workspace.size.deliveries - borders, 0)
    for index in range(count):
        moment = workspace.start + (index * span + rng.randrange(span)) // max(count, 1)
        yield moment if not empty_from <= moment < empty_to else moment - WINDOW


def delivery(workspace: Workspace, rng: Random, index: int, created: int, person: Row) -> Row:
    """One delivery. Its parent is of one of four kinds, and only the id column of that kind is set."""
    identifiers: Row | None = person["identifiers"]
    customer, recipient = person["id"], person["identifiers"].get("email")
    forgotten = index % 19 == 18
    if index % 17 == 16:  # the person was deleted later
        identifiers, customer = {"cio_id": person["identifiers"]["cio_id"]}, None
    if forgotten:
        identifiers, customer, recipient = None, None, None
    kind = _TYPES[index % len(_TYPES)] if index != 1 else UNKNOWN_TYPE
    metrics = {"created": created, "sent": created + 27}
    failure = None
    if index % 13 == 12:
        metrics["failed"] = created + 30
        failure = "550 mailbox unavailable"
    elif workspace.now > created + 40:
        metrics |= {"delivered": created + 40, "secondary:delivered": created + 40}
        if index % 3 == 0 and workspace.now > created + 960:
            metrics |= _opens_and_clicks(index, created + 900)
    answered = kind == "in_app" and "failed" not in metrics
    row_id = base64.b64encode(rng.randbytes(26)).decode()
    return {
        "id": row_id,
        "deduplicate_id": f"{row_id}:{max(metrics.values())}",
        "type": kind,
        "customer_id": customer,
        "customer_identifiers": identifiers,
        "recipient": recipient,
        "subject": None if forgotten else f"Greeting {index}",
        "metrics": metrics,
        "created": created,
        "failure_message": failure,
        **_parents(workspace, index),
        "msg_template_id": 178,
        "forgotten": forgotten,
        **({TRACKED: _survey(index, created)} if answered else {}),
    }


def _opens_and_clicks(index: int, moment: int) -> dict[str, int]:
    """Every third open is one by a machine only, and so is every fourth click."""
    opened = {"opened": moment, "prefetch_opened" if index % 9 == 3 else "human_opened": moment}
    if index % 2:
        return opened
    clicked = {"clicked": moment + 60} if index % 8 == 2 else {"clicked": moment + 60, "human_clicked": moment + 60}
    return opened | clicked


def _survey(index: int, created: int) -> Row:
    """The option that was chosen for each question, and when."""
    return {name: {"id": index % 4 + place, "ts": created + 60 + place} for place, name in enumerate(SURVEY)}


def _parents(workspace: Workspace, index: int) -> Row:
    size = workspace.size
    parents: Row = dict.fromkeys(
        (
            "campaign_id",
            "action_id",
            "parent_action_id",
            "newsletter_id",
            "content_id",
            "broadcast_id",
            "transactional_message_id",
        )
    )
    match index % 5:
        case 0 | 1 | 2:
            campaign = (index % size.campaigns) * 3 + 4
            parents |= {
                "campaign_id": campaign,
                "action_id": campaign * 100,
                "trigger_event_id": f"01E4C3CT6YDC7Y4N7F{index:08}",
            }
        case 3:
            newsletter = index % size.newsletters + 1
            parents |= {"newsletter_id": newsletter, "content_id": newsletter * 2}
        case _ if index % 2:
            parents |= {"broadcast_id": 200 + index % size.broadcasts}
        case _:
            parents |= {"transactional_message_id": index % size.transactional + 1}
    return parents


def _draft(row: Row) -> Row:
    return row | {"metrics": {"created": row["created"], "drafted": row["created"]}, "failure_message": None}


def activity(rng: Random, kind: str, timestamp: int, person: Row | None) -> Row:
    """One activity.

    Its id is a ULID that is not in the order of the timestamps, because customers can date activities themselves.
    """
    row: Row = {
        "id": "01" + "".join(rng.choices(_ULID, k=24)),
        "type": kind,
        "timestamp": timestamp,
        "customer_id": person["id"] if person else None,
        "customer_identifiers": person["identifiers"] if person else None,
    }
    if kind.endswith("_email"):
        delivery_id = base64.b64encode(rng.randbytes(26)).decode()
        return row | {"delivery_id": delivery_id, "delivery_type": "email", "data": {"delivered": timestamp}}
    if kind == "event":
        return row | {"name": "purchase", "data": {"price": 12.5, "items": [{"sku": "a"}], "note": None}}
    if kind == "page":
        return row | {"name": "pricing", "url": "https://example.com/pricing?a=b", "data": {}}
    return row | {"data": {"plan": {"from": "free", "to": "pro"}} if kind == "attribute_change" else None}


def nobody_now(cio_id: str) -> Row:
    """Who did what a person did who was deleted or merged into another since: only the `cio_id` is left."""
    return {"id": None, "identifiers": {"cio_id": cio_id}}


def profile_merge(rng: Random, timestamp: int, gone: str, kept: Row, *, of: str = "kept") -> Row:
    """The activity of a person who was merged into another.

    Neither its data nor whose activity it is are specified: here it is that of the person who is `kept`, or with
    `of="gone"` of the other, and its data have the form of a changed attribute.
    """
    row = activity(rng, "profile_merge", timestamp, kept if of == "kept" else nobody_now(gone))
    return row | {"data": {"cio_id": {"from": gone, "to": kept["identifiers"]["cio_id"]}}}


def _changes_of_people(workspace: Workspace, rng: Random, people: list[Row]) -> Iterator[Row]:
    """What tells of people and objects that came, went or became one, on the last six days."""
    at = [workspace.now - days * DAY - 7 for days in range(6)]
    named = {"name": {"from": None, "to": "Acme"}}
    anonymous = {"anonymous_id": {"from": "anon-17", "to": None}}
    workspace.deleted_people |= {DELETED_PERSON, MERGED_PERSON}
    yield activity(rng, "profile_delete", at[0], nobody_now(DELETED_PERSON))
    yield profile_merge(rng, at[1], MERGED_PERSON, people[0])
    yield activity(rng, "anon_merge", at[2], people[1]) | {"data": anonymous}
    yield activity(rng, "_o:1:create", at[5], None) | {"data": named}
    yield activity(rng, "_r:1:create", at[4], people[2])
    yield activity(rng, "_o:1:delete", at[3], None)


def _activities(workspace: Workspace, rng: Random, people: list[Row]) -> Iterator[Row]:
    now, count = workspace.now, workspace.size.activities
    deleted = nobody_now(DELETED_PERSON)
    for moment in (now + 3600, now + 365 * DAY, now + 366 * DAY):
        yield activity(rng, "event", moment, people[0])
    for index in range(count):
        person: Row | None = people[index % len(people)]
        if index % 40 == 39:
            person = deleted
        if index % 50 == 49:
            person = None
        # About a tenth of them is older than 30 days, so the API does not show it.
        yield activity(rng, _ACTIVITY_TYPES[index % len(_ACTIVITY_TYPES)], now - index * 33 * DAY // count, person)
    yield from _changes_of_people(workspace, rng, people)
