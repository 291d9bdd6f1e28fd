"""All 44 streams of one workspace at a time, as answers were recorded and as the vendor's specification has them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulators.customerio.answers import poorer
from simulators.customerio.build_objects import NUMERIC_LOOKING_OBJECT
from simulators.customerio.build_people import COMPUTED, SET
from simulators.customerio.workspace import DAY, Preferences, Relationship
from source_customerio import SourceCustomerio
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.lists import IpAddresses, Types
from source_customerio.streams.objects import EachObject
from test_kit.catalogs import Row
from test_kit.command import arguments
from test_kit.process import ConsoleScript, Crash, watch
from whole_workspace import DATED, DOMAINS, UNDATED, Warehouse, needed

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
    for kind in ("broadcast_actions", "broadcast_triggers", "newsletter_test_groups", "newsletter_variants"):
        rows = next(rows for rows in reversed(data.children[kind].values()) if rows)
        rows[-1] |= {"updated": simulator.now, "name": "edited"}
    for row in data.children["transactional_variants"][data.lists["transactional_messages"][-1]["id"]]:
        row |= {"updated": simulator.now, "subject": "edited"}
    data.usage[1]["draft_newsletters"] = [3]
    next(iter(data.sender_usage.values()))["campaigns"] = [4]
    data.ip_addresses.append("192.0.2.77")
    data.suppressions["blocks", DOMAINS[0]] = data.suppressions["blocks", DOMAINS[0]][1:]
    mutate("delete", stream="optouts")
    mutate("delete", stream="subscription_channels")
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
        details = {"stream": name, "id": workspace.truth(name)[1]["id"]}
        workspace.simulator.mutate(
            "after", path=rf"/v1/{name}(\?|$)", count=pages, mutation="delete", arguments=details
        )


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS)
def test_a_warehouse_of_all_streams_ends_equal_to_the_truth(
    workspace: Workspace, clock: Callable[[], datetime], reading: str
) -> None:
    options, mutations = READINGS[reading]
    workspace.simulator.options.change(**options)
    for name, details in mutations:
        workspace.simulator.mutate(name, **details)
    warehouse = Warehouse(workspace)
    assert len(warehouse.keys) == 44
    first = warehouse.sync()
    assert first.failures == {}
    warehouse.assert_true(name for name in warehouse.keys if name not in (*DATED, *UNDATED))
    before = warehouse.remember()
    change_everything(workspace)
    assert {name for name, rows in warehouse.remember().items() if rows == before[name]} == set()
    delete_in_the_middle(workspace)
    second = warehouse.sync()
    assert second.failures == {}
    warehouse.assert_true()
    assert second.logged("Stream campaign_actions: 1 campaigns were deleted during the sync and skipped")


def asked(workspace: Workspace) -> Counter[str]:
    """How often each path was requested since the last call, with `{}` for ids."""
    requests = list(workspace.simulator.requests)
    workspace.simulator.requests.clear()
    exact = Counter((one.method, one.path, json.dumps(one.query), one.body) for one in requests)
    assert [request for request, times in exact.items() if times > 1] == []
    return Counter(re.sub(r"/[^/]*\d[^/]*", "/{}", one.path.removeprefix("/v1")) for one in requests)


@pytest.mark.slow
def test_a_sync_asks_for_every_list_once_however_many_streams_need_it(workspace: Workspace) -> None:
    """The 35 streams of version 0.1.0, in which each stream listed its parents anew, need fewer requests than there.

    Of the campaigns it requested 5 lists, of broadcasts 4, newsletters 15 pages, segments 4, transactional messages 2;
    on no other path did it request less than now.
    """
    once = needed(workspace)
    streams = [one for one in SourceCustomerio().streams(workspace.config()) if isinstance(one, CustomerIoStream)]
    everything = [one.name for one in streams]
    workspace.sync(*everything, num_workers=8, start_date=workspace.simulator.start_date).succeeded()
    whole = asked(workspace)
    assert {path: whole[path] for path in once} == once
    old = [one.name for one in streams if not one.documented_only]
    assert len(old) == 35
    workspace.sync(*old, num_workers=8, start_date=workspace.simulator.start_date).succeeded()
    new = [*once][[*once].index("/campaigns/{}/actions/{}/metrics") :]
    fewer = asked(workspace)
    assert fewer.keys() == whole.keys() - set(new)
    assert {path: fewer[path] for path in once if path not in new} == {
        path: times for path, times in once.items() if path not in new
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "open_path", "status"), [("people", "customers|optouts", 401), ("campaigns", "campaigns", 403)]
)
def test_a_key_for_one_kind_of_data_reads_that_and_names_the_rest(
    workspace: Workspace, clock: Callable[[], datetime], scope: str, open_path: str, status: int
) -> None:
    """The list of IP addresses needs no key."""
    options = workspace.simulator.options
    options.forbidden, options.forbidden_status = [f"^/(?!({open_path}|info)(/|$))"], status
    streams = [one for one in SourceCustomerio().streams(workspace.config()) if isinstance(one, CustomerIoStream)]
    may = [one.name for one in streams if one.permission in (scope, IpAddresses.permission)]
    checked = workspace.run("check", workspace.config())
    assert checked.connection_status["status"] == "SUCCEEDED"
    closed = {one.permission for one in streams} - {scope, IpAddresses.permission}
    for permission in closed:
        assert len(checked.logged(f"WARN: Check: {permission} cannot be read: ")) == 1
    warehouse = Warehouse(workspace)
    synced = warehouse.sync()
    assert {name for name, status in synced.last_statuses.items() if status == "COMPLETE"} == {*may}
    warehouse.assert_true(may)
    for one in streams:
        if one.name not in may:
            first = Types if isinstance(one, EachObject) else one  # the first request of which is for types
            assert first.permission in synced.failures[one.name].message
            assert synced.records[one.name] == []


#: Starts the connector without waiting between requests and with the simulator's clock
AT_ONCE = """
import sys
from datetime import UTC, datetime
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_customerio.streams import metrics
from source_kit import cli, source
RequestBudget.acquire = lambda self: None
source.utc_now = metrics.utc_now = lambda: datetime.fromtimestamp(int(sys.argv[1]), UTC)
sys.exit(cli.launch(SourceCustomerio, sys.argv[2:]))
"""


NEVER = float("inf")
#: Bytes of output: while actions, then deliveries and people, then metrics are read; then to the end
KILLED_AFTER = (25_000, 250_000, 1_000_000, NEVER)


@pytest.mark.slow
def test_a_sync_of_all_streams_that_is_killed_again_and_again_loses_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Rows count only where a state follows them, and the vendor's data change between the attempts."""
    simulator = workspace.simulator
    warehouse = Warehouse(workspace, num_workers=8, messages_lookback_days=1)
    simulator.options.page_caps = {"messages": 10, "activities": 20}
    for attempt, after_bytes in enumerate(KILLED_AFTER):
        files = {"config": warehouse.config, "catalog": warehouse.destination.catalog}
        argv = arguments(tmp_path, "read", (), {**files, "state": warehouse.destination.begin()})
        running = ConsoleScript("python").start(["-c", AT_ONCE, str(simulator.now), *argv])
        ended = watch(running, Crash(after_bytes, reads_on=False))
        assert ended.killed == (after_bytes != NEVER)
        warehouse.load(ended.lines, uncovered=False)
        if after_bytes != NEVER:
            simulator.mutate("edit_action", position=attempt)
            simulator.mutate("add_message")
            simulator.mutate("edit", stream="campaigns", id=4, fields={"name": f"edited {attempt}"})
    assert ended.succeeded().failures == {}
    warehouse.assert_true()


#: Lists below whose rows other requests lie
PARENTS = ("campaigns", "broadcasts", "newsletters", "messages", "segments", "types", "sender_identities")
OTHERS = (
    *("activities", "snippets", "collections", "exports", "workspaces", "topics", "channels", "reporting_webhooks"),
    *("optouts", "customers", "actions", "contents", "triggers", "test_groups", "suppressions", "cio_relationships"),
)
#: What is said of an id without which nothing more can be requested, or whose row would have no parent
MISSING = re.compile(r"Customer\.io listed one of the \w+ without an id|JSON of another shape than expected")


def as_left_out(stream: CustomerIoStream, row: Row, left_out: Collection[str]) -> Row:
    """A row of the truth with fields left out as the simulator does, before the connector adds columns of the key."""
    envelope = getattr(stream, "envelope", "")
    if envelope not in left_out:
        return row
    if stream.parent:  # the vendor's rows may name it, too
        return poorer(row, envelope) | {name: row[name] for name in stream.key if name.endswith("_id")}
    added = {name: row[name] for name in ("suppression_type", "domain") if name in row}
    return poorer({name: value for name, value in row.items() if name not in added}, envelope) | added


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [OTHERS, (*PARENTS, *OTHERS)])
def test_rows_with_fields_left_out_arrive_and_a_list_that_needs_a_missing_id_says_so(
    workspace: Workspace, clock: Callable[[], datetime], left_out: tuple[str, ...]
) -> None:
    """The specification requires hardly any field. A stream that ends as complete has every row as it came."""
    streams = [one for one in SourceCustomerio().streams(workspace.config()) if isinstance(one, CustomerIoStream)]
    warehouse = Warehouse(workspace)
    workspace.simulator.options.left_out = [*left_out]
    synced = workspace.run("read", warehouse.config, catalog=warehouse.destination.catalog)
    for one in streams:
        if failure := synced.failures.get(one.name):
            assert MISSING.search(failure.message), failure
            assert one.parent or one.permission in ("people", "objects"), one.name
        elif one.name not in (*DATED, *UNDATED):
            truth = [as_left_out(one, row, left_out) for row in warehouse.truth(one.name)]
            found, wanted = (
                sorted(json.dumps(row, sort_keys=True) for row in rows) for rows in (synced.records[one.name], truth)
            )
            assert found == wanted, one.name
