"""Mutations, also during a read; the control endpoints; the command line; the OpenAPI document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from jsonschema import Draft202012Validator
from simulators.customerio import API_KEYS, CustomerioSimulator, routes, truth
from simulators.customerio.build_deliveries import WINDOW
from simulators.customerio.workspace import DAY
from simulators.faults import Fault

NOW = 1_772_323_200


@pytest.mark.slow
def test_the_same_seed_size_and_time_give_the_same_bytes() -> None:
    def everything(seed: int) -> list[Any]:
        sim = CustomerioSimulator(seed=seed, now=NOW)
        return [sim.truth(stream) for stream in truth.STREAMS]

    assert everything(1) == everything(1)
    assert everything(1) != everything(2)


def test_the_clock_stands_still_until_it_is_moved(sim: CustomerioSimulator) -> None:
    assert sim.now % 3600 == 0
    assert sim.mutate("advance", seconds=90) == sim.now
    assert CustomerioSimulator(now=NOW).start_date == "2025-05-05T00:00:00Z"


def test_an_edited_action_does_not_touch_its_campaign(sim: CustomerioSimulator, api: Any) -> None:
    before = api.get("/campaigns/4")
    action = sim.mutate("edit_action", campaign_id=4, position=2)
    assert action["updated"] == sim.now
    assert api.get("/campaigns/4") == before
    assert api.get(f"/campaigns/4/actions/{action['id']}")["action"] == action


def test_a_duplicated_campaign_has_old_children(sim: CustomerioSimulator, api: Any) -> None:
    copy = sim.mutate("duplicate_campaign", campaign_id=7)
    rows = [row for row in sim.truth("campaign_actions") if row["campaign_id"] == copy["id"]]
    assert rows
    assert all(row["updated"] < copy["created"] for row in rows)
    assert api.get(f"/campaigns/{copy['id']}/actions")["actions"] == rows[:10]


def test_metrics_of_a_delivery_are_filled_in_later(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("advance", seconds=8 * 3600)
    changed = sim.mutate("fill_metrics", newest=3)
    rows = {row["id"]: row for row in sim.truth("messages")}
    assert len(changed) == 3
    assert all(rows[number]["metrics"]["clicked"] == sim.now for number in changed)
    assert all(rows[number]["deduplicate_id"] == f"{number}:{sim.now}" for number in changed)


def test_late_opens_raise_the_metrics_of_the_last_days(sim: CustomerioSimulator, api: Any) -> None:
    days = {"version": 2, "res": "days", "start": sim.now - 9 * DAY, "end": sim.now + 1}
    before = api.get("/campaigns/4/metrics", **days)["metric"]["series"]["opened"]
    sim.mutate("grow_metrics", opens=5)
    after = api.get("/campaigns/4/metrics", **days)["metric"]["series"]["opened"]
    assert [new - old for old, new in zip(before, after, strict=True)] == [0] * 7 + [5] * 3


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("campaigns", "/campaigns/{}/actions"),
        ("broadcasts", "/broadcasts/{}/actions"),
        ("newsletters", "/newsletters/{}/contents"),
        ("segments", "/segments/{}/membership"),
        ("transactional_messages", "/transactional/{}/metrics"),
    ],
)
def test_a_parent_may_vanish_between_its_list_and_its_children(
    sim: CustomerioSimulator, api: Any, stream: str, path: str
) -> None:
    number = sim.mutate("vanish", stream=stream)
    assert number in {row["id"] for row in sim.truth(stream)}
    assert api.status(path.format(number)) == 404


def test_a_deleted_parent_leaves_the_list_too(sim: CustomerioSimulator, api: Any) -> None:
    number = sim.mutate("delete", stream="campaigns")
    assert number not in {row["id"] for row in api.get("/campaigns")["campaigns"]}
    assert number not in {row["campaign_id"] for row in sim.truth("campaign_actions")}
    assert api.status(f"/campaigns/{number}/actions") == 404


def test_a_row_that_is_added_while_paging_makes_another_come_twice(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("after", path="/v1/messages", count=1, mutation="add_message")
    pages = api.pages("/messages", "messages", limit=20, start_ts=sim.now - WINDOW, end_ts=sim.now)
    ids = [row["id"] for page in pages for row in page]
    assert len(ids) == len(set(ids)) + 1
    assert pages[0][-1] == pages[1][0]


def test_a_plan_waits_for_its_number_of_answers(sim: CustomerioSimulator, api: Any) -> None:
    sim.mutate("after", path="/newsletters", count=2, mutation="add_newsletter")
    assert [len(page) for page in api.pages("/newsletters", "newsletters")] == [5, 2, 1, 0]


def test_activities_can_be_dated_back_and_ahead(sim: CustomerioSimulator, api: Any) -> None:
    (late,) = sim.mutate("add_activity", ago=5 * DAY)
    (early,) = sim.mutate("add_activity", ago=-800 * DAY)
    rows = api.get("/activities", limit=100)["activities"]
    assert rows[0]["id"] == early
    assert late in {row["id"] for row in sim.truth("activities")}


def test_a_truth_that_was_taken_earlier_does_not_change(sim: CustomerioSimulator) -> None:
    before = {row["id"]: row["updated"] for row in sim.truth("campaigns")}
    kept = sim.truth("campaigns")
    sim.mutate("edit", stream="campaigns", id=4)
    assert {row["id"]: row["updated"] for row in kept} == before
    assert sim.truth("campaigns") != kept


def test_an_edit_moves_the_cursor_of_its_row(sim: CustomerioSimulator, api: Any) -> None:
    for stream, number in (("campaigns", 4), ("segments", 2), ("snippets", "snippet 1"), ("exports", 1)):
        row = sim.mutate("edit", stream=stream, id=number, fields={"description": "changed"})
        assert sim.now in (row.get("updated"), row.get("updated_at"))
        assert row in sim.truth(stream)


def test_a_deleted_person_is_gone_from_search_hydration_and_segments(sim: CustomerioSimulator, api: Any) -> None:
    gone = sim.mutate("delete_person", cio_id="a3000000")
    assert api.post("/customers/attributes", {"ids": [gone]}, id_type="cio_id")["customers"] == []
    members = api.get("/segments/1/membership")["identifiers"]
    assert gone not in {row["cio_id"] for row in members}
    assert any((row["customer_identifiers"] or {}).get("cio_id") == gone for row in sim.truth("messages"))


def test_lists_can_be_emptied(sim: CustomerioSimulator, api: Any) -> None:
    for stream in ("messages", "activities", "customers", "campaigns"):
        sim.mutate("clear", stream=stream)
        assert sim.truth(stream) == []


def test_everything_can_be_controlled_over_http(sim: CustomerioSimulator) -> None:
    control = sim.url + "/_sim"
    mutate = {"name": "options", "page_caps": {"messages": 3}, "forbidden": ["^/exports"]}
    assert requests.post(f"{control}/mutate", json=mutate, timeout=10).status_code == 200
    assert sim.options.page_caps == {"messages": 3}
    later = {"name": "after", "path": "/campaigns", "mutation": "edit_action", "arguments": {"campaign_id": 4}}
    assert requests.post(f"{control}/mutate", json=later, timeout=10).status_code == 200
    for wrong in (
        {"name": "options", "nonsense": 1},
        {"name": "nonsense"},
        {"name": "after", "path": "", "mutation": "x"},
    ):
        assert requests.post(f"{control}/mutate", json=wrong, timeout=10).status_code == 400
    rows = requests.get(f"{control}/truth/esp_suppressions?domains=news.example.org", timeout=10).json()
    assert {row["domain"] for row in rows} == {"news.example.org"}
    assert requests.get(f"{control}/truth/nonsense", timeout=10).status_code == 400


def test_the_common_faults_hit_this_vendor_too(sim: CustomerioSimulator) -> None:
    sim.faults.add(Fault("status", path="/v1/messages", status=503, answer="busy"))
    headers = {"Authorization": f"Bearer {sim.api_key}"}
    statuses = [requests.get(sim.url + "/v1/messages", headers=headers, timeout=10).status_code for _ in range(2)]
    assert statuses == [503, 200]
    assert sim.requests[0].headers["authorization"] == "***"


@pytest.mark.slow
def test_the_truth_knows_every_stream_of_the_connector(sim: CustomerioSimulator) -> None:
    names = """campaigns broadcasts newsletters campaign_actions broadcast_actions newsletter_variants
        newsletter_test_groups transactional_messages messages activities customers segments segment_memberships
        segment_usage segment_customer_counts snippets collections workspaces topics types reporting_webhooks
        sender_identities subscription_channels exports ip_addresses esp_suppressions optouts broadcast_triggers
        campaign_metrics broadcast_metrics newsletter_metrics transactional_metrics campaign_journey_metrics
        campaign_link_metrics newsletter_link_metrics campaign_action_metrics newsletter_variant_metrics
        transactional_variants broadcast_link_metrics transactional_link_metrics sender_identity_usage
        customer_topics objects object_relationships"""
    assert sorted(names.split()) == sorted(truth.STREAMS)
    assert all(sim.truth(name) for name in names.split())


def test_every_path_answers_what_the_document_of_the_api_says(sim: CustomerioSimulator, api: Any) -> None:
    trigger = sim.truth("broadcast_triggers")[0]
    ids = {
        "broadcast_id": trigger["broadcast_id"],
        "trigger_id": trigger["id"],
        "campaign_id": 4,
        "message_id": quote(sim.truth("messages")[0]["id"], safe=""),
        "customer_id": "u0",
        "object_id": quote(sim.truth("objects")[0]["object_id"], safe=""),
        "domain": "mail.example.com",
        "suppression_type": "blocks",
        "email_address": "gone.00001%40example.net",
    }
    params = {
        "start": 1,
        "end": 2,
        "resolution": "daily",
    }  # journeys require them, elsewhere an unknown token is no error
    for route in routes.ROUTES:
        if route.method == "GET":
            ids["action_id"] = trigger["broadcast_id"] * 10 if route.template.startswith("/broadcasts/") else 400
            ids["content_id"] = 2 if route.template.startswith("/newsletters/") else 5
            path = re.sub(r"\{(\w+)\}", lambda match: str(ids.get(match[1], 1)), route.template)
            assert api.status(path, **params if "journey" in path else {}) == 200, path


def test_the_document_of_the_api_has_exactly_the_paths_that_are_served() -> None:
    document = json.loads((Path(routes.__file__).parent / "openapi.json").read_text())
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, "/v1" + route.template) for route in routes.ROUTES}
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.slow
def test_the_command_line_serves_a_region_until_a_signal() -> None:
    command = [sys.executable, "-m", "simulators", "customerio", "--size", "tiny", "--region", "EU", "--rows", "40"]
    with subprocess.Popen([*command, "--rate-limit", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("listening on ").strip()
        headers = {"Authorization": f"Bearer {API_KEYS['EU']}"}
        answers = [requests.get(f"{url}/v1/messages?limit=1000", headers=headers, timeout=10) for _ in range(12)]
        process.terminate()
        assert process.wait(10) == 0
    assert {answer.status_code for answer in answers} == {200}
    assert 0 < len(answers[0].json()["messages"]) <= 40
