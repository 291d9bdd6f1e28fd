"""Options: defaults, and the sentence for each one that is wrong."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from heap_world import KEYS, Heap, run
from jsonschema import Draft7Validator
from source_heap import SourceHeap
from source_heap.config import HeapConfig, KeyMode, ResyncMode
from source_kit.s3.options import DefaultCredentials, KeyCredentials, RoleCredentials
from source_kit.source import Source

CREDENTIALS = "Option credentials must be an object whose auth_type is one of default, role, keys."
ROLE = {"auth_type": "role", "account_id": "1234-5678-9012", "role_name": "heap-reader", "external_id": "x"}


def test_a_bucket_is_enough() -> None:
    config = HeapConfig.parse({"bucket": " heap-rs3-acme "})
    assert config == HeapConfig(
        bucket="heap-rs3-acme",
        credentials=DefaultCredentials(),
        region=None,
        endpoint_url=None,
        start_date=None,
        key_mode=KeyMode.STITCH,
        timestamp_mode="normalized",
        resync_mode=ResyncMode.GENERATION,
        on_missing_file="fail",
        num_workers=2,
    )
    assert (config.normalize_times, config.skip_missing_files) == (True, False)


def test_a_roles_arn_is_composed_without_the_consoles_hyphens() -> None:
    credentials = HeapConfig.parse({"bucket": "heap", "credentials": ROLE}).credentials
    assert isinstance(credentials, RoleCredentials)
    assert (credentials.arn, credentials.external_id) == ("arn:aws:iam::123456789012:role/heap-reader", "x")


@pytest.mark.parametrize("others", [{}, {"account_id": "not used", "role_name": "not used"}])
def test_a_roles_arn_is_taken_as_it_is(others: dict[str, str]) -> None:
    arn = "arn:aws-us-gov:iam::123456789012:role/path/heap-reader"
    credentials = {"auth_type": "role", "external_id": "x", "role_arn": arn, **others}
    parsed = HeapConfig.parse({"bucket": "heap", "credentials": credentials}).credentials
    assert isinstance(parsed, RoleCredentials)
    assert (parsed.arn, parsed.external_id) == (arn, "x")


@pytest.mark.parametrize("name", ["heap-reader", "role/heap-reader", "/heap-reader", "role//heap-reader"])
def test_a_roles_name_may_come_with_what_stands_before_it_in_the_arn(name: str) -> None:
    credentials = HeapConfig.parse({"bucket": "heap", "credentials": {**ROLE, "role_name": name}}).credentials
    assert isinstance(credentials, RoleCredentials)
    assert credentials.arn == "arn:aws:iam::123456789012:role/heap-reader"


def test_keys_never_show_in_a_repr() -> None:
    credentials = HeapConfig.parse({"bucket": "heap", "credentials": KEYS}).credentials
    assert isinstance(credentials, KeyCredentials)
    assert repr(credentials) == "KeyCredentials()"


def test_a_start_date_without_a_zone_is_utc() -> None:
    config = HeapConfig.parse({"bucket": "heap", "start_date": "2024-05-01"})
    assert config.start_date == datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bucket": ""}, "Option bucket is missing"),
        (
            {"bucket": "s3://heap/x"},
            "Option bucket must be the name of the S3 bucket that Heap writes to, without s3://",
        ),
        ({"bucket": 5}, "Option bucket must be the name of the S3 bucket"),
        ({"region": 5}, "Option region must be text."),
        ({"endpoint_url": "s3.example.com"}, "Option endpoint_url must be an http:// or https:// address such as"),
        ({"start_date": "yesterday"}, "Option start_date must be a date, or a date and time such as 2026-"),
        ({"start_date": "0001-01-01T00:00:00+14:00"}, "Option start_date must be a date"),
        ({"primary_key_mode": "x"}, "Option primary_key_mode must be one of stitch, heap."),
        ({"timestamp_mode": "x"}, "Option timestamp_mode must be one of normalized, raw."),
        ({"resync_mode": "x"}, "Option resync_mode must be one of generation, tombstones, fail."),
        ({"on_missing_file": "x"}, "Option on_missing_file must be one of fail, skip."),
        ({"num_workers": 0}, "Option num_workers must be a whole number from 1 to 16."),
        ({"num_workers": True}, "Option num_workers must be a whole number from 1 to 16."),
        ({"credentials": {}, "bucket": ""}, "Option bucket is missing"),
        ({"credentials": {"auth_type": "x"}}, CREDENTIALS),
        ({"credentials": "x"}, CREDENTIALS),
        ({"credentials": {"auth_type": "keys", "aws_access_key_id": "A"}}, "Option aws_secret_access_key is missing"),
        ({"credentials": {"auth_type": "keys", "aws_secret_access_key": "A"}}, "Option aws_access_key_id is missing"),
        ({"credentials": {**ROLE, "external_id": ""}}, "Option external_id is missing"),
        ({"credentials": {**ROLE, "account_id": "12345"}}, "Option account_id must be the 12 digits"),
        ({"credentials": {**ROLE, "account_id": None}}, "Option account_id is missing: enter the 12 digits"),
        ({"credentials": {**ROLE, "role_name": "a b"}}, "Option role_name must be the name of an IAM role"),
        ({"credentials": {**ROLE, "role_name": "role/"}}, "Option role_name must be the name of an IAM role"),
        ({"credentials": {**ROLE, "role_name": ""}}, "Option role_name is missing: enter the name of an IAM role"),
        ({"credentials": {**ROLE, "role_arn": "arn:aws:s3:::x"}}, "Option role_arn must be the ARN of a role"),
    ],
)
def test_a_wrong_option_is_named_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AirbyteTracedException) as caught:
        HeapConfig.parse({"bucket": "heap-rs3-acme", **options})
    assert caught.value.message is not None
    assert caught.value.message.startswith(sentence)


@pytest.mark.parametrize("option", ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"])
@pytest.mark.parametrize("inside", [" ", "\n", "\x00", "\u00a0"])
def test_a_key_that_was_copied_badly_is_named_without_its_value(option: str, inside: str) -> None:
    credentials = {**KEYS, option: f"FIRST{inside}SECOND"}
    with pytest.raises(AirbyteTracedException) as caught:
        HeapConfig.parse({"bucket": "heap", "credentials": credentials})
    assert f"{caught.value.message}".startswith(
        f"Option {option} must be text without spaces, line breaks or unusual characters: enter the "
    )
    assert "FIRST" not in f"{caught.value.message} {caught.value.internal_message}"


def test_check_says_what_is_wrong_and_exits_with_zero() -> None:
    output = run("check", config={"bucket": "heap", "credentials": {**ROLE, "account_id": "12345"}})
    assert output.code == 0
    assert output.connection_status["status"] == "FAILED"
    assert output.connection_status["message"].startswith("Option account_id must be the 12 digits")


@pytest.mark.parametrize(
    ("option", "values"),
    [
        (
            "start_date",
            [
                *("2025-01-01", "2025-01-01T00:00:00", "2025-01-01T00:00:00Z", "2025-01-01 00:00", " 2025-01-01 "),
                *("2025-01-01T00:00:00.123456789+05:30", "2025-01-01T00:00:00+0530", "20250101", "2025-01-01T00"),
                *("2025-W01-1", "2025-01-01x00:00:00", "2025-13-01", "1735689600"),
            ],
        ),
        ("bucket", ["heap-rs3-acme", " heap-rs3-acme ", "s3://heap", "a", "heap rs3"]),
        ("num_workers", [1, 16, 0, 17, "2"]),
        ("timestamp_mode", ["normalized", "raw", "x"]),
        ("primary_key_mode", ["heap", "stitch", "x"]),
        ("resync_mode", ["fail", "tombstones", "x"]),
    ],
)
def test_what_the_options_take_the_specification_takes(option: str, values: list[Any]) -> None:
    """It may be looser: what it lets pass, a sentence of the connector's own refuses."""
    spec = Source.spec(SourceHeap(), logging.getLogger("airbyte")).connectionSpecification
    taken = 0
    for value in values:
        options = {"bucket": "heap-rs3-acme", option: value}
        try:
            HeapConfig.parse(options)
        except AirbyteTracedException:
            continue
        taken += 1
        assert Draft7Validator(spec).is_valid(options), value
    assert 0 < taken < len(values)


def test_an_account_may_come_as_a_number(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    role = {"auth_type": "role", "account_id": 12345678901, "role_name": "r", "external_id": "some"}
    message = heap.check(credentials=role)["message"]
    assert "arn:aws:iam::012345678901:role/r" in message


@pytest.mark.parametrize("address", ["https://user:word@s3.example.com", "http://user@127.0.0.1:9000"])
def test_an_address_with_a_name_or_password_is_refused_without_showing_it(address: str, heap: Heap) -> None:
    output = run("check", config=heap.config(endpoint_url=address))
    message = output.connection_status["message"]
    assert message.startswith("Option endpoint_url must be an http:// or https:// address")
    assert "without user name, password" in message
    assert "word@" not in output.text
