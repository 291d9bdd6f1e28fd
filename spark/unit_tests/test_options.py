"""Options of a load: split, typed, and refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from product_analytics_spark.heap.options import HeapLoad
from product_analytics_spark.options import load_options
from source_customerio.config import Config as CustomerioConfig
from source_kit.s3.options import DefaultCredentials, KeyCredentials
from source_pendo.config import Config as PendoConfig

KEYS = {"aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}


def heap(**options: str) -> HeapLoad:
    return HeapLoad.of({"bucket": "heap-acme", "table": "users", **options})


def refusal(**options: str) -> str:
    """The sentence that refuses the options of a load of Heap."""
    with pytest.raises(AirbyteTracedException) as refused:
        heap(**options)
    return str(refused.value.message)


def test_names_are_the_same_in_upper_and_lower_case() -> None:
    load = heap(START_DATE="2024-05-01", On_Missing_File="skip", maxfilespertrigger="5", FILES_PER_PARTITION="3")
    assert load.config.skip_missing_files
    assert load.config.start_date is not None
    assert (load.max_files, load.files_per_partition) == (5, 3)


def test_texts_become_what_the_connector_declares() -> None:
    given = {"path": "visitors", "num_workers": "3", "detect_deletions": "True", "app_ids": "1, 2", "api_key": "007"}
    options = load_options(given, PendoConfig.declared(), ())
    assert options.table == "visitors"
    assert options.connector == {"num_workers": 3, "detect_deletions": True, "app_ids": ["1", "2"], "api_key": "007"}
    listed = load_options({"table": "people", "esp_suppression_domains": '["a.org"]'}, CustomerioConfig.declared(), ())
    assert listed.connector == {"esp_suppression_domains": ["a.org"]}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_workers": "three"}, "Option num_workers must be a whole number from 1 to 16."),
        ({"num_workers": "--5"}, "Option num_workers must be a whole number from 1 to 16."),
        ({"num_workers": "²"}, "Option num_workers must be a whole number from 1 to 16."),
        ({"detect": "1"}, "Option detect is not known. The options are: aws_access_key_id,"),
        ({"config": '{"detect": 1}'}, "Option detect within config is not known. The options are: bucket,"),
        ({"resync_mode": "fail"}, "Option resync_mode is not for Spark"),
        ({"config": '{"resync_mode": "fail"}'}, "Option resync_mode is not for Spark"),
        ({"credentials": "{}"}, "Option credentials is an object: write it into the option config."),
        ({"config": '{"bucket": "other"}'}, "Option bucket is given twice, within config and by itself"),
        ({"path": "sessions"}, "Option table is users and load() names sessions: name the table once."),
        ({"table": " "}, "Option table is missing"),
        ({"files_per_partition": "0"}, "Option files_per_partition must be a whole number of 1 or more."),
        ({"maxFilesPerTrigger": "many"}, "Option maxFilesPerTrigger must be a whole number of 1 or more."),
        ({"columns": "[1]"}, "Option columns must be names with commas between them, or a JSON array."),
        ({"columns": '["a'}, "Option columns must be names with commas between them, or a JSON array."),
        ({"aws_access_key_id": "AKIA"}, "Option aws_secret_access_key is missing"),
        ({**KEYS, "config": '{"credentials": {}}'}, "Option aws_access_key_id and credentials within config"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(options: Mapping[str, str], sentence: str) -> None:
    assert refusal(**options).startswith(sentence)


@pytest.mark.parametrize("text", ['{"credentials": {"aws_secret_access_key": "hunter2"', "hunter2", '["hunter2"]', "1"])
def test_a_config_that_is_no_json_object_is_not_shown(text: str) -> None:
    with pytest.raises(AirbyteTracedException) as refused:
        heap(config=text)
    assert str(refused.value.message).startswith("Option config is not a JSON object")
    assert "hunter2" not in repr(refused.value.__dict__)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_credentials_come_from_options_or_from_config_or_from_the_environment() -> None:
    by_options = heap(**KEYS, aws_session_token="made-up-token").config.credentials
    by_config = heap(
        config='{"credentials": {"auth_type": "keys", "aws_access_key_id": "a", "aws_secret_access_key": "b"}}'
    )
    assert by_options == KeyCredentials(
        access_key_id=KEYS["aws_access_key_id"],
        secret_access_key=KEYS["aws_secret_access_key"],
        session_token="made-up-token",
    )
    assert by_config.config.credentials == KeyCredentials(access_key_id="a", secret_access_key="b")
    assert heap().config.credentials == DefaultCredentials()


def test_config_carries_the_rest() -> None:
    load = heap(config='{"timestamp_mode": "raw", "num_workers": 3}')
    assert (load.config.timestamp_mode, load.config.num_workers) == ("raw", 3)


@pytest.mark.parametrize("columns", ["user_id,email", " user_id , email,", '["user_id", "email", "email"]'])
def test_columns_are_a_list(columns: Any) -> None:
    assert heap(columns=columns).columns == ("user_id", "email")
