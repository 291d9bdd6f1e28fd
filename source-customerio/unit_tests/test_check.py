"""Whether a configuration works, before the first sync."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from simulators.customerio import TRACK_KEY, CustomerioSimulator, Options
from simulators.server import Fault
from source_customerio.budget import REQUESTS_A_SECOND
from source_customerio.streams import STREAMS
from source_customerio.streams.lists import IpAddresses

if TYPE_CHECKING:
    from conftest import Workspace

MISTYPED = (
    "Customer.io did not accept the key. It is mistyped or revoked, it is a Track API key, or the account is in the "
    "other region: enter an App API key and choose the account's region (US or EU)."
)


@pytest.fixture
def europe() -> Iterator[CustomerioSimulator]:
    """The other data center."""
    with CustomerioSimulator(region="EU", options=Options(rate_limit=None)) as running:
        yield running


def test_a_good_key_succeeds_with_the_requests_of_five_seconds(workspace: Workspace) -> None:
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)
    assert len(workspace.simulator.requests) <= 5 * REQUESTS_A_SECOND


@pytest.mark.parametrize("key", ["cio-no-such-key", TRACK_KEY])
def test_a_wrong_key_and_a_track_key_get_the_three_causes(workspace: Workspace, key: str) -> None:
    """The vendor answers 401 to each of these and does not say which it is."""
    assert workspace.check(workspace.config(app_api_key=key)) == ("FAILED", MISTYPED)


def test_a_key_of_the_other_region_fails_with_the_region_to_choose(
    workspace: Workspace, europe: CustomerioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor answers 401 in both cases; a probe of the other region distinguishes them."""
    hosts = {"US": workspace.simulator.url, "EU": europe.url}
    monkeypatch.setattr("source_customerio.config.HOSTS", hosts)
    assert workspace.check({"app_api_key": europe.api_key, "region": "US"}) == (
        "FAILED",
        "The key belongs to an account in the region EU, not US. Choose EU as the region.",
    )
    assert workspace.check({"app_api_key": "cio-no-such-key", "region": "US"}) == ("FAILED", MISTYPED)
    assert workspace.check({"app_api_key": europe.api_key, "region": "EU"}) == ("SUCCEEDED", None)


def test_a_key_that_opens_something_succeeds_and_the_log_names_what_will_fail(workspace: Workspace) -> None:
    workspace.simulator.options.forbidden = ["/messages", "/activities"]
    output = workspace.run("check", workspace.config())
    assert output.logged("denied the key access to deliveries")
    assert output.logged("denied the key access to activities")
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("opened", ["sender_identities", "optouts"])
def test_a_key_that_opens_a_single_list_succeeds(workspace: Workspace, opened: str, status: int) -> None:
    workspace.simulator.options.forbidden = [rf"^/(?!{opened})"]
    workspace.simulator.options.forbidden_status = status
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)


def test_a_key_that_opens_nothing_fails(workspace: Workspace) -> None:
    workspace.simulator.options.forbidden = ["/.*"]
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert found[1].startswith("Customer.io denied the key access to everything (status 403).")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "status", "permission"),
    [
        ("/esp/suppression/", 404, "email suppressions"),
        ("/esp/suppression/", 400, "email suppressions"),
        ("/esp/suppression/", 422, "email suppressions"),
        ("/customers", 401, "people"),
        ("/exports", 404, "exports"),
        ("/exports", 400, "exports"),
        ("/v1/snippets", 500, "the workspace's settings"),
        ("/v1/messages", 503, "deliveries"),
        ("/v1/campaigns", 500, "campaigns"),
        ("/v1/campaigns", 401, "campaigns"),
        ("/v1/activities", 429, "activities"),
    ],
)
def test_a_permission_that_is_refused_with_another_status_is_named_and_the_rest_can_be_synced(
    workspace: Workspace, path: str, status: int, permission: str
) -> None:
    """The vendor documents no status for what a key or a workspace does not have; the key itself was accepted.

    Nor is a part of the server that is down a reason to refuse a key that the others accept.
    """
    workspace.simulator.faults.add(Fault("status", path=path, status=status, times=-1))
    output = workspace.run("check", workspace.config())
    assert output.connection_status["status"] == "SUCCEEDED"
    warned = output.logged("WARN: ")
    assert len(warned) == 1
    assert warned[0].startswith(f"WARN: Check: {permission} cannot be read: Customer.io ")


@pytest.mark.parametrize(
    ("path", "answer", "permission"),
    [
        ("/v1/segments", {"ok": 1}, "segments"),
        ("/v1/customers", {"ok": 1}, "people"),
        ("/v1/esp/suppression/", {}, "email suppressions"),
        ("/v1/exports", {"exports": ["x"]}, "exports"),
    ],
)
def test_a_permission_that_answers_something_else_is_named_and_the_rest_can_be_synced(
    workspace: Workspace, path: str, answer: dict[str, Any], permission: str
) -> None:
    """What a workspace gets whose mail goes through a service of its own is documented nowhere."""
    workspace.simulator.faults.add(Fault("status", path=path, status=200, answer=json.dumps(answer), times=-1))
    output = workspace.run("check", workspace.config())
    assert output.connection_status["status"] == "SUCCEEDED"
    warned = output.logged("WARN: ")
    assert [line.startswith(f"WARN: Check: {permission} cannot be read: Customer.io ") for line in warned] == [True]


def test_an_answer_that_every_sync_would_fail_on_fails(workspace: Workspace) -> None:
    """Something answers, and it is not the vendor: a mock, or a gateway that answers 200 for everything."""
    stranger = Fault("status", path="/v1/", status=200, answer=json.dumps({"ok": 1}), times=-1)
    workspace.simulator.faults.add(stranger)
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert str(found[1]).startswith("Customer.io answered with JSON of another shape than expected;")


def test_a_list_that_is_null_is_a_good_answer(workspace: Workspace) -> None:
    nothing = Fault("status", path="/v1/campaigns", status=200, answer=json.dumps({"campaigns": None}), times=-1)
    workspace.simulator.faults.add(nothing)
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)


@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_everywhere_fails_soon_with_its_sentence(workspace: Workspace, status: int) -> None:
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=status, times=-1))
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert str(found[1]).startswith("Customer.io ")
    asked = {request.path for request in workspace.simulator.requests}
    assert asked == {"/v1/campaigns", "/v1/segments", "/v1/customers", "/v1/workspaces"}


def open_only(simulator: CustomerioSimulator, opened: str) -> None:
    """A key whose scope has one list, and that gets 401 for anything else."""
    simulator.options.forbidden = [rf"^/(?!{opened}$)"]
    simulator.options.forbidden_status = 401


@pytest.mark.parametrize(
    ("opened", "scope"),
    [
        ("segments", "segments"),
        ("customers", "people"),
        ("workspaces", "the workspace's settings"),
        ("messages", "deliveries"),
        ("exports", "exports"),
        ("transactional", "transactional messages"),
    ],
)
def test_a_key_that_is_refused_with_401_outside_its_scope_is_no_wrong_key(
    workspace: Workspace, opened: str, scope: str
) -> None:
    """Which status a key gets outside its scope is documented nowhere: 401 is declared on far more paths than 403."""
    open_only(workspace.simulator, opened)
    output = workspace.run("check", workspace.config())
    assert output.connection_status["status"] == "SUCCEEDED"
    warned = [line.removeprefix("WARN: Check: ") for line in output.logged("WARN: ")]
    closed = {line.partition(" cannot be read: ")[0] for line in warned}
    assert closed == {stream.permission for stream in STREAMS if stream is not IpAddresses} - {scope}
    for line in warned:
        name, _, why = line.partition(" cannot be read: ")
        assert why.startswith(f"Customer.io did not accept the key for {name} (status 401), although it did for other")


def test_a_key_of_the_other_region_with_a_narrow_scope_names_the_region_too(
    workspace: Workspace, europe: CustomerioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_customerio.config.HOSTS", {"US": workspace.simulator.url, "EU": europe.url})
    open_only(europe, "segments")
    assert workspace.check({"app_api_key": europe.api_key, "region": "US"}) == (
        "FAILED",
        "The key belongs to an account in the region EU, not US. Choose EU as the region.",
    )


@pytest.mark.slow
def test_a_page_of_a_proxy_fails_with_a_sentence(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("html", path="/v1/", times=-1))
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert "something that is not JSON" in found[1]


@pytest.mark.slow
def test_a_server_that_is_not_there_fails_with_a_sentence(workspace: Workspace) -> None:
    found = workspace.check(workspace.config(api_url="http://127.0.0.1:9"))
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert found[1].startswith("The connection to Customer.io could not be made or broke")
