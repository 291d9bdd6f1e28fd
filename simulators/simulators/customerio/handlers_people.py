"""Endpoints of people (search for ids, then read by id), of suppressed addresses, and of exports."""

from __future__ import annotations

from typing import Any

from simulators.customerio.options import Options
from simulators.customerio.wire import (
    VendorError,
    integer,
    list_or_null,
    matches,
    not_found,
    opaque_page,
    page_size,
    reject,
)
from simulators.customerio.workspace import Workspace
from simulators.server import Request, Row

SEARCH_DEFAULT, SEARCH_MAXIMUM = 50, 1_000
HYDRATE_MAXIMUM = 100
RELATIONSHIPS_DEFAULT, RELATIONSHIPS_MAXIMUM = 50, 1_000
SUPPRESSIONS_DEFAULT, SUPPRESSIONS_MAXIMUM = 100, 1_000


def search(workspace: Workspace, options: Options, request: Request) -> Row:
    """`POST /customers`: the identifiers of the people who match a filter."""
    condition = body_of(request).get("filter")
    people = [person for person in workspace.people.values() if matches_filter(workspace, person, condition)]
    size = page_size(request, options, "customers", SEARCH_DEFAULT, SEARCH_MAXIMUM)
    first, last, following = opaque_page(request, options, "customers", "customers", size, len(people))
    identifiers = [person["identifiers"] for person in people[first:last]]
    return {
        "identifiers": list_or_null(identifiers, options),
        "ids": list_or_null([item.get("id") or "" for item in identifiers], options),
        "next": following,
    }


def matches_filter(workspace: Workspace, person: Row, condition: Any) -> bool:
    """Whether a person matches a filter: `and`, `or`, `not`, `segment` by id, `attribute` with `eq` or `exists`.

    Anything else is a 400.
    """

    def leaf(condition: Any) -> bool | None:
        match condition:
            case {"segment": {"id": int(number)}}:
                return person["identifiers"]["cio_id"] in workspace.members.get(number, [])
            case {"attribute": {"field": str(name), "operator": "exists"}}:
                return person["attributes"].get(name) not in {None, ""}
            case {"attribute": {"field": str(name), "operator": "eq", "value": wanted}}:
                return bool(person["attributes"].get(name) == str(wanted))
        return None

    return matches(condition, leaf)


def hydrate(workspace: Workspace, options: Options, request: Request) -> Row:
    """`POST /customers/attributes`: up to 100 people by id. Unknown ids are missing in the answer, without an error."""
    ids = body_of(request).get("ids")
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        reject("ids must be an array of strings")
    if len(ids) > HYDRATE_MAXIMUM:
        reject(f"at most {HYDRATE_MAXIMUM} ids")
    kind = id_type(workspace, request)
    by_id = {identifier(person, kind): person for person in workspace.people.values()}
    found = [by_id[item] for item in ids if item and item in by_id]
    return {
        "customers": list_or_null([{"customer": item} if options.wrap_customers else item for item in found], options)
    }


def id_type(workspace: Workspace, request: Request) -> str:
    """The kind of id that a request names people by. `email` and `phone` are 400 where the workspace has them off."""
    kind = request.param("id_type") or "id"
    if kind not in {"cio_id", "id", *workspace.identified_by}:
        reject(f"{kind} is not an identifier in this workspace")
    return kind


def identifier(person: Row, kind: str) -> str | None:
    """The id of a person. A phone number is only an attribute, also where people are identified by it."""
    found: str | None = person["attributes" if kind == "phone" else "identifiers"].get(kind)
    return found


def relationships(workspace: Workspace, options: Options, request: Request, text: str) -> Row:
    """The objects that a person belongs to, with the relationships' own attributes. Types are numbers here."""
    kind = id_type(workspace, request)
    person = next((person for person in workspace.people.values() if identifier(person, kind) == text), None)
    if person is None:
        raise not_found()
    cio_id = person["identifiers"]["cio_id"]
    rows = []
    for one in workspace.relationships:
        item = workspace.objects.get((one.object_type_id, one.cio_object_id))
        if item is not None and one.cio_id == cio_id:
            row: Row = {"object_type_id": int(one.object_type_id), "identifiers": item["identifiers"]}
            rows.append(row | {"attributes": one.attributes, "timestamps": one.timestamps})
    return relationship_page(options, request, f"relationships/{cio_id}", rows)


def relationship_page(options: Options, request: Request, scope: str, rows: list[Row]) -> Row:
    """A page of relationships. Default and maximum of `limit` are not documented."""
    first, last, following = opaque_page(
        request,
        options,
        "cio_relationships",
        scope,
        page_size(request, options, "cio_relationships", RELATIONSHIPS_DEFAULT, RELATIONSHIPS_MAXIMUM),
        len(rows),
    )
    return {"cio_relationships": list_or_null(rows[first:last], options), "next": following}


def by_email(workspace: Workspace, request: Request) -> Row:
    """`GET /customers?email=`: the people with exactly this address."""
    email = request.param("email")
    matches = [p["identifiers"] for p in workspace.people.values() if email and p["identifiers"].get("email") == email]
    return {"results": matches}


def suppressions(workspace: Workspace, options: Options, request: Request, kind: str) -> Row:
    """Suppressed addresses in the order of e-mail. Pages are chosen by `offset`; there is no `next`.

    The list is `null` after the last page and for an unknown domain.
    """
    rows = _suppressed(workspace, kind, request.param("domain") or "")
    size = page_size(request, options, "suppressions", SUPPRESSIONS_DEFAULT, SUPPRESSIONS_MAXIMUM)
    offset = integer(request, "offset") or 0
    return {"category": kind, "suppressions": rows[offset : offset + size] or None}


def domain_suppressions(workspace: Workspace, options: Options, request: Request, domain: str, kind: str) -> Row:
    """The same list for one domain, with tokens instead of offsets."""
    rows = _suppressed(workspace, kind, domain)
    if email := request.param("email"):
        rows = [row for row in rows if row["email"] == email]
    scope = f"suppressions/{domain}/{kind}"
    first, last, following = opaque_page(
        request,
        options,
        "suppressions",
        scope,
        page_size(request, options, "suppressions", SUPPRESSIONS_DEFAULT, SUPPRESSIONS_MAXIMUM),
        len(rows),
    )
    return {"category": kind, "suppressions": rows[first:last] or None, "next": following}


def search_suppression(workspace: Workspace, email: str) -> Row:
    """One address in the default lists."""
    for (kind, domain), rows in workspace.suppressions.items():
        matches = [row for row in rows if row["email"] == email]
        if not domain and matches:
            return {"category": kind, "suppressions": matches}
    return {"category": "", "suppressions": None}


def _suppressed(workspace: Workspace, kind: str, domain: str) -> list[Row]:
    if (kind, "") not in workspace.suppressions:
        raise not_found()
    return workspace.suppressions.get((kind, domain), [])


def exports(workspace: Workspace, options: Options) -> Row:
    """All exports. Each read of its status brings a started export nearer to its end (`Options.export_polls`)."""
    for row in workspace.lists["exports"]:
        _poll(workspace, row)
    return {"exports": workspace.lists["exports"] or None}


def export(workspace: Workspace, text: str) -> Row:
    """One export, see `exports`."""
    row = workspace.find("exports", int(text)) if text.isdigit() else None
    if row is None:
        raise not_found()
    _poll(workspace, row)
    return row


def _poll(workspace: Workspace, row: Row) -> None:
    if row["status"] != "pending" or row["id"] not in workspace.export_polls:
        return
    if workspace.export_polls[row["id"]] > 0:
        workspace.export_polls[row["id"]] -= 1
        return
    row |= {"status": "done", "total": len(workspace.people), "updated_at": workspace.now}
    row["deduplicate_id"] = f"{row['id']}:{workspace.now}"


def download(workspace: Workspace, text: str) -> Row:
    """The signed link of a finished export.

    That the download is counted is inferred. So is the 404 before the export is finished.
    """
    row = workspace.find("exports", int(text)) if text.isdigit() else None
    if row is None or row["status"] != "done":
        raise not_found()
    row["downloads"] += 1
    return {"url": f"https://storage.example.com/export-{row['id']}.csv?expires={workspace.now + 900}&signature=0"}


def start_export(workspace: Workspace, options: Options, request: Request, kind: str) -> Row:
    """Start an export: `POST /exports/customers` or `/exports/deliveries`."""
    body = body_of(request)
    if kind == "customers" and "filters" not in body:
        raise VendorError(422, "filters can't be blank", pointer="/data/attributes/filters")
    if kind == "deliveries" and len({"newsletter_id", "campaign_id", "action_id"} & set(body)) != 1:
        reject("exactly one parent is required")
    number = max((row["id"] for row in workspace.lists["exports"]), default=0) + 1
    row: Row = {
        "id": number,
        "deduplicate_id": f"{number}:{workspace.now}",
        "type": kind,
        "status": "pending",
        "failed": False,
        "description": f"Export {number}",
        "total": 0,
        "downloads": 0,
        "user_id": 7,
        "user_email": "ada@example.com",
        "created_at": workspace.now,
        "updated_at": workspace.now,
    }
    workspace.lists["exports"].append(row)
    workspace.export_polls[number] = options.export_polls
    return {"export": row}


def body_of(request: Request) -> Row:
    """The object that a request carries. 400 if it carries something else."""
    try:
        document = request.json()
    except ValueError:
        reject("the body is not JSON")
    if not isinstance(document, dict):
        reject("the body is not an object")
    return document
