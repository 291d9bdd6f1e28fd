"""Endpoints of deliveries (the API calls them messages) and of activities."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

import orjson

from simulators.customerio.build_deliveries import TRACKED
from simulators.customerio.handlers_people import id_type
from simulators.customerio.options import Options
from simulators.customerio.wire import (
    activity_token,
    flag,
    integer,
    list_or_null,
    not_found,
    opaque_page,
    page_size,
    read_activity_token,
    reject,
)
from simulators.customerio.workspace import HALF_YEAR, Workspace
from simulators.server import Request, Row

MESSAGES_DEFAULT, MESSAGES_MAXIMUM = 50, 1_000
ACTIVITIES_DEFAULT, ACTIVITIES_MAXIMUM = 10, 100
METRICS = frozenset(
    [
        "attempted",
        "sent",
        "delivered",
        "opened",
        "clicked",
        "converted",
        "bounced",
        "spammed",
        "unsubscribed",
        "dropped",
        "failed",
        "undeliverable",
    ]
)
_TRACKED = f',"{TRACKED}":'.encode()
"""What the answers to a survey begin with in an encoded row. They are its last field."""

_FILTERS = ("type", "campaign_id", "newsletter_id", "action_id")


def messages(
    workspace: Workspace, options: Options, request: Request, fixed: Row | None = None, longest: int = HALF_YEAR
) -> bytes:
    """Deliveries by time of creation, newest first. Both bounds are included.

    Without bounds the range is the last six months. A longer range is shortened, without an error, to the six months
    before its end. `fixed` filters by a parent; the range of such a list can be a year (`longest`), and is six months
    by default too. Only with `get_tracked_responses=true` rows have the answers to surveys.
    """
    low, high = _range(workspace, request, longest)
    filters = _filters(request, fixed or {})
    size = page_size(request, options, "messages", MESSAGES_DEFAULT, MESSAGES_MAXIMUM)
    drafts = flag(request, "drafts")
    store = workspace.deliveries
    first_row, last_row = store.bounds(low, high)
    tracked = flag(request, "get_tracked_responses")
    if not filters and not drafts:
        first, last, following = opaque_page(request, options, "messages", "messages", size, last_row - first_row)
        return _encoded(store.page(first_row, last_row, first, last), following, options, tracked=tracked)
    rows = [] if drafts and options.drafts == "only" else store.newest_first(first_row, last_row)
    if drafts:
        rows += workspace.drafts.newest_first(*workspace.drafts.bounds(low, high))
        rows.sort(key=lambda encoded: -int(orjson.loads(encoded)["created"]))
    rows = [encoded for encoded in rows if _matches(orjson.loads(encoded), filters)]
    first, last, following = opaque_page(request, options, "messages", "messages", size, len(rows))
    return _encoded(rows[first:last], following, options, tracked=tracked)


def _range(workspace: Workspace, request: Request, longest: int) -> tuple[int, int]:
    end = integer(request, "end_ts")
    start = integer(request, "start_ts")
    high = workspace.now if end is None else end
    low = high - HALF_YEAR if start is None else start
    return max(low, high - longest), high


def _filters(request: Request, fixed: Row) -> Row:
    metric = request.param("metric")
    if metric and metric not in METRICS:
        reject("invalid metric")
    filters = {name: request.param(name) for name in _FILTERS if request.param(name)}
    for name in _FILTERS[1:]:
        integer(request, name)
    return {
        **filters,
        **({"metric": metric} if metric else {}),
        **{name: str(number) for name, number in fixed.items()},
    }


def _matches(row: Row, filters: Row) -> bool:
    return all(
        wanted in row["metrics"] if name == "metric" else str(row[name]) == wanted for name, wanted in filters.items()
    )


def _encoded(rows: list[bytes], following: str, options: Options, *, tracked: bool) -> bytes:
    joined = b",".join(rows if tracked else map(_without_answers, rows))
    array = b"null" if not rows and options.null_when_empty else b"[" + joined + b"]"
    return b'{"messages":' + array + b',"next":' + orjson.dumps(following) + b"}"


def _without_answers(row: bytes) -> bytes:
    """An encoded row without the answers to a survey. A text cannot contain `_TRACKED`, because it escapes quotes."""
    kept, found, _ = row.partition(_TRACKED)
    return kept + b"}" if found else row


def message(workspace: Workspace, message_id: str) -> Row:
    """One delivery, by its id."""
    needle = orjson.dumps(message_id)
    for store in (workspace.deliveries, workspace.drafts):
        for encoded in store.newest_first(0, len(store)):
            if encoded.startswith(b'{"id":' + needle):
                return {"message": orjson.loads(_without_answers(encoded))}
    raise not_found()


def archived_message(workspace: Workspace, message_id: str) -> Row:
    """The body of one delivery. The caller counts the daily quota."""
    row = message(workspace, message_id)["message"]
    return {"archived_message": {"id": row["id"], "subject": row["subject"], "body": "<p>Hello</p>"}}


def activities(workspace: Workspace, options: Options, request: Request) -> Row:
    """Activities of the last 30 days, by default newest timestamp first, so activities dated in the future come first.

    The endpoint has no filter by time.
    """
    keep: list[Callable[[Row], bool]] = []
    if wanted := request.param("type"):
        keep.append(lambda row: bool(row["type"] == wanted))
    if name := request.param("name"):
        keep.append(lambda row: bool(row.get("name") == name))
    if customer := request.param("customer_id"):
        keep.append(_belongs(customer, id_type(workspace, request)))
    if not flag(request, "deleted"):
        keep.append(lambda row: (row["customer_identifiers"] or {}).get("cio_id") not in workspace.deleted_people)
    rows = [row for row in workspace.visible_activities() if all(check(row) for check in keep)]
    if options.activity_order != "newest first":
        rows.sort(key=itemgetter("id" if options.activity_order == "id" else "timestamp"))
    size = page_size(request, options, "activities", ACTIVITIES_DEFAULT, ACTIVITIES_MAXIMUM)
    token = request.param("start")
    offset = read_activity_token(token) if token else 0
    if offset is None:
        return {"activities": list_or_null([], options), "next": ""}
    if token and options.repeat_token == "activities":
        return {"activities": rows[offset : offset + size], "next": token}
    page = rows[offset : offset + size]
    following = activity_token(offset + size) if offset + size < len(rows) else ""
    return {"activities": list_or_null(page, options), "next": following}


def _belongs(customer: str, kind: str) -> Callable[[Row], bool]:
    value = customer.removeprefix("cio_") if kind == "cio_id" else customer
    return lambda row: (row["customer_identifiers"] or {}).get(kind) == value
