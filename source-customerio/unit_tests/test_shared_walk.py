"""Streams that walk the same parents share the walk: a sync lists campaigns, and the actions of each, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from source_customerio.listed import Listed
from source_customerio.streams import STREAMS
from source_customerio.streams.children import Children
from source_kit import activity

if TYPE_CHECKING:
    from conftest import Workspace

#: Lists below which other lists lie
WALKED = re.compile(
    r"/v1/(campaigns|broadcasts|newsletters|transactional|segments|sender_identities"
    r"|campaigns/\d+/actions|newsletters/\d+/contents)"
)
NAMES = ["_".join(re.findall("[A-Z][a-z]*", stream.__name__)).lower() for stream in STREAMS]
BELOW = [name for name, stream in zip(NAMES, STREAMS, strict=True) if issubclass(stream, Children)]
ACTIONS_METRICS = "campaign_action_metrics"


def walked(workspace: Workspace, since: int = 0) -> Counter[str]:
    """How often each of these lists was requested, by path, from the request numbered `since` on."""
    paths = [request.path for request in list(workspace.simulator.requests)[since:]]
    return Counter(path for path in paths if WALKED.fullmatch(path))


def rows(synced: Any, name: str) -> list[str]:
    return sorted(map(repr, synced.records[name]))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_a_sync_of_all_streams_reads_every_list_of_parents_once(workspace: Workspace, workers: int) -> None:
    """As often as the streams of these lists alone request them, page by page."""
    own = ["campaigns", "broadcasts", "newsletters", "transactional_messages", "segments", "sender_identities"]
    workspace.sync(*own, "campaign_actions", "newsletter_variants")
    once, asked = walked(workspace), len(workspace.simulator.requests)
    assert once["/v1/campaigns"] == once["/v1/broadcasts"] == once["/v1/segments"] == once["/v1/transactional"] == 1
    assert once.keys() >= {f"/v1/campaigns/{row['id']}/actions" for row in workspace.truth("campaigns")}
    synced = workspace.sync(*NAMES, num_workers=workers)
    assert synced.failures == {}
    assert walked(workspace, asked) == once


@pytest.mark.slow
def test_streams_below_parents_that_are_not_chosen_list_them_once_all_the_same(workspace: Workspace) -> None:
    """Also when they start at the same moment."""
    whole = workspace.sync(*NAMES)
    once, asked = walked(workspace), len(workspace.simulator.requests)
    campaigns = ["campaign_metrics", "campaign_journey_metrics", "campaign_link_metrics", ACTIONS_METRICS]
    chosen = [*campaigns, "newsletter_metrics", "newsletter_variant_metrics", "sender_identity_usage"]
    workspace.simulator.faults.add(Fault("delay", path=r"/v1/(campaigns|newsletters)(\?|$)", seconds=0.2, times=-1))
    synced = workspace.sync(*chosen, num_workers=8)
    others = re.compile("/v1/(broadcasts|transactional|segments)")
    assert walked(workspace, asked) == {path: count for path, count in once.items() if not others.match(path)}
    assert synced.failures == {}
    for name in chosen:
        assert len(synced.records[name]) == len(whole.records[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", BELOW)
def test_what_is_read_below_parents_is_the_same_with_and_without_their_own_stream(
    workspace: Workspace, clock: Any, name: str
) -> None:
    parent = next(stream for stream in STREAMS if NAMES[STREAMS.index(stream)] == name).parent
    assert parent is not None
    alone = workspace.sync(name)
    together = workspace.sync(NAMES[STREAMS.index(parent)], name)
    assert alone.records[name]
    assert rows(together, name) == rows(alone, name)


@pytest.mark.slow
def test_parents_whose_stream_filters_or_fails_lose_no_children(workspace: Workspace, clock: Any) -> None:
    """Its cursor hides campaigns that did not change, and its state may be unreadable."""
    whole = workspace.sync("campaigns", "campaign_metrics", "segment_usage")
    for state in (whole.last_states(), {"campaigns": {"nonsense": 1}}):
        asked = len(workspace.simulator.requests)
        synced = workspace.sync("campaigns", "campaign_metrics", state=state)
        assert len(synced.records["campaigns"]) < len(whole.records["campaigns"])
        assert rows(synced, "campaign_metrics") == rows(whole, "campaign_metrics")
        assert walked(workspace, asked) == {"/v1/campaigns": 1}


def test_a_list_that_breaks_in_its_middle_serves_nobody(workspace: Workspace, clock: Any) -> None:
    """The parents that it had until then are not all."""
    workspace.simulator.options.page_caps = {"newsletters": 2}
    workspace.simulator.faults.add(Fault("status", path=r"/newsletters\?.*start=", status=500, skip=1, times=4))
    synced = workspace.sync("newsletters", "newsletter_test_groups", "newsletter_variants")
    assert synced.failures.keys() == {"newsletters"}
    found = set(synced.column("newsletter_variants", "newsletter_id"))
    assert found == {row["id"] for row in workspace.truth("newsletters")}


@pytest.mark.parametrize("name", ["campaign_metrics", ACTIONS_METRICS])
def test_a_parent_without_an_id_fails_what_is_below_it_and_not_its_own_stream(workspace: Workspace, name: str) -> None:
    campaigns = workspace.simulator.workspace.lists["campaigns"]
    campaigns.append({key: value for key, value in campaigns[0].items() if key != "id"})
    synced = workspace.sync("campaigns", name)
    assert synced.failures.keys() == {name}
    assert synced.failures[name].message.startswith("Customer.io listed one of the campaigns without an id, so")
    assert len(synced.records["campaigns"]) == len(campaigns)


@pytest.mark.slow
def test_campaigns_without_a_time_of_creation_are_listed_once_too(workspace: Workspace) -> None:
    """The vendor's specification requires no field. Their metrics begin ten years ago."""
    for campaign in workspace.simulator.workspace.lists["campaigns"]:
        del campaign["created"]
    synced = workspace.sync("campaigns", "campaign_journey_metrics")
    assert synced.failures == {}
    assert walked(workspace) == {"/v1/campaigns": 1}
    parents = len(workspace.truth("campaigns"))
    assert len(synced.records["campaign_journey_metrics"]) >= 3_649 * parents


def test_the_look_for_a_parent_that_may_be_gone_is_a_fresh_one(workspace: Workspace) -> None:
    """The shared list still has it."""
    gone = workspace.truth("campaigns")[0]["id"]
    arguments = {"stream": "campaigns", "id": gone}
    workspace.simulator.mutate("after", path=r"campaigns(\?|$)", mutation="delete", arguments=arguments)
    synced = workspace.sync("campaigns", "campaign_actions")
    assert synced.logged(f"Stream campaign_actions: 1 campaigns were deleted during the sync and skipped: {gone}")
    assert walked(workspace)["/v1/campaigns"] == 2


def test_a_sync_that_ends_ends_those_that_wait_for_a_list() -> None:
    """The list may take minutes, and nobody needs it any more."""
    listed, works = Listed(), activity.Activities()

    def endless() -> Iterator[list[Any]]:
        activity.bind(works)
        works.stop.set()
        with pytest.raises(activity.Stopped):
            listed.objects("campaigns", lambda: iter([]))
        yield from listed.noting("campaigns", iter([[{"id": 1}]]), "created")

    before = activity.current()
    try:
        assert [found.id for found in listed.objects("campaigns", endless)] == [1]
    finally:
        activity.bind(before)
