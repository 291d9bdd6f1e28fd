"""What is wrong with the network is reported by check and by every stream, at once."""

from __future__ import annotations

import pytest
from pendo_reader import Subscription

SENTENCE = "'pendo..example' in api_url cannot be the name of a host"
WARNING = "api_url begins with http://, so the key and rows travel unencrypted between here and pendo..example"


def test_an_address_that_cannot_be_one_is_said_at_once_and_open_http_is_warned_of(
    pendo: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    succeeded, message = pendo.check(api_url="http://pendo..example")
    assert (succeeded, message[: len(SENTENCE)]) == (False, SENTENCE)
    assert WARNING in caplog.text

    synced = pendo.read("pages", "features", api_url="http://pendo..example")
    assert [synced.failures[name].message for name in ("pages", "features")] == [message, message]
    assert synced.logged(WARNING)
    assert not any("trying again" in line for line in synced.logs)


def test_an_address_on_this_machine_is_not_warned_of(pendo: Subscription) -> None:
    assert not pendo.read("pages").logged("unencrypted")
