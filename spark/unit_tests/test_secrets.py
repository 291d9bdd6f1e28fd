"""Which secrets are masked, found in options as Spark has them and in configurations."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.secrets import SECRET_OPTIONS, hide_options, mask_secrets, secrets_in
from source_customerio.config import Config as CustomerioConfig
from source_heap.config import HeapConfig
from source_kit.options import Options
from source_kit.secrets import mask
from source_pendo.config import Config as PendoConfig

ACCESS_KEY = {"aws_access_key_id": "AKIAHUSH", "aws_secret_access_key": "hush+/=key", "aws_session_token": "hush-token"}


def declared_secrets(options: type[Options]) -> Iterator[str]:
    """The names of all options that a connector declares as secrets, those within groups too."""
    for name, (_, option) in options.declared().items():
        if option.spec.get("airbyte_secret"):
            yield name
        for group in option.groups.values():
            yield from declared_secrets(group)


def test_every_option_that_a_connector_declares_as_secret_is_one_here() -> None:
    declared = {name for options in (PendoConfig, CustomerioConfig, HeapConfig) for name in declared_secrets(options)}
    assert declared == SECRET_OPTIONS


@pytest.mark.parametrize(
    ("options", "secrets"),
    [
        ({"bucket": "acme", **ACCESS_KEY}, {"AKIAHUSH", "hush+/=key", "hush-token"}),
        ({"APP_API_KEY": " hush\n"}, {"hush"}),
        ({"config": json.dumps({"credentials": {"auth_type": "keys", **ACCESS_KEY}})}, set(ACCESS_KEY.values())),
        ({"config": json.dumps({"webhook_store": {"type": "inlet", "token": "hush"}})}, {"hush"}),
        ({"config": '{"api_key": "hush"'}, set()),
        ({"table": "api_key", "config": "[1]"}, set()),
    ],
)
def test_secrets_are_found_in_options_and_within_config(options: dict[str, str], secrets: set[str]) -> None:
    """Also before the options are checked, since an error may be what the check finds."""
    assert set(secrets_in(options)) == secrets


def test_secrets_are_found_in_what_a_reader_carries_to_an_executor() -> None:
    load = HeapLoad.of({"bucket": "acme-dumps", "table": "users", **ACCESS_KEY})
    assert set(secrets_in(load)) == set(ACCESS_KEY.values())


def test_what_one_load_masked_stays_masked_for_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """A worker of Spark serves several loads."""
    mask_secrets({"api_key": "the-first-hush"})
    mask_secrets({"api_key": "the-second-hush"})
    assert "hush" not in mask("the-first-hush the-second-hush")
    logging.getLogger("airbyte.streams.any").warning("The answer was %s", "the-first-hush")
    assert caplog.messages == ["The answer was ****"]


class Settings(dict[str, str]):
    """The settings of a session."""

    set = dict.__setitem__


class Session:
    """A session with these settings."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.conf: Any = Settings(settings)


def test_options_that_may_hold_a_key_join_those_that_spark_hides() -> None:
    """The setting that the user made keeps its effect, and a second registration changes nothing."""
    session = Session({"spark.sql.redaction.options.regex": "(?i)url"})
    hide_options(session)
    hide_options(session)
    assert session.conf == {
        "spark.sql.redaction.options.regex": "(?i)url|(?i)^(api_key|app_api_key|aws_access_key_id|config)$"
    }
