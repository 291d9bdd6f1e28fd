"""Options: what is taken, what is refused, and the sentence for it."""

from __future__ import annotations

from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_customerio.config import Config


def test_a_configuration_of_airbytes_own_connector_works_unchanged() -> None:
    config = Config.parse({"app_api_key": "key", "region": "EU", "start_date": "2023-01-01T00:00:00Z"})
    assert config.base_url == "https://api-eu.customer.io/v1"
    assert config.start == 1_672_531_200
    assert (config.messages_lookback_days, config.num_workers, config.esp_suppression_domains) == (30, 3, ())


def test_the_key_alone_is_enough() -> None:
    config = Config.parse({"app_api_key": "key"})
    assert config.base_url == "https://api.customer.io/v1"
    assert config.start is None


def test_white_space_around_a_pasted_key_is_dropped() -> None:
    assert Config.parse({"app_api_key": " key\n"}).app_api_key == "key"


def test_the_key_does_not_show_in_the_representation() -> None:
    assert "hush" not in repr(Config.parse({"app_api_key": "hush"}))


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8102", "http://127.0.0.1:8102/v1"),
        ("https://proxy.example.com/customerio/", "https://proxy.example.com/customerio/v1"),
        ("https://proxy.example.com/v1", "https://proxy.example.com/v1"),
    ],
)
def test_api_url_replaces_the_host_and_gets_the_version(url: str, base: str) -> None:
    config = Config.parse({"app_api_key": "key", "api_url": url})
    assert config.base_url == base
    assert config.other_region is None


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("0001-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("2100-01-01T00:00:00Z", 4_102_444_800),
        ("9999-12-31T23:59:59-12:00", 253_402_343_999),
        ("2024-02-29T12:00:00+02:00", 1_709_200_800),
        ("2024-01-01T00:00:00.250Z", 1_704_067_201),
    ],
)
def test_a_start_date_of_any_year_becomes_a_second_that_the_server_takes(text: str, start: int) -> None:
    """Years before 1970 would be negative, and year 1 would overflow."""
    assert Config.parse({"app_api_key": "key", "start_date": text}).start == start


KEY = "text without spaces, line breaks or unusual characters: enter an App API key; Customer.io shows a key only once"
ADDRESS = "an http:// or https:// address such as https://customerio-proxy.example.com, without user name, password"
DATE = "a date, or a date and time such as 2026-01-01T00:00:00Z."
DOMAINS = 'a list of host names in lower case, each once, such as ["mail.example.com"].'


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("app_api_key", "two words", KEY),
        ("app_api_key", "kéy", KEY),
        ("region", "APAC", "one of US, EU."),
        ("start_date", "yesterday", DATE),
        ("start_date", "2024-02-30T00:00:00Z", DATE),
        ("messages_lookback_days", 0, "a whole number from 1 to 180."),
        ("messages_lookback_days", 181, "a whole number from 1 to 180."),
        ("messages_lookback_days", True, "a whole number from 1 to 180."),
        ("end_date", "next month", DATE),
        ("requests_per_second", 0, "a whole number from 1 to 10."),
        ("requests_per_second", 11, "a whole number from 1 to 10."),
        ("num_workers", 2.5, "a whole number from 1 to 10."),
        ("api_url", "proxy.example.com", ADDRESS),
        ("api_url", "https://[::1", ADDRESS),
        ("api_url", "https://proxy.example.com/#top", ADDRESS),
        ("api_url", "https://proxy.example.com?", ADDRESS),
        ("api_url", "https://me:secret@proxy.example.com", ADDRESS),
        ("esp_suppression_domains", "mail.example.com", DOMAINS),
        ("esp_suppression_domains", ["Mail.Example.com"], DOMAINS),
        ("esp_suppression_domains", ["a.example", "a.example"], DOMAINS),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence_that_names_the_fix(option: str, value: Any, expected: str) -> None:
    """An upper-case or mistyped domain among them: the server's answer would be an empty list without an error."""
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse({"app_api_key": "key", option: value})
    assert str(caught.value.message).startswith(f"Option {option} must be {expected}")
    assert caught.value.failure_type is not None
    assert caught.value.failure_type.value == "config_error"


def test_a_missing_key_is_asked_for() -> None:
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse({"app_api_key": "  "})
    assert str(caught.value.message).startswith("Option app_api_key is missing: enter an App API key;")


@pytest.mark.parametrize("end", ["2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00"])
def test_an_end_date_that_leaves_no_second_is_refused(end: str) -> None:
    """A part that reads nothing would look like one that was read."""
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse({"app_api_key": "key", "start_date": "2026-01-01T00:00:00Z", "end_date": end})
    assert str(caught.value.message) == (
        "Option end_date must be later than start_date, because it is the first moment that is not read: enter a later "
        "end_date or an earlier start_date."
    )


def test_parts_that_meet_within_a_second_share_no_second_and_leave_none_out() -> None:
    moment = "2026-01-01T00:00:00.250Z"
    earlier = Config.parse({"app_api_key": "key", "end_date": moment})
    later = Config.parse({"app_api_key": "key", "start_date": moment})
    assert earlier.end == later.start
