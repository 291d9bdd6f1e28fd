"""All 44 streams of one workspace at a time, as answers were recorded and as the vendor's specification has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.customerio.build_objects import NUMERIC_LOOKING_OBJECT
from simulators.customerio.build_people import COMPUTED, SET
from simulators.customerio.workspace import DAY, Preferences, Relationship
from whole_workspace import Warehouse

if TYPE_CHECKING:
    from conftest import Workspace

#: Lists that have no pages
UNPAGED = (
    *("campaigns", "broadcasts", "segments", "snippets", "collections", "exports", "workspaces", "topics", "channels"),
    *("types", "reporting_webhooks", "ip_addresses", "contents", "test_groups", "triggers", "links"),
)
#: Options and mutations of a vendor that could be the real one; none of them hides another
READINGS: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "recorded": ({}, []),
    "specified": (
        {
            "go_dates": True,
            "bare_template_ids": True,
            "wrap_customers": True,
            "human_counts": True,
            "two_pages": [*UNPAGED],
            "vanished_as_400": [""],
            "object_search_or": False,
            "activity_order": "oldest first",
            "drafts": "included",
        },
        [("identify_by", {"kinds": ["phone"]}), ("object_field", {"field": "object_id"})],
    ),
    "in small pages": (
        {
            "page_caps": {"messages": 40, "activities": 40, "identifiers": 30, "optouts": 20, "suppressions": 30},
            "empty_pages": ["messages", "identifiers"],
            "null_when_empty": True,
            "activity_order": "id",
        },
        [("identify_by", {"kinds": ["id"]}), ("object_field", {"field": "cio_object_id"})],
    ),
}


def change_everything(workspace: Workspace) -> None:
    """A day passes; in every kind of list rows are added and changed, in most of them deleted, and people merged."""
    simulator = workspace.simulator
    mutate, data = simulator.mutate, simulator.workspace
    mutate("advance", seconds=DAY)
    for name in ("campaigns", "broadcasts", "newsletters", "transactional_messages", "segments", "exports"):
        mutate("edit", stream=name, id=data.lists[name][-1]["id"], fields={"name": "edited"})
    for name in ("topics", "types", "collections", "reporting_webhooks", "sender_identities", "workspaces"):
        mutate("edit", stream=name, id=data.lists[name][-1]["id"], fields={"name": "edited"})
    mutate("edit", stream="snippets", id=data.lists["snippets"][-1]["name"], fields={"value": "edited"})
    mutate("edit_action")
    mutate("duplicate_campaign")
    mutate("add_newsletter")
    mutate("add_message", count=3)
    mutate("add_message", created=simulator.now - 5 * DAY)
    mutate("add_activity", count=3)
    mutate("fill_metrics")
    mutate("grow_metrics", opens=3)
    mutate("delete", stream="snippets")
    mutate("delete", stream="newsletters")
    mutate("delete_object", cio_object_id=NUMERIC_LOOKING_OBJECT)
    for row in data.children["transactional_variants"][data.lists["transactional_messages"][-1]["id"]]:
        row |= {"updated": simulator.now, "subject": "edited"}
    change_people(workspace)


def change_people(workspace: Workspace) -> None:
    """One is deleted, one merged into another who chose no topics, one chooses a topic that is new."""
    data = workspace.simulator.workspace
    people = list(data.people)
    workspace.simulator.mutate("delete_person", cio_id=people[30])
    workspace.simulator.mutate("merge_people", cio_id=people[40], into=people[42])
    data.lists["topics"].append(data.lists["topics"][0] | {"id": 9, "identifier": "topic_9", "name": "New"})
    chosen, applies, now = (
        {"topic_9": True},
        {"topic_1": True, "topic_2": False, "topic_9": True},
        workspace.simulator.now,
    )
    data.people[people[50]]["attributes"] |= {
        SET: json.dumps({"topics": chosen}),
        COMPUTED: json.dumps({"topics": applies}),
    }
    data.people[people[50]]["timestamps"][SET] = now
    data.preferences[people[50]] = Preferences(chosen, applies, now)
    kind, company = next(key for key, item in data.objects.items() if item["attributes"])
    data.objects[kind, company]["attributes"]["name"] = "edited"
    data.relationships.append(Relationship(kind, company, people[60], {}, {}))


def delete_in_the_middle(workspace: Workspace) -> None:
    """Soon after their lists were read to the end, a campaign, a broadcast and a segment are deleted."""
    for name in ("campaigns", "broadcasts", "segments"):
        pages = 2 if name in workspace.simulator.options.two_pages else 1
        arguments = {"stream": name, "id": workspace.truth(name)[1]["id"]}
        workspace.simulator.mutate(
            "after", path=rf"/v1/{name}(\?|$)", count=pages, mutation="delete", arguments=arguments
        )


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS)
def test_a_warehouse_of_all_streams_ends_equal_to_the_truth(
    workspace: Workspace, clock: Callable[[], datetime], reading: str
) -> None:
    options, mutations = READINGS[reading]
    workspace.simulator.options.change(**options)
    for name, arguments in mutations:
        workspace.simulator.mutate(name, **arguments)
    warehouse = Warehouse(workspace)
    assert len(warehouse.keys) == 44
    first = warehouse.sync()
    assert first.failures == {}
    warehouse.assert_true()
    warehouse.remember()
    change_everything(workspace)
    warehouse.remember()
    delete_in_the_middle(workspace)
    second = warehouse.sync()
    assert second.failures == {}
    warehouse.assert_true()
    assert second.logged("Stream campaign_actions: 1 campaigns were deleted during the sync and skipped")
