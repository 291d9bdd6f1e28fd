"""One campaign, segment or window that the server refuses for ever costs that one, in every sync."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

DAY = 86_400
CHILDREN = [
    ("campaign_actions", "campaigns", "campaign_id"),
    ("broadcast_actions", "broadcasts", "broadcast_id"),
    ("broadcast_triggers", "broadcasts", "broadcast_id"),
    ("newsletter_variants", "newsletters", "newsletter_id"),
    ("newsletter_test_groups", "newsletters", "newsletter_id"),
    ("segment_memberships", "segments", "segment_id"),
    ("segment_usage", "segments", "segment_id"),
    ("segment_customer_counts", "segments", "segment_id"),
    ("campaign_metrics", "campaigns", "campaign_id"),
    ("campaign_journey_metrics", "campaigns", "campaign_id"),
    ("broadcast_metrics", "broadcasts", "broadcast_id"),
    ("newsletter_link_metrics", "newsletters", "newsletter_id"),
]


def break_part(workspace: Workspace, path: str, status: int = 400) -> None:
    body = json.dumps({"errors": [{"detail": "could not load (reference 01X)", "status": str(status)}]})
    workspace.simulator.faults.add(Fault("status", path=path, status=status, answer=body, times=-1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "parents", "key", "status"),
    [*((*child, 400) for child in CHILDREN), (*CHILDREN[0], 422), (*CHILDREN[0], 500), (*CHILDREN[8], 500)],
)
def test_the_children_of_all_other_parents_arrive_in_every_sync_and_the_error_names_the_one(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, parents: str, key: str, status: int
) -> None:
    whole = workspace.sync(stream)
    broken = whole.column(stream, key)[0]
    break_part(workspace, rf"/{parents}/{broken}/", status)
    state: dict[str, dict[str, Any]] = {}
    for _ in range(2):
        synced = workspace.sync(stream, state=state)
        assert synced.statuses[stream][-1] == "INCOMPLETE"
        assert synced.failures[stream].message.startswith(
            f"1 of the {len(workspace.truth(parents))} parts of {stream} could not be read: "
            f"{key.removesuffix('_id')} {broken}. The others were read,"
        )
        assert "reference 01X" in synced.failures[stream].internal_message
        if not state:
            others = [row for row in whole.records[stream] if row[key] != broken]
            assert sorted(map(repr, synced.records[stream])) == sorted(map(repr, others))
        state |= synced.last_states()


def test_the_list_of_parents_is_tried_in_full_after_parts_that_failed(workspace: Workspace) -> None:
    """It is read again at the end, to tell parents that were deleted from those that are refused."""
    first, *others = (campaign["id"] for campaign in workspace.truth("campaigns"))
    break_part(workspace, f"/campaigns/{first}/actions", 404)
    for other in others:
        break_part(workspace, f"/campaigns/{other}/actions", 422)
    workspace.simulator.faults.add(Fault("status", path="/campaigns$", status=500, answer="oops", times=3, skip=1))
    synced = workspace.sync("campaign_actions")
    assert synced.failures["campaign_actions"].message.startswith(f"{len(others)} of the {len(others) + 1} parts of")


def test_a_list_of_parents_fails_in_their_name(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="/campaigns$", status=200, answer='{"campaigns": [7]}'))
    assert (
        "a list of campaigns in which a row is no object"
        in workspace.sync("campaign_actions").failures["campaign_actions"].message
    )


def test_the_cursor_of_the_campaign_that_failed_stays_and_it_arrives_when_it_heals(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    before = workspace.sync("campaign_actions")
    workspace.simulator.mutate("edit_action", campaign_id=4, position=2)
    break_part(workspace, "/campaigns/4/actions", 500)
    second = workspace.sync("campaign_actions", state=before.last_states())
    assert second.state("campaign_actions")["parents"]["4"] == before.state("campaign_actions")["parents"]["4"]
    workspace.simulator.faults.clear()
    third = workspace.sync("campaign_actions", state=second.last_states())
    names = {row["id"]: row["name"] for row in third.records["campaign_actions"] if row["campaign_id"] == 4}
    truth = {row["id"]: row["name"] for row in workspace.truth("campaign_actions") if row["campaign_id"] == 4}
    assert names.items() <= truth.items()
    assert third.statuses["campaign_actions"][-1] == "COMPLETE"
    assert len(names) >= 1


@pytest.mark.parametrize(
    ("stream", "parents", "key"),
    [CHILDREN[1], *(pytest.param(*child, marks=pytest.mark.slow) for child in CHILDREN if child != CHILDREN[1])],
)
def test_a_deleted_parent_may_answer_400_and_is_skipped_then(
    workspace: Workspace, clock: Callable[[], datetime], stream: str, parents: str, key: str
) -> None:
    """The vendor documents 400 for ids that it does not know, beside 404."""
    gone = workspace.truth(parents)[0]["id"]
    others = [row for row in workspace.sync(stream).records[stream] if row[key] != gone]
    arguments = {"stream": parents, "id": gone}
    workspace.simulator.mutate("after", path=rf"{parents}(\?|$)", mutation="delete", arguments=arguments)
    workspace.simulator.options.vanished_as_400 = [rf"/{parents}/{gone}/"]
    synced = workspace.sync(stream)
    assert synced.statuses[stream][-1] == "COMPLETE"
    assert synced.logged(f"Stream {stream}: 1 {parents} were deleted during the sync and skipped: {gone}")
    assert sorted(map(repr, synced.records[stream])) == sorted(map(repr, others))


@pytest.mark.slow
def test_parents_that_answer_400_and_are_still_listed_cost_one_more_list(workspace: Workspace) -> None:
    whole = workspace.sync("newsletter_variants")
    break_part(workspace, "/newsletters/.*/contents")
    before = len(workspace.simulator.requests)
    synced = workspace.sync("newsletter_variants")
    lists = [request for request in workspace.simulator.requests[before:] if request.path.endswith("/newsletters")]
    pages = len({str(request.query.get("start")) for request in lists})
    assert len({row["newsletter_id"] for row in whole.records["newsletter_variants"]}) > 3
    assert len(lists) == 2 * pages
    assert synced.statuses["newsletter_variants"][-1] == "INCOMPLETE"


def test_a_parent_that_answers_404_and_is_still_listed_is_warned_of(workspace: Workspace) -> None:
    number = workspace.simulator.mutate("vanish", stream="campaigns")
    synced = workspace.sync("campaign_actions")
    assert synced.logged("Stream campaign_actions: 1 campaigns were skipped because Customer.io answered 404 for them")
    assert not synced.logged("were deleted during the sync")
    assert number not in synced.column("campaign_actions", "campaign_id")


def test_a_window_of_deliveries_that_fails_holds_the_state_and_not_the_later_ones(workspace: Workspace) -> None:
    start = workspace.simulator.workspace.start
    break_part(workspace, f"start_ts={start + 60 * DAY}", 500)
    options = {"start_date": workspace.simulator.start_date, "num_workers": 1}
    first = workspace.sync("messages", **options)
    assert first.state("messages")["created"] < start + 60 * DAY
    assert max(row["created"] for row in first.records["messages"]) > start + 90 * DAY
    workspace.simulator.faults.clear()
    second = workspace.sync("messages", state=first.last_states(), **options)
    emitted = {*first.column("messages", "id"), *second.column("messages", "id")}
    assert emitted >= {row["id"] for row in workspace.truth("messages") if row["created"] >= start}


def test_a_hundred_people_who_cannot_be_fetched_do_not_stop_the_rest(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("status", path="customers/attributes", status=500, times=4))
    synced = workspace.sync("customers", num_workers=1)
    assert len(synced.records["customers"]) == 21
    assert synced.failures["customers"].message.startswith(
        "1 of the 2 parts of customers could not be read: people 1 to 100. The others were read,"
    )
    assert not synced.logged("returned no profile")


def test_a_suppression_list_that_fails_leaves_the_others_and_no_warning_of_its_domain(workspace: Workspace) -> None:
    break_part(workspace, "/esp/suppression/blocks", 500)
    synced = workspace.sync("esp_suppressions", esp_suppression_domains=["nothing.example.com"])
    assert "blocks of nothing.example.com" in synced.failures["esp_suppressions"].message
    assert not synced.logged("no list has an address")


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_key_or_a_limit_ends_the_stream_at_once(workspace: Workspace, status: int) -> None:
    break_part(workspace, r"/campaigns/\d+/actions", status)
    synced = workspace.sync("campaign_actions", num_workers=1)
    paths = {request.path for request in workspace.simulator.requests if request.path.endswith("/actions")}
    assert len(paths) == 1
    assert synced.failures["campaign_actions"].message.startswith("Customer.io ")


def test_an_outage_costs_all_attempts_once_and_few_afterwards(workspace: Workspace) -> None:
    """Each of a thousand campaigns would cost a minute."""
    break_part(workspace, r"/segments/\d+/", 503)
    synced = workspace.sync("segment_customer_counts", num_workers=1)
    numbers = len(workspace.truth("segments"))
    asked = [request for request in workspace.simulator.requests if request.path.endswith("/customer_count")]
    assert len(asked) == 4 + 2 * (numbers - 1)
    failure = synced.failures["segment_customer_counts"]
    assert failure.message.startswith("Customer.io failed with status 503, after several attempts.")
    assert f"All {numbers} parts of segment_customer_counts that were tried failed: segment " in failure.message
    assert failure.failure_type == "transient_error"
