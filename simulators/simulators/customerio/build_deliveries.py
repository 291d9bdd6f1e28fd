"""Deliveries and activities.

Deliveries lie between `Workspace.start` and now, fewer of them on weekends. At the border between two 30-day windows
there are two rows: one in the last second of the earlier window, one in the first second of the later one. Activities
lie in the last 33 days. In an unusual workspace one of the ten windows is empty, and three activities lie in the
future, up to a year ahead.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from random import Random

from simulators.customerio import funnel
from simulators.customerio.names import subject
from simulators.customerio.senders import Senders, parent_of
from simulators.customerio.workspace import DAY, HISTORY, Deliveries, Workspace
from simulators.server import Row

WINDOW = 30 * DAY
EMPTY_WINDOW = 4
"""The fifth 30-day window from `Workspace.start` on has no deliveries."""

DRAFTS = 6
DELETED_PERSON, MERGED_PERSON = "a3ffffff", "a3fffffe"
"""People who are gone: one was deleted, one was merged into the first person."""

UNKNOWN_TYPE = "hologram"

_TYPES = (
    *("email", "email", "twilio", "email", "push", "email", "webhook", "email", "in_app", "email", "inbox", "email"),
    *("whatsapp", "email", "live_notification"),
)
_OPENED_TYPES = frozenset({"email", "push", "in_app", "inbox"})
_LATE_TO_SEND = 60
"""A delivery younger than so many seconds is not delivered yet."""
SURVEY = ('Do you like "us"?', "How was it, from 1 to 5? (\N{WHITE SMILING FACE})", "a.b c\\d")
"""Names of the questions of an in-app survey. Each needs quotes as a column of a table."""

TRACKED = "tracked_responses"
"""Answers to a survey: the last field of a delivery, so that `handlers_deliveries` can cut it off."""

_FAILED = 0.04
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ACTIVE = 33 * DAY
"""The time in which the activities lie, up to now."""

DAILY_ACTIVITIES = ("opened_email", "event", "event", "page", "page", "page")
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
    senders = Senders(workspace)
    workspace.deliveries = Deliveries(
        delivery(workspace, rng, index, created, people[index % len(people)], senders)
        for index, created in enumerate(moments)
    )
    workspace.drafts = Deliveries(
        _draft(delivery(workspace, rng, 5 * index, workspace.now - index * 2 * DAY - DAY, people[index]))
        for index in range(DRAFTS)
    )
    workspace.activities = list(_activities(workspace, rng, people))
    workspace.sort_activities()


def is_weekend(moment: int) -> bool:
    """Whether a second is on a Saturday or Sunday, in UTC."""
    return (moment // DAY + 3) % 7 >= 5  # 1970-01-01 was a Thursday


def _moments(workspace: Workspace, rng: Random) -> Iterator[int]:
    """Creation times: first those at the borders, then the rest up to the number of deliveries of the size."""
    borders = 0
    for window in range(HISTORY // WINDOW + 1):
        first = workspace.start + window * WINDOW
        for moment, inside in ((first, window), (first - 1, window - 1)):
            if (inside != EMPTY_WINDOW or not workspace.size.unusual) and moment <= workspace.now:
                borders += 1
                yield moment
    empty_from, empty_to = workspace.start + EMPTY_WINDOW * WINDOW, workspace.start + (EMPTY_WINDOW + 1) * WINDOW
    span = workspace.now - workspace.start
    count = max(workspace.size.deliveries - borders, 0)
    for index in range(count):
        moment = workspace.start + (index * span + rng.randrange(span)) // max(count, 1)
        if is_weekend(moment) and rng.random() < 0.6:
            moment = max(workspace.start, moment - 2 * DAY)
        yield moment if not workspace.size.unusual or not empty_from <= moment < empty_to else moment - WINDOW


def delivery(
    workspace: Workspace, rng: Random, index: int, created: int, person: Row, senders: Senders | None = None
) -> Row:
    """One delivery. Its parent is of one of four kinds, and only the id column of that kind is set."""
    identifiers: Row | None = person["identifiers"]
    customer, recipient = person["id"], person["identifiers"].get("email")
    forgotten = index % 19 == 18
    if index % 17 == 16:  # the person was deleted later
        identifiers, customer = {"cio_id": person["identifiers"]["cio_id"]}, None
    if forgotten:
        identifiers, customer, recipient = None, None, None
    kind = _TYPES[index % len(_TYPES)] if index != 1 or not workspace.size.unusual else UNKNOWN_TYPE
    parents = (senders or Senders(workspace)).parents(rng, kind, index, created)
    metrics = {"created": created, "sent": created + rng.randrange(2, 28)}
    failure = None
    if rng.random() < _FAILED:
        metrics["failed"] = created + 30
        failure = "550 mailbox unavailable"
    elif workspace.now > created + _LATE_TO_SEND:
        arrived = metrics["sent"] + rng.randrange(3, 30)
        metrics |= {"delivered": arrived, "secondary:delivered": arrived}
        metrics |= _reactions(workspace, rng, kind, parents, arrived)
    answered = kind == "in_app" and "failed" not in metrics
    row_id = base64.b64encode(rng.randbytes(26)).decode()
    return {
        "id": row_id,
        "deduplicate_id": f"{row_id}:{max(metrics.values())}",
        "type": kind,
        "customer_id": customer,
        "customer_identifiers": identifiers,
        "recipient": recipient,
        "subject": None if forgotten else subject(parents["action_id"] or parents["content_id"] or index % 3),
        "metrics": metrics,
        "created": created,
        "failure_message": failure,
        **parents,
        "msg_template_id": 178,
        "forgotten": forgotten,
        **({TRACKED: _survey(index, created)} if answered else {}),
    }


def _reactions(workspace: Workspace, rng: Random, kind: str, parents: Row, arrived: int) -> dict[str, int]:
    """Opens and clicks up to now. How many there are depends on the parent.

    About every fourth open is one by a machine only, and so is about every fifth click.
    """
    found: dict[str, int] = {}
    parent = parent_of(parents)
    if kind not in _OPENED_TYPES or rng.random() > funnel.share(workspace.seed, parent, "opened"):
        return found
    opened = arrived + 20 + int(rng.expovariate(1 / (4 * 3600)))
    if opened <= workspace.now:
        found = {"opened": opened, "human_opened" if rng.random() < 0.75 else "prefetch_opened": opened}
    clicked = opened + rng.randrange(5, 900)
    if clicked <= workspace.now and rng.random() < funnel.share(workspace.seed, parent, "clicked"):
        found |= {"clicked": clicked}
        found |= {"human_clicked": clicked} if rng.random() < 0.8 else {}
    return found


def react(workspace: Workspace, rng: Random, row: Row, moment: int) -> bool:
    """Let somebody open a delivery, or click in an opened one. Whether somebody did; one under way arrives."""
    metrics, parent = row["metrics"], parent_of(row)
    before = dict(metrics)
    if "delivered" not in metrics:
        arrived = metrics["sent"] + 10
        metrics |= {"delivered": arrived, "secondary:delivered": arrived}
    step, part = ("clicked", 0.4) if "opened" in metrics else ("opened", 0.5)
    if row["type"] in _OPENED_TYPES and rng.random() < part * funnel.share(workspace.seed, parent, step):
        moment = max(moment, metrics["delivered"] + 30, metrics.get("opened", 0) + 5)
        metrics |= {step: moment, f"human_{step}": moment} if moment <= workspace.now else {}
    if metrics == before:
        return False
    row["deduplicate_id"] = f"{row['id']}:{max(metrics.values())}"
    return True


def _survey(index: int, created: int) -> Row:
    """The option that was chosen for each question, and when."""
    return {name: {"id": index % 4 + place, "ts": created + 60 + place} for place, name in enumerate(SURVEY)}


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
    for moment in (now + 3600, now + 365 * DAY, now + 366 * DAY) if workspace.size.unusual else ():
        yield activity(rng, "event", moment, people[0])
    for index in range(count):
        person: Row | None = people[index % len(people)]
        if index % 40 == 39:
            person = deleted
        if index % 50 == 49:
            person = None
        # About a tenth of them is older than 30 days, so the API does not show it.
        yield activity(rng, _ACTIVITY_TYPES[index % len(_ACTIVITY_TYPES)], now - index * ACTIVE // count, person)
    yield from _changes_of_people(workspace, rng, people)
