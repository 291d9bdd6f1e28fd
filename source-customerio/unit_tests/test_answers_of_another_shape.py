"""NO-SILENT-ASSUMPTION: an answer that contradicts what is assumed is followed or is an error, never an empty table."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault, Request, Response

if TYPE_CHECKING:
    from conftest import Workspace

SHAPE = "Customer.io answered with JSON of another shape than expected"
LISTS = {
    "campaigns": ("campaigns", "campaigns"),
    "broadcasts": ("broadcasts", "broadcasts"),
    "transactional_messages": ("transactional", "messages"),
    "segments": ("segments", "segments"),
    "snippets": ("snippets", "snippets"),
    "exports": ("exports", "exports"),
    "collections": ("collections", "collections"),
    "workspaces": ("workspaces", "workspaces"),
    "topics": ("subscription_topics", "topics"),
    "subscription_channels": ("subscription_channels", "channels"),
    "types": ("object_types", "types"),
    "reporting_webhooks": ("reporting_webhooks", "reporting_webhooks"),
    "ip_addresses": ("info/ip_addresses", "ip_addresses"),
    "newsletter_variants": (r"newsletters/\d+/contents", "contents"),
    "newsletter_test_groups": (r"newsletters/\d+/test_groups", "test_groups"),
    "broadcast_triggers": (r"broadcasts/\d+/triggers", "triggers"),
    "newsletter_link_metrics": (r"newsletters/\d+/metrics/links", "links"),
    "esp_suppressions": ("esp/suppression/bounces", "suppressions"),
}


def answer(workspace: Workspace, path: str, document: Any) -> None:
    """From now on a path answers with this document."""
    workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=json.dumps(document), times=-1))


def cut_into_pages(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, envelope: str) -> None:
    """A list that came whole comes row by row, each page but the last with a `next`."""
    original = workspace.simulator.answer

    def paged(request: Request) -> Response:
        response = original(request)
        document = json.loads(response.body) if response.status == 200 else {}
        rows = document.get(envelope)
        if not rows:
            return response
        at = int(request.query.get("start", ["0"])[0])
        more = str(at + 1) if at + 1 < len(rows) else ""
        return Response(200, json.dumps({**document, envelope: rows[at : at + 1], "next": more}).encode())

    monkeypatch.setattr(workspace.simulator, "answer", paged)


@pytest.mark.slow
@pytest.mark.parametrize("stream", LISTS)
def test_a_list_that_has_no_pages_by_the_documentation_is_followed_where_it_has(
    workspace: Workspace, clock: Callable[[], datetime], monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """That the vendor declares no `next` proves nothing: it declares none for deliveries, which have it."""
    whole = workspace.sync(stream)
    assert len(whole.records[stream]) > (stream != "types")
    cut_into_pages(workspace, monkeypatch, LISTS[stream][1])
    paged = workspace.sync(stream)
    assert paged.failures == {}
    assert sorted(map(repr, paged.records[stream])) == sorted(map(repr, whole.records[stream]))


@pytest.mark.parametrize("stream", ["campaigns", "ip_addresses", "newsletter_link_metrics", "esp_suppressions"])
def test_a_next_that_leads_in_circles_is_an_error(workspace: Workspace, stream: str) -> None:
    path, envelope = LISTS[stream]
    row: Any = "192.0.2.1" if stream == "ip_addresses" else {"id": 1, "updated": 1, "link": {"id": 1}, "metric": None}
    answer(workspace, rf"/{path}", {envelope: [row], "next": "MQ=="})
    failure = workspace.sync(stream).failures[stream]
    assert "so the list cannot be read to its end" in failure.message


def test_a_suppression_list_whose_server_ignores_the_offset_is_an_error(workspace: Workspace) -> None:
    answer(workspace, "/esp/suppression/bounces", {"suppressions": [{"email": "a@example.com"}]})
    assert "so the list cannot be read" in workspace.sync("esp_suppressions").failures["esp_suppressions"].message


def test_a_suppression_list_of_capped_pages_is_read_to_its_end(workspace: Workspace) -> None:
    workspace.simulator.options.page_caps = {"suppressions": 7}
    synced = workspace.sync("esp_suppressions")
    assert len(synced.records["esp_suppressions"]) == len(workspace.truth("esp_suppressions"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "path", "document"),
    [
        ("segment_memberships", r"/segments/\d+/membership", {"ids": ["u1", "u2"], "identifiers": None, "next": ""}),
        ("segment_memberships", r"/segments/\d+/membership", {"ids": ["u1"], "identifiers": [], "next": ""}),
        ("segment_memberships", r"/segments/\d+/membership", {"members": [{"cio_id": "a"}]}),
        ("segment_usage", r"/segments/\d+/used_by", {"campaigns": [1], "sent_newsletters": []}),
        ("segment_usage", r"/segments/\d+/used_by", {"used_by": [1]}),
        ("segment_customer_counts", r"/customer_count", {"count": {"people": 5}}),
        ("customers", r"customers\?", {"ids": ["u1"], "identifiers": None}),
        ("customers", r"customers/attributes", {"customers": [{"profile": {"cio_id": "a"}}]}),
        ("campaigns", "/v1/campaigns", {"campaigns": [], "automations": [{"id": 1}]}),
        ("campaigns", "/v1/campaigns", {"campaigns": {"1": {"id": 1}}}),
        ("ip_addresses", "/info/ip_addresses", {"ip_addresses": {"us": ["192.0.2.1"]}}),
        ("ip_addresses", "/info/ip_addresses", {"ip_addresses": [{"ip": "192.0.2.1"}]}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"sent": [1, 2], "opened": [0, 1]}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"series": {"series": {"sent": [1]}}}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"series": [{"sent": 1}]}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": [1, 2]}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"series": {"sent": 5}}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"res": "weeks", "metric": {"series": {"sent": [5]}}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"series": {"sent": [5]}}, "next": "MQ=="}),
        ("broadcast_metrics", r"/broadcasts/\d+/metrics", {"metric": {"series": {"sent": {"2026-01-01": 5}}}}),
        ("campaign_journey_metrics", "/journey_metrics", {"journey_metric": {"series": {"started": [1]}}}),
        ("campaign_journey_metrics", "/journey_metrics", {"journey_metric": [{"started": 1}]}),
        ("campaign_link_metrics", "/metrics/links", {"links": {"1": {"clicked": [1]}}}),
        ("campaign_link_metrics", "/metrics/links", {"links": [{"link": {"id": 1}, "metric": {"clicked": [1, 2]}}]}),
        ("campaign_link_metrics", "/metrics/links", {"links": [{"link": {"id": 1}, "series": {"clicked": [1, 2]}}]}),
        ("campaign_link_metrics", "/metrics/links", {"links": ["https://example.com"]}),
    ],
)
def test_an_answer_that_holds_something_else_than_the_list_is_an_error(
    workspace: Workspace, stream: str, path: str, document: dict[str, Any]
) -> None:
    answer(workspace, path, document)
    synced = workspace.sync(stream)
    assert synced.statuses[stream][-1] == "INCOMPLETE"
    assert SHAPE in synced.failures[stream].message
    assert synced.records[stream] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stream", "path", "document"),
    [
        ("segment_memberships", r"/segments/\d+/membership", {"ids": [], "identifiers": None, "next": None}),
        ("segment_usage", r"/segments/\d+/used_by", {"segment_id": 5}),
        ("segment_usage", r"/segments/\d+/used_by", {"segment_id": 5, "used_by": None}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": None}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {}}),
        ("campaign_metrics", r"/campaigns/\d+/metrics", {"metric": {"series": {"sent": None}}}),
        ("campaign_journey_metrics", "/journey_metrics", {"journey_metric": None}),
        ("campaign_link_metrics", "/metrics/links", {"links": None}),
        ("campaign_link_metrics", "/metrics/links", {"links": [{"link": {"id": 1}, "metric": None}]}),
        ("ip_addresses", "/info/ip_addresses", {"ip_addresses": None}),
    ],
)
def test_an_answer_that_says_there_is_nothing_is_an_empty_table(
    workspace: Workspace, stream: str, path: str, document: dict[str, Any]
) -> None:
    answer(workspace, path, document)
    synced = workspace.sync(stream)
    assert synced.failures == {}
    assert synced.records[stream] == []
    assert synced.statuses[stream] == ["STARTED", "COMPLETE"]


def test_a_series_that_is_null_and_one_that_is_a_text_leave_the_others(workspace: Workspace) -> None:
    """A series may be null in place of an array."""
    series = {"sent": [1, 2], "opened": None, "unit": "days"}
    answer(workspace, r"/campaigns/\d+/metrics", {"metric": {"series": series}})
    synced = workspace.sync("campaign_metrics")
    assert {json.dumps(row["metrics"]) for row in synced.records["campaign_metrics"]} == {'{"sent": 1}', '{"sent": 2}'}
