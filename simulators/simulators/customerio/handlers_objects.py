"""Endpoints of objects: search for their ids, then attributes and relationships of one."""

from __future__ import annotations

from typing import Any

from simulators.customerio.handlers_people import body_of, relationship_page
from simulators.customerio.options import Options
from simulators.customerio.wire import (
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
ID_FIELDS = ("object_id", "cio_object_id")


def search(workspace: Workspace, options: Options, request: Request) -> Row:
    """`POST /objects`: the identifiers of the objects of one type that match a filter. The body needs both."""
    body = body_of(request)
    kind, condition = body.get("object_type_id"), body.get("filter")
    if not isinstance(kind, str) or kind not in {row["id"] for row in workspace.lists["types"]}:
        reject("object_type_id must be the id of an object type, as a string")
    found = [
        item["identifiers"]
        for item in workspace.objects.values()
        if _matches(workspace, options, item, kind, condition) and item["object_type_id"] == kind
    ]
    if not workspace.objects:
        _matches(workspace, options, _NOTHING, kind, condition)  # a wrong filter is 400 here, too
    scope = f"objects/{kind}"
    first, last, following = opaque_page(
        request,
        options,
        "objects",
        scope,
        page_size(request, options, "objects", SEARCH_DEFAULT, SEARCH_MAXIMUM),
        len(found),
    )
    page = found[first:last]
    return {
        "identifiers": list_or_null(page, options),
        "ids": list_or_null([item["object_id"] or "" for item in page], options),
        "next": following,
    }


_NOTHING: Row = {"identifiers": dict.fromkeys(ID_FIELDS), "attributes": {}}


def _matches(workspace: Workspace, options: Options, item: Row, kind: str, condition: Any) -> bool:
    """Whether an object matches a filter: `and`, `or`, `not`, `object_attribute` with `eq` or `exists`.

    Anything else is a 400. So is a leaf without the type in `type_id`.
    """

    def leaf(condition: Any) -> bool | None:
        match condition:
            case {"object_attribute": {"field": str(name), "operator": "exists", "type_id": type_id}} if (
                type_id == kind
            ):
                return _value(workspace, item, name) not in {None, ""}
            case {"object_attribute": {"field": str(name), "operator": "eq", "type_id": type_id, "value": wanted}} if (
                type_id == kind
            ):
                return bool(_value(workspace, item, name) == str(wanted))
        return None

    return matches(condition, leaf, has_or=options.object_search_or)


def _value(workspace: Workspace, item: Row, name: str) -> str | None:
    """The value that a search compares. Where the workspace has one field for that, the other id is none."""
    if name in ID_FIELDS and workspace.object_field == "object_id" != name:
        return None
    found: str | None = item["identifiers" if name in ID_FIELDS else "attributes"].get(name)
    return found


def _named(workspace: Workspace, request: Request, kind: str, text: str) -> Row:
    """The object that a path names, by `object_id` or by the `id_type` of the query."""
    by = request.param("id_type") or "object_id"
    if by not in ID_FIELDS:
        reject("invalid id_type")
    for item in workspace.objects.values():
        if item["object_type_id"] == kind and item["identifiers"][by] == text:
            return item
    raise not_found()


def attributes(workspace: Workspace, request: Request, kind: str, text: str) -> Row:
    """`GET /objects/{type}/{id}/attributes`: one object."""
    return {"object": _named(workspace, request, kind, text)}


def relationships(workspace: Workspace, options: Options, request: Request, kind: str, text: str) -> Row:
    """`GET /objects/{type}/{id}/relationships`: the people who belong to one object. Types are texts here."""
    item = _named(workspace, request, kind, text)
    here = (kind, item["identifiers"]["cio_object_id"])
    rows = [
        {
            "object_type_id": kind,
            "object_type_disabled": item["object_type_disabled"],
            "identifiers": workspace.people[one.cio_id]["identifiers"],
        }
        for one in workspace.relationships
        if (one.object_type_id, one.cio_object_id) == here and one.cio_id in workspace.people
    ]
    return relationship_page(options, request, f"objects/{here}", rows)
