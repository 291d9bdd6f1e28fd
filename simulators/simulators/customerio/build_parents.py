"""Campaigns, broadcasts, newsletters and transactional messages with their children.

Unusual rows, on purpose: an action that is newer than its campaign, a campaign whose row lists no actions although it
has some, a duplicated campaign whose actions keep their old times, null and missing fields, undeclared types, ids that
are strings in one place and integers in another.
"""

from __future__ import annotations

from random import Random

from simulators.customerio.names import BROADCASTS, CAMPAIGNS, NEWSLETTERS, TRANSACTIONAL, named, subject
from simulators.customerio.workspace import DAY, HISTORY, Workspace
from simulators.server import Row

DUPLICATED_CAMPAIGN = 1
"""Position of the campaign that the last campaign is a duplicate of."""

UNKNOWN_CAMPAIGN_TYPE = "moon_phase"
UNKNOWN_ACTION_TYPE = "hologram"

_ACTION_TYPES = ("email", "twilio", "webhook", "push", "in_app", "attribute_update", "whatsapp")
_CAMPAIGN_TYPES = ("event", "segment", "seg_attr", "date", "webhook", UNKNOWN_CAMPAIGN_TYPE)


def build(workspace: Workspace, rng: Random) -> None:
    """Fill lists and children of all four kinds of parent."""
    _campaigns(workspace, rng)
    _broadcasts(workspace, rng)
    _newsletters(workspace, rng)
    _transactional(workspace, rng)


def content(number: int, kind: str, updated: int) -> Row:
    """The fields that actions, newsletter variants and transactional variants have in common."""
    row: Row = {"id": number, "name": f"{kind} {number}", "type": kind, "layout": "", "body": f"<p>Hello {number}</p>"}
    if kind == "email":
        row |= {
            "subject": subject(number),
            "from": "Example <hello@example.com>",
            "from_id": 1,
            "reply_to": "",
            "reply_to_id": None,
            "preprocessor": "premailer",
            "recipient": "{{customer.email}}",
            "headers": '[{"name":"X-Kind","value":"greeting"}]',
            "bcc": "",
            "fake_bcc": True,
            "preheader_text": "",
        }
    if kind == "webhook":
        row |= {
            "url": "https://hooks.example.com/in",
            "method": "POST",
            "headers": [{"name": "X-Kind", "value": "hook"}],
        }
    return row | {"language": "", "updated": updated}


def action(parent: str, parent_id: int, number: int, kind: str, created: int, updated: int) -> Row:
    """An action as the list endpoints answer it.

    `id` is a string for an action of a campaign and an integer for an action of a broadcast.
    """
    row = content(number, kind, updated)
    row |= {
        "id": str(number) if parent == "campaign_id" else number,
        parent: parent_id,
        "deduplicate_id": f"{number + 7}:{updated}",  # the first number is the id of a template, not of the action
        "created": created,
        "editor": "",
        "recipient_environment_id": 144601,
    }
    if kind in {"email", "twilio", "push"}:
        row |= {"sending_state": "automatic", "parent_action_id": None}
    return row


def _campaigns(workspace: Workspace, rng: Random) -> None:
    rows: list[Row] = []
    children: dict[int, list[Row]] = {}
    for position in range(workspace.size.campaigns):
        number = position * 3 + 4
        created = workspace.start + position * 9 * DAY
        updated = created + rng.randrange(20 * DAY)
        longest = workspace.size.longest_campaign
        count = longest if position == 0 else 1 + rng.randrange(min(8, longest - 1))
        kinds = [_ACTION_TYPES[(position + index) % len(_ACTION_TYPES)] for index in range(count)]
        if not workspace.size.unusual:
            kinds = ["email"] * (4 if position == 0 else 1) + kinds[4 if position == 0 else 1 :]
        elif position == 0:
            kinds[-1] = UNKNOWN_ACTION_TYPE
        # An edit of an action does not change its campaign (observed live: a difference of one day).
        children[number] = [
            action("campaign_id", number, number * 100 + index, kind, created, updated + (DAY if index % 2 else -60))
            for index, kind in enumerate(kinds)
        ]
        if position == 0:
            _add_languages(children[number])
        rows.append(_campaign(number, position, created, updated, children[number]))
        if rows[-1]["type"] == UNKNOWN_CAMPAIGN_TYPE and not workspace.size.unusual:
            rows[-1]["type"] = "segment"
    _duplicate(workspace, rows, children)
    rng.shuffle(rows)
    workspace.lists["campaigns"] = rows
    workspace.children["campaign_actions"] = children


def _add_languages(actions: list[Row]) -> None:
    """Make one message of three of the e-mails. The first of them is the branch of the other two languages."""
    emails = [row for row in actions if row["type"] == "email"][1:4]
    for row, language in zip(emails, ("", "de", "fr"), strict=True):
        row |= {"language": language, "multi_language_branch_action_id": int(emails[0]["id"])}


def copied(actions: list[Row], campaign_id: int) -> list[Row]:
    """The actions of a duplicate: new ids, the times of the original actions."""
    ids = {int(row["id"]): campaign_id * 100 + index for index, row in enumerate(actions)}
    copies = [row | {"id": str(ids[int(row["id"])]), "campaign_id": campaign_id} for row in actions]
    for row in copies:
        if branch := row.get("multi_language_branch_action_id"):
            row["multi_language_branch_action_id"] = ids[branch]
    return copies


def _campaign(number: int, position: int, created: int, updated: int, actions: list[Row]) -> Row:
    inline = [{"id": int(row["id"]), "type": row["type"]} for row in actions]
    row: Row = {
        "id": number,
        "deduplicate_id": f"{number}:{updated}",
        "name": named(CAMPAIGNS, position),
        "type": _CAMPAIGN_TYPES[position % len(_CAMPAIGN_TYPES)],
        "created": created,
        "updated": updated,
        "active": position % 3 != 2,
        "state": ("running", "stopped", "draft")[position % 3],
        "actions": [] if position == 2 else inline,
        "first_started": 0 if position % 3 == 2 else created + 3600,
        "tags": None if position % 2 else ["Sample"],
    }
    if row["type"] == "event":
        row["event_name"] = "purchase"
    if row["type"] in {"segment", "seg_attr"}:
        row |= {"trigger_segment_ids": [1, 2], "filter_segment_ids": [3]}
    if row["type"] == "date":
        row |= {"date_attribute": "birthday", "frequency": "yearly", "use_customer_timezone": True, "start_hour": 9}
    if row["type"] == "webhook":
        row |= {"object_type_id": 1, "object_attribute_triggers": '{"plan":"pro"}', "audience": {"type": 1}}
    return row


def _duplicate(workspace: Workspace, rows: list[Row], children: dict[int, list[Row]]) -> None:
    """Make the last campaign a duplicate from yesterday. Its actions have the times of the original actions."""
    original, copy = rows[DUPLICATED_CAMPAIGN], rows[-1]
    made = workspace.now - DAY
    number = copy["id"]
    copy |= {"name": f"{original['name']} copy", "created": made, "updated": made, "deduplicate_id": f"{number}:{made}"}
    children[number] = copied(children[original["id"]], number)
    copy["actions"] = [{"id": int(row["id"]), "type": row["type"]} for row in children[number]]


def _broadcasts(workspace: Workspace, rng: Random) -> None:
    rows: list[Row] = []
    actions: dict[int, list[Row]] = {}
    triggers: dict[int, list[Row]] = {}
    for position in range(workspace.size.broadcasts):
        number = 200 + position
        created = workspace.start + position * 30 * DAY
        updated = created + rng.randrange(10 * DAY)
        languages = ("", "de", "fr")[: 1 + position % 3]
        actions[number] = [
            action("broadcast_id", number, number * 10 + index, "email", created, updated + index)
            | {"language": language, "multi_language_branch_action_id": number * 10 if len(languages) > 1 else None}
            for index, language in enumerate(languages)
        ]
        triggers[number] = [
            {
                "broadcast_id": number,
                "id": index + 1,
                "created_at": created + index * DAY,
                "processed_at": created + index * DAY + 5,
            }
            for index in range(3 * position)
        ]
        rows.append(
            {
                "id": number,
                "deduplicate_id": f"{number}:{updated}",
                "name": named(BROADCASTS, position),
                "type": "triggered_broadcast",
                "created": created,
                "updated": updated,
                "active": True,
                "state": "running",
                "actions": [{"id": row["id"], "type": row["type"]} for row in actions[number]],
                "first_started": created + 60 if position else 0,
                "created_by": "ada@example.com",
                "tags": None,
                "msg_template_ids": [{"id": number, "type": "email"}],
                "scheduled_start_should_backfill": False,
            }
        )
    workspace.lists["broadcasts"] = rows
    workspace.children["broadcast_actions"] = actions
    workspace.children["broadcast_triggers"] = triggers


def _newsletters(workspace: Workspace, rng: Random) -> None:
    rows: list[Row] = []
    variants: dict[int, list[Row]] = {}
    groups: dict[int, list[Row]] = {}
    for position in range(workspace.size.newsletters):
        number = position + 1
        created = workspace.start + (position + 1) * (HISTORY - 12 * DAY) // workspace.size.newsletters
        updated = created + rng.randrange(5 * DAY)
        ids = [number * 2, number * 2 + 1] if position % 3 == 0 else [number * 2]
        variants[number] = [
            content(variant, "email", updated) | {"newsletter_id": number, "deduplicate_id": f"{variant}:{updated}"}
            for variant in ids
        ]
        groups[number] = []
        # Ids start at 0 in every newsletter. Content ids are numbers, as in the example of the vendor's specification;
        # its schema says strings.
        if len(ids) > 1:
            groups[number] = [
                {
                    "id": index,
                    "name": "AB"[index],
                    "label": f"test {index + 1}",
                    "winner": not index,
                    "content_ids": [variant],
                }
                for index, variant in enumerate(ids)
            ]
        row: Row = {
            "id": number,
            "deduplicate_id": f"{number}:{updated}",
            "content_ids": ids,
            "name": named(NEWSLETTERS, position),
            "sent_at": None if position % 4 == 3 else updated + 60,
            "created": created,
            "updated": updated,
            "type": ("email", "push", "in_app", "inbox")[position % 4],
            "tags": [] if position % 2 else ["weekly"],
        }
        rows.append(row | ({"recipient_segment_ids": [1], "subscription_topic_id": 1} if position % 2 else {}))
    workspace.lists["newsletters"] = rows
    workspace.children["newsletter_variants"] = variants
    workspace.children["newsletter_test_groups"] = groups


def _transactional(workspace: Workspace, rng: Random) -> None:
    rows: list[Row] = []
    variants: dict[int, list[Row]] = {}
    for position in range(workspace.size.transactional):
        number = position + 1
        created = workspace.start + position * 20 * DAY
        updated = created + rng.randrange(20 * DAY)
        variants[number] = [content(number * 5, "email", updated) | {"created": created}]
        rows.append(
            {
                "id": number,
                "name": named(TRANSACTIONAL, position),
                "description": "" if position else "Sent after each order",
                "trigger_name": f"receipt_{number}",
                "send_to_unsubscribed": True,
                "link_tracking": position % 2 == 0,
                "open_tracking": True,
                "hide_message_body": False,
                "queue_drafts": False,
                "created_at": created,
                "updated_at": updated,
            }
        )
    workspace.lists["transactional_messages"] = rows
    workspace.children["transactional_variants"] = variants
