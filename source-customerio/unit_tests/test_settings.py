"""Lists of the workspace's settings, and suppressions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from simulators.server import Fault
from source_customerio.streams import STREAMS
from source_customerio.streams.esp import EspSuppressions
from source_customerio.streams.lists import FullList, without_credentials

if TYPE_CHECKING:
    from conftest import Workspace


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://u:p@h/x?y=a@b", "https://h/x?y=a@b"),
        ("HTTPS://token@Hooks.example.com:8443/in/a@b", "HTTPS://Hooks.example.com:8443/in/a@b"),
        ("https://u:p@ss@h/x", "https://h/x"),
        ("https://h/x@y#a@b", "https://h/x@y#a@b"),
        ("https://h?mail=a@b", "https://h?mail=a@b"),
        ("not a url, a@b", "not a url, a@b"),
        ("", ""),
    ],
)
def test_user_and_password_leave_a_url_and_other_at_signs_stay(url: str, bare: str) -> None:
    """The endpoint of a webhook may carry the user and password of the customer's server."""
    assert without_credentials(url) == bare


def test_no_record_holds_the_credentials_of_a_webhook(workspace: Workspace) -> None:
    """A warehouse has more readers than the workspace's settings."""
    synced = workspace.sync("reporting_webhooks")
    assert synced.records["reporting_webhooks"] == workspace.truth("reporting_webhooks")
    assert "u:p@" not in str(synced.records)


def test_hidden_and_visible_senders_arrive_once_each(workspace: Workspace) -> None:
    """`hidden=true` gives only hidden ones."""
    synced = workspace.sync("sender_identities")
    assert sorted(synced.column("sender_identities", "id")) == [
        row["id"] for row in workspace.truth("sender_identities")
    ]


def test_a_server_that_gives_all_senders_for_both_flags_gives_none_twice(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documentation says that `hidden=true` includes them."""
    answer = workspace.simulator.answer
    everybody = {"sender_identities": workspace.truth("sender_identities"), "next": ""}

    def ignore_the_flag(request: Any) -> Any:
        response = answer(request)
        return replace(response, body=json.dumps(everybody).encode())

    monkeypatch.setattr(workspace.simulator, "answer", ignore_the_flag)
    synced = workspace.sync("sender_identities")
    assert sorted(synced.column("sender_identities", "id")) == [1, 2, 3, 4, 5, 6, 7]


def test_senders_without_the_flag_count_for_the_list_that_they_came_in(workspace: Workspace) -> None:
    """The flag is not in every answer that was recorded."""
    for flag, number in (("false", 1), ("true", 2)):
        answer = json.dumps({"sender_identities": [{"id": number, "name": "a sender"}], "next": ""})
        workspace.simulator.faults.add(Fault("status", path=f"hidden={flag}", status=200, answer=answer))
    synced = workspace.sync("sender_identities")
    assert synced.column("sender_identities", "id") == [1, 2]


@pytest.mark.parametrize(
    ("stream", "path", "envelope", "sent", "emitted"),
    [
        ("topics", "subscription_topics", "topics", "4", 4),
        ("workspaces", "workspaces", "workspaces", "5", 5),
        ("types", "object_types", "types", 1, "1"),
        ("exports", "exports", "exports", "12", 12),
        ("collections", "collections", "collections", "01H", "01H"),
        ("reporting_webhooks", "reporting_webhooks", "reporting_webhooks", "3", 3),
    ],
)
def test_a_key_has_the_type_of_its_column_whatever_the_vendor_makes_of_it(
    workspace: Workspace, stream: str, path: str, envelope: str, sent: Any, emitted: Any
) -> None:
    """A text of digits is a number; what cannot be one passes as it is."""
    answer = json.dumps({envelope: [{"id": sent, "updated_at": 1_700_000_000}]})
    workspace.simulator.faults.add(Fault("status", path=f"/{path}", status=200, answer=answer, times=-1))
    assert workspace.sync(stream).column(stream, "id") == [emitted]


def test_the_key_of_an_optout_is_a_text(workspace: Workspace) -> None:
    """`cio_id` is a text in every stream, so that it joins."""
    answer = json.dumps({"optouts": [{"cio_id": 30, "optouts": None}], "next": ""})
    workspace.simulator.faults.add(Fault("status", path="/optouts", status=200, answer=answer, times=-1))
    assert workspace.sync("optouts").column("optouts", "cio_id") == ["30"]


def test_collections_and_workspaces_are_snapshots(workspace: Workspace) -> None:
    """A collection's `updated_at` need not move, and a workspace has no time at all."""
    names = {stream.__name__ for stream in STREAMS if issubclass(stream, FullList)}
    assert {"Collections", "Workspaces"} <= names
    synced = workspace.sync("collections", "workspaces")
    assert synced.records["collections"] == workspace.truth("collections")
    assert synced.records["workspaces"] == workspace.truth("workspaces")


def test_a_collection_whose_id_is_a_text_of_digits_gets_a_number(workspace: Workspace) -> None:
    """A key has one type, so that it joins."""
    workspace.simulator.workspace.lists["collections"][0]["id"] = "17"
    assert workspace.sync("collections").column("collections", "id") == [17, 2]


def test_exports_are_listed_and_never_started_or_downloaded(workspace: Workspace) -> None:
    """An export appears in the customer's account and mails its owner."""
    synced = workspace.sync("exports")
    assert synced.records["exports"] == workspace.truth("exports")
    assert {(request.method, request.path) for request in workspace.simulator.requests} == {("GET", "/v1/exports")}


def test_snippets_are_known_by_their_names(workspace: Workspace) -> None:
    synced = workspace.sync("snippets")
    assert synced.column("snippets", "name") == [row["name"] for row in workspace.truth("snippets")]


def test_addresses_are_rows_of_one_column(workspace: Workspace) -> None:
    synced = workspace.sync("ip_addresses")
    assert synced.records["ip_addresses"] == workspace.truth("ip_addresses")


def test_archived_segments_are_not_asked_for(workspace: Workspace) -> None:
    """The vendor never lists them, so neither list nor children know them; the documentation says so."""
    workspace.sync("segments")
    (request,) = workspace.requests_to("segments")
    assert request.query == {}


def test_the_four_suppression_lists_of_the_default_domain_arrive(workspace: Workspace) -> None:
    workspace.simulator.options.page_caps = {}
    synced = workspace.sync("esp_suppressions")
    key = ("suppression_type", "domain", "email")
    assert sorted(synced.column("esp_suppressions", *key)) == sorted(
        tuple(row[name] for name in key) for row in workspace.truth("esp_suppressions")
    )
    assert all("domain" not in request.query for request in workspace.simulator.requests)


def test_each_configured_domain_has_lists_of_its_own(workspace: Workspace) -> None:
    domains = ["mail.example.com", "news.example.org"]
    synced = workspace.sync("esp_suppressions", esp_suppression_domains=domains)
    key = ("suppression_type", "domain", "email")
    assert sorted(synced.column("esp_suppressions", *key)) == sorted(
        tuple(row[name] for name in key) for row in workspace.truth("esp_suppressions", domains=",".join(domains))
    )
    assert len(set(synced.column("esp_suppressions", *key))) == len(synced.records["esp_suppressions"])


def test_a_long_suppression_list_is_read_page_by_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no token, and a short page ends nothing, since the server may cap the size of pages."""
    monkeypatch.setattr(EspSuppressions, "page_size", 50)
    synced = workspace.sync("esp_suppressions")
    assert len(synced.records["esp_suppressions"]) == len(workspace.truth("esp_suppressions"))
    offsets = [int(request.query["offset"][0]) for request in workspace.requests_to("esp/suppression/bounces")]
    assert offsets == [0, 50, 100, len(workspace.simulator.workspace.suppressions[("bounces", "")])]


def test_a_domain_without_any_address_is_named_in_a_warning(workspace: Workspace) -> None:
    """A mistyped domain is answered with an empty list and no error."""
    domains = ["mail.example.com", "mial.example.com"]
    synced = workspace.sync("esp_suppressions", esp_suppression_domains=domains)
    assert synced.logged("no list has an address for the domain mial.example.com")
    assert not synced.logged("no list has an address for the domain mail.example.com")


def test_an_address_that_moves_between_pages_is_at_worst_repeated_under_its_key(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists are paged by offset and may grow in front; the key makes the repetition harmless."""
    monkeypatch.setattr(EspSuppressions, "page_size", 20)
    rows = workspace.simulator.workspace.suppressions[("bounces", "")]
    before = [row["email"] for row in rows]
    insert = {"created": 1, "email": "0@example.com", "reason": "new", "status": "550"}
    original = workspace.simulator.answer

    def answer(request: Any) -> Any:
        response = original(request)
        if request.path.endswith("/bounces") and insert not in rows:
            rows.insert(0, insert)
        return response

    monkeypatch.setattr(workspace.simulator, "answer", answer)
    synced = workspace.sync("esp_suppressions")
    emails = [row["email"] for row in synced.records["esp_suppressions"] if row["suppression_type"] == "bounces"]
    assert set(before) <= set(emails)
    assert len(emails) == len(before) + 1
