"""Children of campaigns, broadcasts, newsletters and segments."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

HOUR = 3_600
DAY = 86_400


def test_an_edited_action_arrives_although_its_campaign_looks_unchanged(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """A campaign's `updated` does not move when one of its actions is edited."""
    first = workspace.sync("campaigns", "campaign_actions")
    workspace.simulator.mutate("advance", seconds=5 * HOUR)
    action = workspace.simulator.mutate("edit_action", campaign_id=4, position=2)
    second = workspace.sync("campaigns", "campaign_actions", state=first.last_states())
    assert 4 not in second.column("campaigns", "id")
    assert action["id"] in second.column("campaign_actions", "id")


def test_parents_are_read_unfiltered_whatever_the_start_date_and_the_state(workspace: Workspace) -> None:
    """An action may be newer than the start date although its campaign is older."""
    actions = workspace.truth("campaign_actions")
    newest = max(row["updated"] for row in actions)
    start = datetime.fromtimestamp(newest, UTC).isoformat()
    synced = workspace.sync("campaign_actions", start_date=start)
    assert set(synced.column("campaign_actions", "id")) == {row["id"] for row in actions if row["updated"] == newest}
    asked = {request.path for request in workspace.simulator.requests}
    assert {f"/v1/campaigns/{row['id']}/actions" for row in workspace.truth("campaigns")} <= asked


def test_every_parent_keeps_a_cursor_of_its_own(workspace: Workspace) -> None:
    synced = workspace.sync("campaign_actions")
    state = synced.state("campaign_actions")
    assert state["updated"] == max(synced.column("campaign_actions", "updated"))
    for parent in workspace.truth("campaigns"):
        updated = [r["updated"] for r in synced.records["campaign_actions"] if r["campaign_id"] == parent["id"]]
        assert state["parents"][str(parent["id"])] == max(updated)


def test_the_old_actions_of_a_duplicated_campaign_are_not_lost(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """The duplicate is new, its actions are as old as the originals'."""
    first = workspace.sync("campaign_actions")
    copy = workspace.simulator.mutate("duplicate_campaign", campaign_id=4)
    second = workspace.sync("campaign_actions", state=first.last_states())
    copied = [row for row in second.records["campaign_actions"] if row["campaign_id"] == copy["id"]]
    assert len(copied) == 23
    assert max(row["updated"] for row in copied) < first.state("campaign_actions")["updated"]


def test_no_cursor_passes_rows_that_a_state_ahead_of_the_clock_kept_out(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """A machine's clock may be set back between two syncs, and a campaign may be new to the second."""
    state = workspace.sync("campaign_actions").state("campaign_actions")
    cursors = {key: workspace.simulator.now + 300 for key in state["parents"] if key != "4"}
    ahead = {"updated": workspace.simulator.now + 300, "parents": cursors}
    second = workspace.sync("campaign_actions", state={"campaign_actions": ahead})
    assert second.records == {}
    assert second.state("campaign_actions") == ahead
    workspace.simulator.mutate("advance", seconds=HOUR)
    third = workspace.sync("campaign_actions", state=second.last_states())
    wanted = {row["id"] for row in workspace.truth("campaign_actions") if row["campaign_id"] == 4}
    assert {row["id"] for row in third.records["campaign_actions"] if row["campaign_id"] == 4} == wanted
    assert "4" in third.state("campaign_actions")["parents"]


def test_a_parent_without_an_id_fails_with_a_sentence_and_skips_nobody(workspace: Workspace) -> None:
    del workspace.simulator.workspace.lists["segments"][0]["id"]
    failure = workspace.sync("segment_usage").failures["segment_usage"]
    assert failure.message == (
        "Customer.io listed one of the segments without an id, so segment_usage below it cannot be read. The stream "
        "stopped there, so that nothing is skipped for ever: report it."
    )
    assert failure.failure_type == "system_error"


def test_parents_whose_ids_are_texts_of_digits_are_numbers_in_their_children(workspace: Workspace) -> None:
    """The vendor may write a number as a text; keys must join in either case."""
    plain = workspace.sync("segment_memberships", "segments")
    segments = [{**row, "id": str(row["id"])} for row in workspace.truth("segments")]
    texts = Fault("status", path=r"/segments(\?|$)", status=200, answer=json.dumps({"segments": segments}), times=-1)
    workspace.simulator.faults.add(texts)
    synced = workspace.sync("segment_memberships", "segments")
    for name in ("segments", "segment_memberships"):
        assert sorted(map(repr, synced.records[name])) == sorted(map(repr, plain.records[name]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "parents"),
    [
        ("campaign_actions", "campaigns"),
        ("broadcast_actions", "broadcasts"),
        ("broadcast_triggers", "broadcasts"),
        ("newsletter_variants", "newsletters"),
        ("newsletter_test_groups", "newsletters"),
        ("segment_memberships", "segments"),
        ("segment_usage", "segments"),
        ("segment_customer_counts", "segments"),
        ("campaign_metrics", "campaigns"),
        ("campaign_journey_metrics", "campaigns"),
        ("newsletter_link_metrics", "newsletters"),
        ("newsletter_variant_metrics", "newsletters"),
        ("campaign_action_metrics", "campaigns"),
    ],
)
def test_a_parent_that_was_deleted_after_it_was_listed_is_skipped_and_counted(
    workspace: Workspace, stream: str, parents: str
) -> None:
    """A parent that is deleted between its list and the request below it is answered with 404."""
    gone = workspace.truth(parents)[0]["id"]
    arguments = {"stream": parents, "id": gone}
    workspace.simulator.mutate("after", path=rf"{parents}(\?|$)", mutation="delete", arguments=arguments)
    workspace.simulator.mutate("vanish", stream=parents, id=gone)
    synced = workspace.sync(stream)
    assert synced.statuses[stream] == ["STARTED", "RUNNING", "COMPLETE"]
    key = {"campaigns": "campaign_id", "broadcasts": "broadcast_id", "newsletters": "newsletter_id"}.get(
        parents, "segment_id"
    )
    assert gone not in synced.column(stream, key)
    assert synced.logged(f"Stream {stream}: 1 {parents} were deleted during the sync and skipped: {gone}")


def test_a_path_that_no_parent_answers_is_a_failure_and_no_empty_stream(workspace: Workspace) -> None:
    """A refusal of the path looks like a deletion of every parent."""
    workspace.simulator.faults.add(Fault("status", path=r"/triggers", status=404, times=-1))
    synced = workspace.sync("broadcast_triggers", "broadcast_actions")
    assert synced.failures["broadcast_triggers"].message == (
        "Customer.io answered 404 for every one of the 3 broadcasts that broadcast_triggers asks about, although "
        "they exist. If api_url is set, check it; otherwise report it."
    )
    assert synced.statuses["broadcast_actions"][-1] == "COMPLETE"


def test_all_parents_deleted_during_the_sync_is_no_failure(workspace: Workspace) -> None:
    """The only parent may be the one that was deleted."""
    for broadcast in workspace.truth("broadcasts")[1:]:
        workspace.simulator.mutate("delete", stream="broadcasts", id=broadcast["id"])
    workspace.simulator.mutate("after", path="broadcasts", mutation="delete", arguments={"stream": "broadcasts"})
    synced = workspace.sync("broadcast_triggers")
    assert synced.statuses["broadcast_triggers"] == ["STARTED", "COMPLETE"]


def test_a_list_that_answers_404_in_its_middle_moves_no_cursor_past_what_did_not_come(workspace: Workspace) -> None:
    """The rows of the first page must not hide the older ones of the second one from the next sync."""
    workspace.simulator.options.page_caps["actions"] = 2
    workspace.simulator.faults.add(Fault("status", path=r"campaigns/4/actions\?.*start=", status=404))
    first = workspace.sync("campaign_actions")
    assert first.logged("1 campaigns were skipped because Customer.io answered 404 for them, although they exist: 4")
    second = workspace.sync("campaign_actions", state=first.last_states())
    came = {row["id"] for synced in (first, second) for row in synced.records["campaign_actions"]}
    assert came == {row["id"] for row in workspace.truth("campaign_actions")}


def test_the_cursor_of_a_deleted_parent_leaves_the_state(workspace: Workspace) -> None:
    first = workspace.sync("campaign_actions")
    gone = workspace.simulator.mutate("delete", stream="campaigns")
    second = workspace.sync("campaign_actions", state=first.last_states())
    assert str(gone) in first.state("campaign_actions")["parents"]
    assert str(gone) not in second.state("campaign_actions")["parents"]


def test_a_failing_parent_keeps_the_cursors_of_the_others_and_the_next_sync_reads_the_rest(
    workspace: Workspace,
) -> None:
    last = workspace.truth("campaigns")[-1]["id"]
    workspace.simulator.faults.add(Fault("status", path=f"campaigns/{last}/actions", status=500, times=-1))
    first = workspace.sync("campaign_actions", num_workers=1)
    assert first.statuses["campaign_actions"][-1] == "INCOMPLETE"
    assert len(first.state("campaign_actions")["parents"]) == len(workspace.truth("campaigns")) - 1
    workspace.simulator.faults.clear()
    second = workspace.sync("campaign_actions", state=first.last_states())
    emitted = {row["id"] for sync in (first, second) for row in sync.records["campaign_actions"]}
    assert emitted == {row["id"] for row in workspace.truth("campaign_actions")}


def test_without_any_parent_the_stream_ends_with_a_state(workspace: Workspace) -> None:
    workspace.simulator.mutate("clear", stream="campaigns")
    synced = workspace.sync("campaign_actions")
    assert synced.state("campaign_actions") == {"updated": 0, "parents": {}}
    assert synced.statuses["campaign_actions"] == ["STARTED", "COMPLETE"]


def test_the_state_holds_at_most_64_bytes_a_parent(workspace: Workspace) -> None:
    import orjson

    state = workspace.sync("campaign_actions").state("campaign_actions")
    assert len(orjson.dumps(state)) <= 2_000 + 64 * len(state["parents"])
    assert len(orjson.dumps({"9999999999": 1_795_000_000})) <= 64


@pytest.mark.parametrize("parents", [[4, 5], {"4": "soon"}])
def test_an_unreadable_cursor_of_a_parent_fails_with_a_sentence(workspace: Workspace, parents: Any) -> None:
    synced = workspace.sync("campaign_actions", state={"campaign_actions": {"updated": 1, "parents": parents}})
    assert synced.failures["campaign_actions"].message.startswith("The saved state of campaign_actions cannot be read:")
    assert synced.failures["campaign_actions"].failure_type == "config_error"


def test_action_ids_of_campaigns_stay_texts_and_those_of_broadcasts_numbers(workspace: Workspace) -> None:
    """The same id is a number in `campaigns.actions`."""
    synced = workspace.sync("campaigns", "campaign_actions", "broadcast_actions")
    assert all(isinstance(number, str) for number in synced.column("campaign_actions", "id"))
    assert all(isinstance(number, int) for number in synced.column("broadcast_actions", "id"))
    inline = {action["id"] for row in synced.records["campaigns"] for action in row["actions"]}
    assert inline <= {int(number) for number in synced.column("campaign_actions", "id")}


def test_types_that_join_are_numbers_where_the_other_side_has_numbers(workspace: Workspace) -> None:
    """`from_id` joins senders, `content_ids` variants, `sent_at` is a time."""
    synced = workspace.sync("campaign_actions", "newsletters", "newsletter_variants", "types")
    assert {type(row["from_id"]) for row in synced.records["campaign_actions"] if "from_id" in row} == {int}
    contents = {number for row in synced.records["newsletters"] for number in row["content_ids"]}
    assert set(synced.column("newsletter_variants", "id")) <= contents
    assert {type(row.get("sent_at")) for row in synced.records["newsletters"]} <= {int, type(None)}
    assert synced.column("types", "id") == ["1", "2", "3"]


def test_headers_are_json_text_also_where_a_webhook_action_has_an_array(workspace: Workspace) -> None:
    """A column of two types breaks typed destinations."""
    synced = workspace.sync("campaign_actions")
    webhooks = [row for row in synced.records["campaign_actions"] if row["type"] == "webhook"]
    assert webhooks
    assert {row["headers"] for row in webhooks} == {'[{"name":"X-Kind","value":"hook"}]'}


def test_a_campaign_without_inline_actions_is_asked_all_the_same(workspace: Workspace) -> None:
    """One of the simulator's campaigns lists no actions and has some."""
    bare = next(row for row in workspace.truth("campaigns") if not row["actions"])
    synced = workspace.sync("campaign_actions")
    assert bare["id"] in synced.column("campaign_actions", "campaign_id")


def test_the_path_of_a_child_is_percent_encoded(workspace: Workspace) -> None:
    """An unencoded id in a path is answered with 200 and nothing."""
    broadcast = workspace.simulator.workspace.lists["broadcasts"][0]
    broadcast["id"] = "a/b+c@d=="
    workspace.sync("broadcast_triggers")
    assert any(r.path.startswith("/v1/broadcasts/a%2Fb%2Bc%40d%3D%3D/") for r in workspace.simulator.requests)


def test_a_stream_with_many_parents_says_how_far_it_is(workspace: Workspace) -> None:
    """A request for every parent takes its time."""
    synced = workspace.sync("segment_usage")
    assert synced.logged("Stream segment_usage: 4 segments to read")
