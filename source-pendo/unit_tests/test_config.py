"""The options: each mistake has one sentence that names the option."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from pendo_reader import Subscription
from source_pendo.config import HOSTS, Config

WRONG: list[tuple[str, Any]] = [
    ("api_key", " "),
    ("api_key", None),
    ("api_key", 5),
    ("api_key", "two words"),
    ("api_key", "line\nbreak"),
    ("api_key", "schlüssel"),
    ("region", "MARS"),
    ("region", ["US"]),
    ("api_url", "app.pendo.io"),
    ("api_url", "ftp://app.pendo.io"),
    ("api_url", "https://user:password@app.pendo.io"),
    ("api_url", "https://app.pendo.io?x=1"),
    ("api_url", 7),
    ("start_date", "yesterday"),
    ("start_date", "2026-02-30T00:00:00Z"),
    ("start_date", 20260301),
    ("period", "week"),
    ("period", True),
    ("lookback_window", -1),
    ("lookback_window", 366),
    ("lookback_window", "ten"),
    ("lookback_window", 1.5),
    ("lookback_window", True),
    ("app_ids", "-323232"),
    ("app_ids", ["all"]),
    ("app_ids", [-323232]),
    ("app_ids", [""]),
    ("include_anonymous_visitors", "true"),
    ("include_anonymous_visitors", 1),
    ("record_limit", 0),
    ("record_limit", 200_001),
    ("request_timeout", 0),
    ("request_timeout", "300"),
    ("num_workers", 0),
    ("num_workers", 21),
    ("detect_deletions", "true"),
    ("report_ids", "GtYq1yZ9lO3uJ0aC5sX7bN2mK8e"),
    ("report_ids", ["https://app.pendo.io/report/a"]),
    ("segment_ids", [5]),
    ("segment_ids", [""]),
]


@pytest.mark.parametrize(("option", "value"), WRONG)
def test_a_wrong_option_is_named_in_one_sentence(option: str, value: Any) -> None:
    """Nothing is guessed from texts, numbers or blanks."""
    with pytest.raises(AirbyteTracedException) as caught:
        Config.parse({"api_key": "k", option: value})
    message = caught.value.message or ""
    assert message.startswith(f"Option {option} ")
    assert message.endswith(".")
    assert "\n" not in message
    assert caught.value.failure_type is FailureType.config_error


@pytest.mark.parametrize(("option", "value"), [("region", "MARS"), ("start_date", "yesterday"), ("app_ids", ["all"])])
def test_a_wrong_option_fails_the_check_before_anything_is_asked(pendo: Subscription, option: str, value: Any) -> None:
    """And a read, too."""
    succeeded, sentence = pendo.check(**{option: value})
    assert not succeeded
    assert sentence.startswith(f"Option {option} must be ")
    assert len(list(pendo.sim.requests)) == 0


@pytest.mark.parametrize("empty", [None, ""])
def test_an_option_that_was_left_empty_is_its_default(empty: Any) -> None:
    """The platform sends empty options as absent, null or empty texts."""
    given = {option: empty for option, _ in WRONG if option not in ("api_key", "app_ids")}
    config = Config.parse({"api_key": "k"} | given)
    assert config == Config(api_key="k")
    assert config.base_url == "https://app.pendo.io/api/v1"


def test_the_defaults_are_those_of_the_documentation() -> None:
    """A changed default changes every connection."""
    config = Config.parse({"api_key": "k"})
    assert (config.region, config.period, config.lookback_days) == ("US", "day", 10)
    assert (config.record_limit, config.request_timeout, config.num_workers) == (50_000, 300, 4)
    assert (config.app_ids, config.include_anonymous_visitors, config.start_date) == ((), False, None)


def test_blanks_around_a_pasted_key_are_dropped(pendo: Subscription) -> None:
    """They come along when a user copies the value."""
    assert pendo.check(api_key=f" {pendo.sim.api_key}\n") == (True, "")


@pytest.mark.parametrize(("region", "host"), HOSTS.items())
def test_each_region_has_its_host(region: str, host: str) -> None:
    """Five data centers."""
    assert Config.parse({"api_key": "k", "region": region}).base_url == f"{host}/api/v1"


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example/", "https://a.example/api/v1", " https://a.example/api/v1/ "]
)
def test_the_path_of_the_interface_is_appended_once(url: str) -> None:
    """Users paste both forms."""
    assert Config.parse({"api_key": "k", "api_url": url}).base_url == "https://a.example/api/v1"


@pytest.mark.parametrize(
    "text", ["2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999Z", "2026-03-01T00:00:00+09:00"]
)
def test_the_start_date_is_the_day_that_is_written(text: str) -> None:
    """It is a day of the subscription's calendar, whose time zone only Pendo knows."""
    assert Config.parse({"api_key": "k", "start_date": text}).start_date == date(2026, 3, 1)


@pytest.mark.parametrize("end", ["2026-02-01T00:00:00Z", "2026-03-01T23:00:00Z"])
def test_an_end_date_that_leaves_no_day_fails_the_check(pendo: Subscription, end: str) -> None:
    succeeded, message = pendo.check(start_date="2026-03-01T00:00:00Z", end_date=end)
    assert not succeeded
    assert "Option end_date must be a later day than start_date" in message


def test_applications_are_trimmed_and_named_once() -> None:
    """Ids have up to nineteen digits and may be negative."""
    config = Config.parse({"api_key": "k", "app_ids": [" -323232", "6304859583021056", "-323232"]})
    assert config.app_ids == ("-323232", "6304859583021056")


@pytest.mark.slow
def test_a_suffix_of_the_key_that_contradicts_the_region_is_only_a_warning(
    pendo: Subscription, caplog: pytest.LogCaptureFixture
) -> None:
    """What keys of three regions end in is not known."""
    pendo.sim.api_key = "abc.eu"
    assert pendo.check(api_key="abc.eu") == (True, "")
    assert "ends in .eu, the region is US" in caplog.text
