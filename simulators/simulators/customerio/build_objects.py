"""Objects, such as companies, and the people who belong to them.

Unusual rows, on purpose: ids that need percent-encoding, a `cio_object_id` that looks like a number, an object without
attributes, one that nobody belongs to, a type that is disabled, and one without objects.
"""

from __future__ import annotations

from simulators.customerio.workspace import DAY, Relationship, Workspace
from simulators.server import Row

DISABLED_TYPE, EMPTY_TYPE = "2", "3"
NUMERIC_LOOKING_OBJECT = "40e00002"
"""A valid `cio_object_id` that a YAML or Jinja parser reads as a number."""


def build(workspace: Workspace) -> None:
    """Fill objects and relationships; people and settings are there."""
    types = workspace.lists["types"]
    types += [_type(DISABLED_TYPE, "Course", enabled=False), _type(EMPTY_TYPE, "Account", enabled=True)]
    people, of_each = list(workspace.people), workspace.size.people_an_object
    for index in range(workspace.size.people // of_each):
        kind = DISABLED_TYPE if index % 6 == 5 else "1"
        cio_object_id = NUMERIC_LOOKING_OBJECT if index == 2 else f"ob1{index:05x}"
        workspace.objects[kind, cio_object_id] = _object(workspace, index, kind, cio_object_id)
        first = index * of_each
        for position, cio_id in enumerate([] if index == 3 else people[first : first + of_each + 2]):
            workspace.relationships.append(
                Relationship(
                    kind,
                    cio_object_id,
                    cio_id,
                    {"role": "owner" if position == 0 else "member"},
                    {"role": workspace.start + index * DAY},
                )
            )
    workspace.lists["workspaces"][0] |= {"object_types": len(types), "objects": len(workspace.objects)}


def _type(number: str, name: str, *, enabled: bool) -> Row:
    slug = name.lower()
    names = {"name": f"{name}s", "singular_name": name, "slug": f"{slug}s", "singular_slug": slug}
    return {"id": number, "enabled": enabled, "icon": "box", **names}


def _object(workspace: Workspace, index: int, kind: str, cio_object_id: str) -> Row:
    created = workspace.start + index * DAY
    attributes = {"name": f"Company {index}", "Annual Revenue": str(index * 1000), "tags": '["a","b"]'}
    if index == 4:
        attributes = {}
    return {
        "object_type_id": kind,
        "object_type_disabled": kind == DISABLED_TYPE,
        "identifiers": {"object_id": f"acme/{index} +ü?", "cio_object_id": cio_object_id},
        "attributes": attributes,
        "timestamps": dict.fromkeys(attributes, created),
    }
