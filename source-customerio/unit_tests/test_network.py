"""What is wrong on the way to Customer.io is said by check and by every stream, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace


def test_an_address_that_cannot_be_one_is_said_at_once_and_open_http_is_warned_of(workspace: Workspace) -> None:
    config = workspace.config(api_url="http://api..example")
    output = workspace.run("check", config)
    status = output.connection_status
    assert status["status"] == "FAILED"
    assert status["message"].startswith("'api..example' in api_url cannot be the name of a host")
    warning = "api_url begins with http://, so the key and rows travel unencrypted between here and api..example"
    assert output.logged(warning)

    synced = workspace.sync("campaigns", "segments", api_url="http://api..example")
    assert {failure.message for failure in synced.failures.values()} == {status["message"]}
    assert len(synced.logged("travel unencrypted")) == 1


def test_an_address_on_this_machine_is_not_warned_of(workspace: Workspace) -> None:
    assert not workspace.sync("workspaces").logged("unencrypted")
