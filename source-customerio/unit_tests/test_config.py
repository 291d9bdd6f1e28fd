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
    """Years before 1970 would be negative and year 1 would overflow."""
    assert Config.parse({"app_api_key": "key", "start_date": text}).start == start


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"app_api_key": "  "}, "app_api_key is empty. Enter an App API key from"),
        ({"app_api_key": "two words"}, "app_api_key has characters that no key has."),
        ({"app_api_key": "kéy"}, "app_api_key has characters that no key has."),
        ({"region": "APAC"}, "region must be one of US, EU, not 'APAC'."),
        ({"start_date": "yesterday"}, "start_date 'yesterday' is not a date and time. Enter one such as"),
        ({"start_date": "2024-02-30T00:00:00Z"}, "start_date '2024-02-30T00:00:00Z' is not a date and time."),
        ({"messages_lookback_days": 0}, "messages_lookback_days must be a whole number from 1 to 180, not 0."),
        ({"messages_lookback_days": 181}, "messages_lookback_days must be a whole number from 1 to 180, not 181."),
        ({"messages_lookback_days": True}, "messages_lookback_days must be a whole number from 1 to 180, not True."),
        ({"num_workers": 2.5}, "num_workers must be a whole number from 1 to 10, not 2.5."),
        ({"api_url": "proxy.example.com"}, "api_url is not an address."),
        ({"api_url": "https://[::1"}, "api_url is not an address."),
        ({"api_url": "https://proxy.example.com/#top"}, "api_url is not an address."),
        ({"api_url": "https://proxy.example.com?"}, "api_url is not an address."),
        ({"api_url": "https://me:secret@proxy.example.com"}, "api_url carries a user name or password."),
        ({"esp_suppression_domains": "mail.example.com"}, "esp_suppression_domains must be a list of host names"),
        ({"esp_suppression_domains": ["Mail.Example.com"]}, "esp_suppression_domains has 'Mail.Example.com', which is"),
        ({"esp_suppression_domains": ["a.example", "a.example"]}, "esp_suppression_domains names a domain twice."),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence_that_names_the_fix(option: dict[str, Any], sentence: str) -> None:
    """An upper-case or mistyped domain, for example, would be an empty list without an error."""
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse({"app_api_key": "key", **option})
    assert str(caught.value.message).startswith(sentence)
    assert caught.value.failure_type is not None
    assert caught.value.failure_type.value == "config_error"
