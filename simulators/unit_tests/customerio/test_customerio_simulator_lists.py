"""Flat lists, lists under a parent, page tokens."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests
from simulators.customerio import CustomerioSimulator, answers
from simulators.customerio.workspace import SIZES

FLAT = {
    "/broadcasts": ("broadcasts", "broadcasts"),
    "/campaigns": ("campaigns", "campaigns"),
    "/collections": ("collections", "collections"),
    "/exports": ("exports", "exports"),
    "/object_types": ("types", "types"),
    "/segments": ("segments", "segments"),
    "/snippets": ("snippets", "snippets"),
    "/subscription_channels": ("channels", "subscription_channels"),
    "/subscription_topics": ("topics", "topics"),
    "/transactional": ("messages", "transactional_messages"),
    "/workspaces": ("workspaces", "workspaces"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "envelope", "stream"), [(path, *names) for path, names in FLAT.items()])
def test_a_flat_list_comes_whole_and_without_next(
    sim: CustomerioSimulator, api: Any, path: str, envelope: str, stream: str
) -> None:
    assert api.get(path, limit=1) == {envelope: sim.truth(stream)}


@pytest.mark.parametrize("path", ["/exports", "/collections", "/reporting_webhooks"])
def test_the_lists_that_were_seen_as_null_are_null_when_empty(sim: CustomerioSimulator, api: Any, path: str) -> None:
    sim.mutate("clear", stream=path[1:])
    assert api.get(path) == {path[1:]: None}


def test_every_other_empty_list_is_null_with_a_switch(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("clear", stream="snippets")
    assert api.get("/snippets") == {"snippets": []}
    sim.options.null_when_empty = True
    assert api.get("/snippets") == {"snippets": None}
    assert api.get("/segments/4/membership")["identifiers"] is None
    assert api.get("/messages", start_ts=0, end_ts=1)["messages"] is None


@pytest.mark.parametrize("name", ["newsletters", "sender_identities"])
def test_next_follows_the_last_row_too_and_an_empty_page_ends_the_list(
    sim: CustomerioSimulator, api: Any, name: str
) -> None:
    pages = api.pages(f"/{name}", name, limit=100)
    expected = [row for row in sim.truth(name) if not row.get("hidden")]
    assert [row for page in pages for row in page] == expected
    assert pages[-1] == []
    last = base64.b64encode(str(expected[-1]["id"]).encode()).decode()
    assert api.get(f"/{name}", start=last) == {name: [], "next": ""}


def test_newsletters_are_capped_below_the_requested_limit_without_an_error(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/newsletters", "newsletters", limit=100)
    assert [len(page) for page in pages] == [5, 2, 0]
    assert [len(page) for page in api.pages("/newsletters", "newsletters", limit=3)] == [3, 3, 1, 0]


def test_newsletters_can_be_sorted_downwards(sim: CustomerioSimulator, api: Any) -> None:
    ids = [row["id"] for page in api.pages("/newsletters", "newsletters", sort="desc") for row in page]
    assert ids == sorted((row["id"] for row in sim.truth("newsletters")), reverse=True)


def test_hidden_true_answers_only_the_hidden_senders(sim: CustomerioSimulator, api: Any) -> None:
    hidden = [row for page in api.pages("/sender_identities", "sender_identities", hidden="true") for row in page]
    visible = [row for page in api.pages("/sender_identities", "sender_identities", hidden="false") for row in page]
    assert {row["hidden"] for row in hidden} == {True}
    assert {row["hidden"] for row in visible} == {False}
    assert len(hidden) + len(visible) == len(sim.truth("sender_identities"))


def test_actions_come_ten_a_page_with_their_ids_as_strings_and_without_broadcast_id(
    sim: CustomerioSimulator, api: Any
) -> None:
    pages = api.pages("/campaigns/4/actions", "actions", limit=50)
    assert [len(page) for page in pages] == [10, 10, 3]
    actions = [row for page in pages for row in page]
    assert len(actions) == SIZES["tiny"].longest_campaign
    assert all(isinstance(row["id"], str) and "broadcast_id" not in row for row in actions)
    inline = api.get("/campaigns/4")["campaign"]["actions"]
    assert [str(row["id"]) for row in inline] == [row["id"] for row in actions]


def test_an_id_that_is_no_number_is_400_on_actions_and_404_elsewhere(api: Any) -> None:
    assert api.status("/campaigns/abc/actions") == 400
    assert api.status("/broadcasts/abc/actions") == 400
    assert api.status("/newsletters/abc/contents") == 404


@pytest.mark.parametrize(
    "path",
    [
        "/campaigns/999/actions",
        "/broadcasts/999/triggers",
        "/newsletters/999/contents",
        "/newsletters/999/test_groups",
        "/segments/999/membership",
        "/segments/999/used_by",
        "/transactional/999/metrics",
    ],
)
def test_a_list_under_a_parent_that_does_not_exist_is_404(api: Any, path: str) -> None:
    assert api.status(path) == 404


def test_every_child_list_holds_what_the_truth_holds(sim: CustomerioSimulator, api: Any) -> None:
    for stream, parents, key, path, envelope in (
        ("broadcast_actions", "broadcasts", "broadcast_id", "/broadcasts/{}/actions", "actions"),
        ("broadcast_triggers", "broadcasts", "broadcast_id", "/broadcasts/{}/triggers", "triggers"),
        ("newsletter_variants", "newsletters", "newsletter_id", "/newsletters/{}/contents", "contents"),
        ("newsletter_test_groups", "newsletters", "newsletter_id", "/newsletters/{}/test_groups", "test_groups"),
    ):
        rows = [
            row | {key: parent["id"]}
            for parent in sim.truth(parents)
            for row in api.get(path.format(parent["id"]))[envelope]
        ]
        assert rows == sim.truth(stream)


def test_members_come_with_a_plain_position_as_token(sim: CustomerioSimulator, api: Any) -> None:
    first = api.get("/segments/1/membership", limit=50)
    assert base64.b64decode(first["next"]) == b"0:50"
    members = [row for page in api.pages("/segments/1/membership", "identifiers", limit=50) for row in page]
    assert [{"segment_id": 1, **row} for row in members] == [
        row for row in sim.truth("segment_memberships") if row["segment_id"] == 1
    ]
    assert first["ids"][1] == ""  # the second person has no id


def test_an_empty_page_of_members_may_have_a_next(sim: CustomerioSimulator, api: Any) -> None:
    whole = api.pages("/segments/1/membership", "identifiers", limit=50)
    sim.options.empty_pages = ["identifiers"]
    holed = api.pages("/segments/1/membership", "identifiers", limit=50)
    assert [len(page) for page in holed] == [50, 0, 50, 0, 20]
    assert [page for page in holed if page] == whole


def test_segment_usage_and_counts_are_single_objects(sim: CustomerioSimulator, api: Any) -> None:
    usage = [api.get(f"/segments/{n}/used_by") for n in (1, 2, 3, 4)]
    assert all("segment_id" not in item["used_by"] for item in usage), "the id is beside it"
    assert [{"segment_id": item["segment_id"], **item["used_by"]} for item in usage] == sim.truth("segment_usage")
    counts = [api.get(f"/segments/{n}/customer_count") for n in (1, 2, 3, 4)]
    assert counts == sim.truth("segment_customer_counts")


def test_templates_of_a_broadcast_are_objects_or_with_a_switch_numbers(sim: CustomerioSimulator, api: Any) -> None:
    templates = [row["msg_template_ids"] for row in api.get("/broadcasts")["broadcasts"]]
    assert templates[0] == [{"id": 200, "type": "email"}]
    sim.options.bare_template_ids = True
    rows = requests.get(f"{sim.url}/v1/broadcasts", headers=dict(api.session.headers), timeout=10).json()["broadcasts"]
    assert [row["msg_template_ids"] for row in rows] == [[item["id"] for item in items] for items in templates]


@pytest.mark.parametrize(
    ("path", "envelope"),
    [("/campaigns", "campaigns"), ("/newsletters/1/contents", "contents"), ("/campaigns/4/metrics/links", "links")],
)
def test_a_list_without_pages_has_two_with_a_switch(
    sim: CustomerioSimulator, api: Any, path: str, envelope: str
) -> None:
    whole = api.get(path)[envelope]
    sim.options.two_pages = [envelope]
    pages = api.pages(path, envelope)
    assert len(pages) == 2
    assert pages[0] + pages[1] == whole


def test_rows_have_fields_left_out_with_a_switch(sim: CustomerioSimulator, api: Any) -> None:
    sim.options.left_out = ["messages", "campaigns", "newsletters"]

    def rows(path: str, **params: Any) -> Any:
        answer = requests.get(f"{sim.url}/v1{path}", params, headers=dict(api.session.headers), timeout=10)
        return answer.json()[path[1:]]

    served = rows("/messages", limit=1000)
    forms = {(("id" in row), ("created" in row), len(row) > 10) for row in served}
    assert {(True, True, True), (True, False, True), (False, True, True), (False, False, True)} <= forms
    assert served == rows("/messages", limit=1000), "a row lacks the same in every answer"
    assert [answers.poorer(row) for row in sim.truth("campaigns")] == rows("/campaigns")
    members = api.pages("/segments/1/membership", "identifiers")
    sim.options.left_out = ["identifiers"]
    assert api.pages("/segments/1/membership", "identifiers") == members, "a person's identifiers are required"


@pytest.mark.parametrize(
    ("path", "envelope"),
    [
        ("/newsletters", "newsletters"),
        ("/campaigns/4/actions", "actions"),
        ("/segments/1/membership", "identifiers"),
        ("/messages", "messages"),
        ("/activities", "activities"),
        ("/optouts", "optouts"),
    ],
)
def test_an_altered_token_is_answered_with_200_and_an_empty_page(api: Any, path: str, envelope: str) -> None:
    token = api.get(path, limit=5)["next"]
    alterations = [token[:-1], token.swapcase(), token.replace("+", " "), token + "=", token[::-1]]
    for altered in {text for text in alterations if text != token}:
        assert api.get(path, limit=5, start=altered)[envelope] == [], altered


def test_a_token_needs_encoding_to_survive_a_query(sim: CustomerioSimulator, api: Any) -> None:
    token = api.get("/messages", limit=5)["next"]
    assert {"+", "/", "="} <= set(token)
    assert api.get(f"/messages?limit=5&start={token}")["messages"] == []
    assert len(api.get("/messages", limit=5, start=token)["messages"]) == 5


def test_a_server_in_a_loop_repeats_the_token_that_it_was_sent(sim: CustomerioSimulator, api: Any) -> None:
    for path, envelope in (("/messages", "messages"), ("/newsletters", "newsletters"), ("/activities", "activities")):
        sim.options.repeat_token = envelope
        token = api.get(path, limit=3)["next"]
        assert api.get(path, limit=3, start=token)["next"] == token


def test_the_awkward_rows_are_there(sim: CustomerioSimulator, api: Any) -> None:
    campaigns = {row["id"]: row for row in sim.truth("campaigns")}
    actions = sim.truth("campaign_actions")
    assert any(row["updated"] > campaigns[row["campaign_id"]]["updated"] for row in actions)
    assert any(not row["actions"] for row in campaigns.values())
    assert any(row["tags"] is None for row in campaigns.values())
    assert any(row["first_started"] == 0 for row in campaigns.values())
    newest = max(campaigns.values(), key=lambda row: int(row["created"]))
    assert all(row["updated"] < newest["created"] for row in actions if row["campaign_id"] == newest["id"])
    assert any(row["sent_at"] is None for row in sim.truth("newsletters"))
    assert not [row for row in actions if row["deduplicate_id"].startswith(row["id"] + ":")]


def test_webhook_endpoints_carry_credentials_that_the_truth_does_not_hold(sim: CustomerioSimulator, api: Any) -> None:
    served = [row["endpoint"] for row in api.get("/reporting_webhooks")["reporting_webhooks"]]
    assert served[0] == "https://u:p@hooks.example.com/x?y=a@b"
    assert [row["endpoint"] for row in sim.truth("reporting_webhooks")] == [
        "https://hooks.example.com/x?y=a@b",
        "HTTPS://HOOKS.example.com:8443/in/a@b",
        "https://hooks.example.com/plain?mail=a@b",
    ]


def test_optouts_come_in_pages_of_a_hundred_by_default(sim: CustomerioSimulator, api: Any) -> None:
    pages = api.pages("/optouts", "optouts", limit=30)
    assert [len(page) for page in pages] == [30, 11]
    assert [row for page in pages for row in page] == sim.truth("optouts")
    assert len(api.get("/optouts", **{"from": "+15550101"})["optouts"]) == 20


def test_a_broadcast_trigger_is_found_under_campaigns(sim: CustomerioSimulator, api: Any) -> None:
    row = sim.truth("broadcast_triggers")[0]
    assert api.get(f"/campaigns/{row['broadcast_id']}/triggers/{row['id']}") == row


def test_a_sender_says_what_uses_it_at_the_top_of_the_answer(sim: CustomerioSimulator, api: Any) -> None:
    for row in sim.truth("sender_identity_usage"):
        number = row.pop("sender_identity_id")
        assert api.get(f"/sender_identities/{number}/used_by") == row


def test_the_contents_of_a_transactional_message_are_its_variants(sim: CustomerioSimulator, api: Any) -> None:
    for row in sim.truth("transactional_variants"):
        number = row.pop("transactional_id")
        assert api.get(f"/transactional/{number}/contents")["contents"] == [row]
        assert api.get(f"/transactional/{number}/contents/{row['id']}")["content"] == row
