"""Page tokens: what ends a list, and what must never happen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from simulators.server import Fault
from source_customerio.client import PageTokens

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.mark.parametrize("token", ["", None])
@pytest.mark.parametrize("empty_page_ends", [False, True])
def test_an_empty_or_absent_token_ends_every_list(empty_page_ends: bool, token: str | None) -> None:
    assert not PageTokens("a list", empty_page_ends=empty_page_ends).advance(token, rows=50)


def test_a_token_after_an_empty_page_is_followed_where_only_the_token_ends() -> None:
    """Memberships and deliveries may have an empty page in the middle."""
    tokens = PageTokens("a list", {"limit": "9"})
    assert tokens.advance("MDo2MQ==", rows=0)
    assert tokens.query == {"limit": "9", "start": "MDo2MQ=="}


def test_an_empty_page_ends_a_list_that_gives_a_token_after_its_last_row() -> None:
    """Newsletters and senders give a token after their last row."""
    assert not PageTokens("a list", empty_page_ends=True).advance("MQ==", rows=0)


def test_a_short_page_ends_nothing() -> None:
    """The server may give fewer rows than were asked for."""
    tokens = PageTokens("a list", empty_page_ends=True)
    assert tokens.advance("MQ==", rows=1)
    assert tokens.query == {"start": "MQ=="}


def test_the_same_token_twice_is_an_error() -> None:
    tokens = PageTokens("deliveries")
    tokens.advance("a", rows=1)
    tokens.advance("b", rows=1)
    with pytest.raises(AirbyteTracedException, match="gave the same page of deliveries twice"):
        tokens.advance("a", rows=1)


def test_newsletters_end_after_exactly_one_request_more_than_their_pages(workspace: Workspace) -> None:
    """The last page gives the token of its last id, and only the page after it is empty."""
    synced = workspace.sync("newsletters")
    assert sorted(synced.column("newsletters", "id")) == [1, 2, 3, 4, 5, 6, 7]
    starts = [request.query.get("start") for request in workspace.requests_to("newsletters")]
    assert starts == [None, ["NQ=="], ["Nw=="]]


def test_a_silent_cap_of_the_page_size_loses_nothing(workspace: Workspace) -> None:
    """The pages are shorter than the limit that was sent."""
    workspace.simulator.options.page_caps = {"newsletters": 2, "sender_identities": 2, "messages": 70}
    synced = workspace.sync("newsletters", "sender_identities", "messages")
    for name in ("newsletters", "sender_identities", "messages"):
        assert len(synced.records[name]) == len(workspace.truth(name))


@pytest.mark.parametrize(
    ("stream", "envelope", "cap"), [("segment_memberships", "identifiers", 40), ("messages", "messages", 20)]
)
@pytest.mark.slow
def test_an_empty_page_in_the_middle_does_not_end_the_list(
    workspace: Workspace, stream: str, envelope: str, cap: int
) -> None:
    """Memberships and deliveries end with an absent token only."""
    workspace.simulator.options.page_caps = {envelope: cap}
    workspace.simulator.options.empty_pages = [envelope]
    synced = workspace.sync(stream)
    assert len(synced.records[stream]) == len(workspace.truth(stream))


def test_a_token_goes_back_byte_for_byte_and_encoded_once(workspace: Workspace) -> None:
    """Tokens hold `+`, `/` and `=`, and an altered one is answered with 200 and no rows."""
    workspace.simulator.options.page_caps = {"messages": 10, "customers": 10}
    synced = workspace.sync("messages", "customers")
    assert len(synced.records["messages"]) == len(workspace.truth("messages"))
    assert len(synced.records["customers"]) == len(workspace.truth("customers"))
    sent = [token for request in workspace.simulator.requests for token in request.query.get("start", [])]
    assert any("+" in token and "/" in token for token in sent)


@pytest.mark.parametrize("envelope", ["messages", "activities", "identifiers", "customers"])
def test_a_server_that_turns_in_circles_fails_the_stream_and_keeps_no_state(
    workspace: Workspace, envelope: str
) -> None:
    stream = {"identifiers": "segment_memberships"}.get(envelope, envelope)
    workspace.simulator.options.page_caps = {envelope: 10}
    workspace.simulator.options.repeat_token = envelope
    synced = workspace.sync(stream, start_date=workspace.simulator.start_date)
    assert "so the list cannot be read to its end" in synced.failures[stream].message
    assert synced.failures[stream].failure_type == "system_error"
    assert synced.statuses[stream][-1] == "INCOMPLETE"


@pytest.mark.parametrize("stream", ["exports", "collections", "reporting_webhooks"])
def test_a_null_list_is_an_empty_one(workspace: Workspace, stream: str) -> None:
    """Recorded answers have null for these three."""
    workspace.simulator.mutate("clear", stream=stream)
    synced = workspace.sync(stream)
    assert synced.records[stream] == []
    assert synced.statuses[stream] == ["STARTED", "COMPLETE"]


def test_null_lists_everywhere_are_empty_ones(workspace: Workspace) -> None:
    """Windows, last pages, memberships, suppressions and tags may all be null."""
    workspace.simulator.options.null_when_empty = True
    streams = ("messages", "newsletters", "sender_identities", "segment_memberships", "esp_suppressions", "customers")
    synced = workspace.sync(*streams)
    for name in streams:
        assert len(synced.records[name]) == len(workspace.truth(name))
        assert synced.statuses[name][-1] == "COMPLETE"


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("segments", "/v1/segments"),
        ("ip_addresses", "/v1/info/ip_addresses"),
        ("segment_customer_counts", "customer_count"),
        ("customers", "customers/attributes"),
        ("campaign_metrics", "/metrics"),
        ("campaign_journey_metrics", "/journey_metrics"),
        ("newsletter_link_metrics", "/metrics/links"),
    ],
)
def test_an_answer_without_its_list_is_an_error_and_no_empty_stream(
    workspace: Workspace, stream: str, path: str
) -> None:
    workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=json.dumps({"other": []}), times=-1))
    synced = workspace.sync(stream)
    assert synced.statuses[stream] == ["STARTED", "INCOMPLETE"]
    assert synced.failures[stream].message.startswith("Customer.io answered with JSON of another shape than expected")
