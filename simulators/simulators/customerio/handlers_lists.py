"""Endpoints of flat lists, of lists under a parent, and of single objects."""

from __future__ import annotations

from simulators.customerio.options import Options
from simulators.customerio.wire import (
    flag,
    list_or_null,
    not_found,
    offset_page,
    opaque_page,
    page_size,
    plain_token,
    read_plain_token,
    reject,
)
from simulators.customerio.workspace import Workspace
from simulators.server import Request, Row

ACTIONS_PER_PAGE = 10
MEMBERSHIP_MAXIMUM = 30_000
OPTOUTS_DEFAULT, OPTOUTS_MAXIMUM = 100, 1_000
NULL_LISTS = frozenset({"exports", "collections", "reporting_webhooks"})
"""Flat lists that were observed as `null` when they were empty."""


def number_of(text: str) -> int | None:
    """An id from a path, None if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() else None


def parent(workspace: Workspace, name: str, text: str, *, strict: bool = False) -> Row:
    """The object that a path names. 404 if it does not exist; with `strict` 400 if the id is not a number."""
    number = number_of(text)
    if number is None and strict:
        reject("invalid id")
    row = None if number is None else workspace.find(name, number)
    if row is None:
        raise not_found()
    return row


def whole_list(workspace: Workspace, options: Options, name: str, envelope: str) -> Row:
    """A list without pages: all rows, whatever the query has."""
    rows = workspace.lists[name]
    return {envelope: list_or_null(rows, options, seen_null=name in NULL_LISTS)}


def by_last_id(workspace: Workspace, options: Options, request: Request, name: str) -> Row:
    """Newsletters and sender identities.

    `next` is the last id of the page in base64. The last page with rows has it too; the page after it is empty.
    """
    rows = sorted(workspace.lists[name], key=lambda row: int(row["id"]))
    if name == "sender_identities":
        # Observed: `hidden=true` answers hidden senders only, although the documentation says that they are added.
        rows = [row for row in rows if row["hidden"] is flag(request, "hidden")]
    descending = request.param("sort") == "desc"
    if descending:
        rows.reverse()
    if token := request.param("start"):
        text = read_plain_token(token)
        last = number_of(text or "")
        rows = [] if last is None else [row for row in rows if (row["id"] < last if descending else row["id"] > last)]
        if options.repeat_token == name:
            return {name: rows, "next": token}
    size = page_size(request, options, name, workspace.size.newsletter_cap, workspace.size.newsletter_cap)
    page = rows[:size]
    return {name: list_or_null(page, options), "next": plain_token(str(page[-1]["id"])) if page else ""}


def campaign_actions(workspace: Workspace, options: Options, request: Request, campaign: str) -> Row:
    """The actions of a campaign, ten a page; `limit` has no effect. `next` of the last page is an empty string."""
    row = parent(workspace, "campaigns", campaign, strict=True)
    rows = workspace.children["campaign_actions"].get(row["id"], [])
    scope = f"actions/{row['id']}"
    first, last, following = opaque_page(request, options, "actions", scope, ACTIONS_PER_PAGE, len(rows))
    return {"actions": list_or_null(rows[first:last], options), "next": following}


def children(
    workspace: Workspace, options: Options, kind: str, parents: str, envelope: str, text: str, *, strict: bool = False
) -> Row:
    """A list under a parent, without pages."""
    row = parent(workspace, parents, text, strict=strict)
    return {envelope: list_or_null(workspace.children[kind].get(row["id"], []), options)}


def child(workspace: Workspace, kind: str, parents: str, text: str, child_text: str) -> Row:
    """One row under a parent."""
    row = parent(workspace, parents, text, strict=True)
    for item in workspace.children[kind].get(row["id"], []):
        if str(item["id"]) == child_text:
            return item
    raise not_found()


def membership(workspace: Workspace, options: Options, request: Request, text: str) -> Row:
    """The members of a segment. The token is a position. Only an empty `next` ends the list."""
    row = parent(workspace, "segments", text)
    members = [cio_id for cio_id in workspace.members[row["id"]] if cio_id in workspace.people]
    size = page_size(request, options, "identifiers", MEMBERSHIP_MAXIMUM, MEMBERSHIP_MAXIMUM)
    first, last, following = offset_page(
        request, options, "identifiers", size, len(members), write=plain_token, read=read_plain_token
    )
    identifiers = [workspace.people[cio_id]["identifiers"] for cio_id in members[first:last]]
    return {
        "segment_id": row["id"],
        "ids": list_or_null([item.get("id") or "" for item in identifiers], options),
        "identifiers": list_or_null(identifiers, options),
        "next": following,
    }


def customer_count(workspace: Workspace, text: str) -> Row:
    """The number of people in a segment."""
    row = parent(workspace, "segments", text)
    return {
        "segment_id": row["id"],
        "count": sum(cio_id in workspace.people for cio_id in workspace.members[row["id"]]),
    }


def used_by(workspace: Workspace, text: str) -> Row:
    """The campaigns and newsletters that use a segment."""
    row = parent(workspace, "segments", text)
    usage = workspace.usage.get(row["id"])
    return {
        "segment_id": row["id"],
        "used_by": usage and {name: users for name, users in usage.items() if name != "segment_id"},
    }


def sender_used_by(workspace: Workspace, text: str) -> Row:
    """The campaigns and newsletters that use a sender, at the top of the answer."""
    return workspace.sender_usage[parent(workspace, "sender_identities", text)["id"]]


def optouts(workspace: Workspace, options: Options, request: Request) -> Row:
    """Opt-outs from SMS and WhatsApp, one row a person."""
    rows = workspace.lists["optouts"]
    if sender := request.param("from"):
        rows = [row for row in rows if any(item["from"] == sender for item in row["optouts"])]
    size = page_size(request, options, "optouts", OPTOUTS_DEFAULT, OPTOUTS_MAXIMUM)
    first, last, following = opaque_page(request, options, "optouts", "optouts", size, len(rows))
    return {"optouts": list_or_null(rows[first:last], options), "next": following}
