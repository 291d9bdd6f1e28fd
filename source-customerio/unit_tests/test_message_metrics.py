"""What lies two levels deep: below the actions of campaigns and the variants of newsletters; and use of senders."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

STREAM = "campaign_action_metrics"
DAY = 86_400


def answer(workspace: Workspace, path: str, document: Any, status: int = 200) -> None:
    """Answer every request to a path so."""
    fault = Fault("status", path=path, status=status, answer=json.dumps(document), times=-1)
    workspace.simulator.faults.add(fault)


def campaigns_of(synced: Any) -> set[int]:
    return set(synced.column(STREAM, "campaign_id"))


@pytest.mark.slow
def test_actions_have_a_row_a_day_since_their_campaign_was_created(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """An action may be older than its campaign, which has copied it, but has no numbers from before."""
    found = sorted(map(repr, workspace.sync(STREAM).records[STREAM]))
    wanted = []
    for campaign in workspace.truth("campaigns"):
        dated = workspace.truth(STREAM, resolution="days", start=str(campaign["created"] - campaign["created"] % DAY))
        wanted += [repr(row) for row in dated if row["campaign_id"] == campaign["id"]]
    assert found == sorted(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [(STREAM,), ("campaign_actions", STREAM)])
def test_a_campaign_whose_actions_cannot_be_listed_costs_its_own_metrics_only(
    workspace: Workspace, chosen: tuple[str, ...]
) -> None:
    answer(workspace, r"/campaigns/4/actions(\?|$)", {}, 422)
    synced = workspace.sync(*chosen)
    assert synced.failures.keys() == set(chosen)
    assert synced.failures[STREAM].message.startswith("1 of the ")
    assert "could not be read: campaign 4. The others were read," in synced.failures[STREAM].message
    assert "request for campaigns" in synced.failures[STREAM].message
    assert campaigns_of(synced) == {row["id"] for row in workspace.truth("campaigns")} - {4}


@pytest.mark.slow
def test_an_action_that_fails_costs_its_own_rows_only(workspace: Workspace) -> None:
    answer(workspace, "/campaigns/4/actions/407/metrics", {}, 422)
    synced = workspace.sync(STREAM)
    assert "could not be read: campaign 4 action 407. The others were read," in synced.failures[STREAM].message
    wanted = {(row["campaign_id"], row["action_id"]) for row in workspace.truth(STREAM)} - {(4, "407")}
    assert {(row["campaign_id"], row["action_id"]) for row in synced.records[STREAM]} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 404])
def test_an_action_that_was_deleted_after_it_was_listed_is_skipped_and_counted(
    workspace: Workspace, status: int
) -> None:
    answer(workspace, "/campaigns/4/actions/407/metrics", {}, status)
    rest = [row for row in workspace.truth("campaign_actions") if row["campaign_id"] == 4 and row["id"] != "407"]
    later = json.dumps({"actions": rest})
    listed = Fault("status", path=r"/campaigns/4/actions(\?|$)", status=200, answer=later, skip=3, times=-1)
    workspace.simulator.faults.add(listed)
    synced = workspace.sync("campaign_actions", STREAM)
    assert synced.failures == {}
    assert synced.logged(f"Stream {STREAM}: 1 actions were deleted during the sync and skipped: 407")


@pytest.mark.slow
def test_an_action_that_answers_400_and_is_still_listed_fails(workspace: Workspace) -> None:
    answer(workspace, "/campaigns/4/actions/407/metrics", {}, 400)
    assert "campaign 4 action 407" in workspace.sync(STREAM).failures[STREAM].message


@pytest.mark.slow
def test_a_path_that_no_action_answers_is_a_failure_and_no_empty_stream(workspace: Workspace) -> None:
    answer(workspace, r"/actions/\d+/metrics", {}, 404)
    synced = workspace.sync(STREAM)
    assert synced.failures[STREAM].message.startswith(
        f"Customer.io answered 404 for every one of the {len(workspace.truth('campaign_actions'))} actions that "
        f"{STREAM} asks about,"
    )


@pytest.mark.slow
def test_languages_have_rows_of_their_own_and_rows_below_their_branch(
    workspace: Workspace, clock: Callable[[], datetime]
) -> None:
    """Each language is an action too, so an empty text marks the rows that may be summed."""
    found = {(row["action_id"], row["language_action_id"]) for row in workspace.sync(STREAM).records[STREAM]}
    assert {("407", ""), ("407", "414"), ("407", "421"), ("414", ""), ("421", "")} <= found


@pytest.mark.slow
@pytest.mark.parametrize(
    "document",
    [
        {"metric": {"series": {"sent": [1]}}, "language_variants": [1]},
        {"metric": {"series": {"sent": [1]}}, "language_variants": {"414": {"sent": [1]}}},
        {"metric": {"series": {"sent": [1]}}, "language_variants": {"414": 7}},
        {"metric": {"series": {"sent": [1]}}, "language_variants": {"": {"series": {"sent": [2]}}}},
        {"metric": {"sent": [1]}},
    ],
)
def test_metrics_of_another_shape_are_an_error_and_not_nothing(workspace: Workspace, document: Any) -> None:
    answer(workspace, "/campaigns/4/actions/407/metrics", document)
    assert "campaign 4 action 407" in workspace.sync(STREAM).failures[STREAM].message


def test_a_sender_that_nothing_uses_has_empty_lists(workspace: Workspace) -> None:
    """An answer may leave empty lists out, as the vendor does elsewhere; other lists are a mistake."""
    answer(workspace, "/sender_identities/2/used_by", {})
    answer(workspace, "/sender_identities/3/used_by", {"campaigns": None, "sent_newsletters": [7]})
    answer(workspace, "/sender_identities/5/used_by", {"used_by": {"campaigns": [1]}})
    synced = workspace.sync("sender_identity_usage")
    found = {row.pop("sender_identity_id"): row for row in synced.records["sender_identity_usage"]}
    assert found[2] == {"campaigns": [], "sent_newsletters": [], "draft_newsletters": []}
    assert found[3] == {"campaigns": [], "sent_newsletters": [7], "draft_newsletters": []}
    assert "sender_identity 5" in synced.failures["sender_identity_usage"].message
    assert len(found) == len(workspace.truth("sender_identities")) - 1


def test_hidden_senders_are_asked_for_their_use_too(workspace: Workspace) -> None:
    hidden = {row["id"] for row in workspace.truth("sender_identities") if row.get("hidden")}
    assert hidden
    assert hidden <= set(workspace.sync("sender_identity_usage").column("sender_identity_usage", "sender_identity_id"))
