"""Whether a configuration works, told before the first sync."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from simulators.customerio import TRACK_KEY, CustomerioSimulator, Options
from simulators.server import Fault

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


def test_a_good_key_succeeds_within_five_seconds(workspace: Workspace, real_pace: None) -> None:
    began = time.monotonic()
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("key", ["cio-no-such-key", TRACK_KEY])
def test_a_wrong_key_and_a_track_key_get_the_three_causes(workspace: Workspace, key: str) -> None:
    """Hazard 12."""
    assert workspace.check(workspace.config(app_api_key=key)) == ("FAILED", MISTYPED)


def test_a_key_of_the_other_region_is_told_which_region_it_is_of(
    workspace: Workspace, europe: CustomerioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hazard 12: the vendor answers 401 in both cases; a probe of the other region tells them apart."""
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
    messages = workspace.run("check", workspace.config())
    logs = [message["log"]["message"] for message in messages if message["type"] == "LOG"]
    assert any("denied the key access to deliveries" in line for line in logs)
    assert any("denied the key access to activities" in line for line in logs)
    assert workspace.check(workspace.config()) == ("SUCCEEDED", None)


def test_a_key_that_opens_nothing_fails(workspace: Workspace) -> None:
    workspace.simulator.options.forbidden = ["/.*"]
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert found[1].startswith("Customer.io denied the key access to everything (status 403).")


def test_a_page_of_a_proxy_fails_with_a_sentence(workspace: Workspace) -> None:
    workspace.simulator.faults.add(Fault("html", path="/v1/", times=-1))
    found = workspace.check(workspace.config())
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert "something that is not JSON" in found[1]


def test_a_server_that_is_not_there_fails_with_a_sentence(workspace: Workspace) -> None:
    found = workspace.check(workspace.config(api_url="http://127.0.0.1:9"))
    assert found[0] == "FAILED"
    assert found[1] is not None
    assert found[1].startswith("The connection to Customer.io could not be made or broke")
