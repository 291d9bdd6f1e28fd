"""A key of the other region, whichever way the vendor refuses it, is a sentence that names the region to choose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from simulators.customerio import CustomerioSimulator, Options
from simulators.server import Fault

if TYPE_CHECKING:
    from conftest import Workspace

CHOOSE_EU = "The key belongs to an account in the region EU, not US. Choose EU as the region."
WRONG_DATACENTER = json.dumps({"errors": [{"detail": "wrong datacenter", "status": "301"}]})
FORMS = [
    (301, WRONG_DATACENTER, True),
    (301, WRONG_DATACENTER, False),
    (301, "", True),
    (307, "<html>Temporary Redirect</html>", True),
    (308, "{}", True),
]


@pytest.fixture
def europe(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[CustomerioSimulator]:
    """The other data center, under a host name of its own."""
    with CustomerioSimulator(region="EU", options=Options(rate_limit=None)) as running:
        hosts = {"US": workspace.simulator.url, "EU": running.url.replace("127.0.0.1", "localhost")}
        monkeypatch.setattr("source_customerio.config.HOSTS", hosts)
        yield running


def redirect(workspace: Workspace, europe: CustomerioSimulator, status: int, body: str, location: bool) -> None:
    target = europe.url.replace("127.0.0.1", "localhost") + "/v1/campaigns?token=hidden"
    headers = {"Location": target} if location else {}
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=status, answer=body, headers=headers, times=-1))


@pytest.mark.parametrize(("status", "body", "location"), FORMS)
def test_check_names_the_region_behind_a_redirect(
    workspace: Workspace, europe: CustomerioSimulator, status: int, body: str, location: bool
) -> None:
    redirect(workspace, europe, status, body, location)
    assert workspace.check({"app_api_key": europe.api_key, "region": "US"}) == ("FAILED", CHOOSE_EU)
    assert len(europe.requests) == 0, "the key does not travel with a redirect"


@pytest.mark.parametrize(("status", "body", "location"), FORMS)
def test_a_read_says_the_same(
    workspace: Workspace, europe: CustomerioSimulator, status: int, body: str, location: bool
) -> None:
    redirect(workspace, europe, status, body, location)
    synced = workspace.sync("campaigns", "campaign_actions", api_url=None, app_api_key=europe.api_key)
    for name in ("campaigns", "campaign_actions"):
        assert synced.failures[name].message == CHOOSE_EU
        assert synced.failures[name].failure_type == "config_error"
        assert "hidden" not in synced.failures[name].internal_message


def test_a_redirect_to_anywhere_else_says_nothing_of_regions(workspace: Workspace, europe: CustomerioSimulator) -> None:
    headers = {"Location": "https://sign-on.example.com/?secret=1"}
    workspace.simulator.faults.add(Fault("status", path="/v1/", status=302, headers=headers, times=-1))
    failure = workspace.sync("campaigns", api_url=None).failures["campaigns"]
    assert failure.message.startswith("Customer.io redirected the request to another address")
    assert "redirected to sign-on.example.com" in failure.internal_message
    assert "secret" not in failure.internal_message


def test_behind_an_address_of_ones_own_the_sentence_names_api_url(workspace: Workspace) -> None:
    wrong = Fault("status", path="/v1/", status=301, answer=WRONG_DATACENTER, times=-1)
    workspace.simulator.faults.add(wrong)
    assert workspace.check(workspace.config()) == (
        "FAILED",
        "The key belongs to an account in the other region than the one that api_url leads to. Enter the address of "
        "the account's region in api_url, or leave it empty and choose the region (US or EU).",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"region": "us"},
        {"region": " US "},
        {"start_date": "2025-01-01T00:00:00"},
        {"start_date": "2025-01-01"},
        {"start_date": "2025-01-01 00:00"},
        {"start_date": " 2025-01-01t00:00:00.5z "},
        {"start_date": "20250101"},
        {"app_api_key": None},
    ],
)
def test_every_form_of_an_option_that_is_understood_is_accepted(workspace: Workspace, options: dict[str, Any]) -> None:
    """Forms and scripts write them in many ways; what the connector understands the specification does not refuse."""
    padded = {"app_api_key": f" {workspace.simulator.api_key}\n", "api_url": f" {workspace.simulator.url}/v1/ "}
    config = {**padded, **{name: value for name, value in options.items() if value is not None}}
    assert workspace.check(config) == ("SUCCEEDED", None)
    assert workspace.run("discover", config).streams


@pytest.mark.parametrize(
    ("options", "form"),
    [
        ({"region": "AU"}, "US, EU"),
        ({"start_date": "yesterday"}, "2026-01-01T00:00:00Z"),
        ({"messages_lookback_days": "many"}, "1 to 180"),
        ({"num_workers": 11}, "1 to 10"),
        ({"esp_suppression_domains": ["Mail.example.com"]}, "mail.example.com"),
        ({"api_url": "customerio"}, "https://customerio-proxy.example.com"),
    ],
)
def test_a_refused_option_lists_what_is_allowed(workspace: Workspace, options: dict[str, Any], form: str) -> None:
    status, message = workspace.check(workspace.config(**options))
    assert status == "FAILED"
    assert form in str(message)
