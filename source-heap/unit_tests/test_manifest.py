"""Manifests: what is accepted, and what is refused with which clause."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_heap.manifest import ManifestObject, dump_id_of, parse_manifest

FOUND = ManifestObject(100, "manifests/sync_100.json", '"etag"', datetime(2024, 5, 2, tzinfo=UTC))


def document(**entry: Any) -> bytes:
    table = {"name": "users", "incremental": True, "columns": ["user_id"], "files": ["s3://b/sync_100/users/1_a.avro"]}
    return json.dumps({"dump_id": 100, "tables": [{**table, **entry}], "property_definitions": "x", "new": 1}).encode()


@pytest.mark.parametrize(
    ("key", "dump_id"),
    [
        ("manifests/sync_100.json", 100),
        ("manifests/sync_1008461850.json", 1_008_461_850),
        ("manifests/", None),
        ("manifests/sync_100.json.tmp", None),
        ("manifests/sync_.json", None),
        ("manifests/sync_1a.json", None),
        ("manifests/archive/sync_1.json", None),
        ("imported_manifests/sync_1.json", None),
        ("manifests/sync_\u0661.json", None),
    ],
)
def test_only_a_manifests_own_key_counts(key: str, dump_id: int | None) -> None:
    assert dump_id_of(key) == dump_id


def test_files_keep_the_manifests_order_and_lose_the_buckets_name() -> None:
    files = [
        "s3://other-bucket/sync_100/users/10_b.avro",
        "s3://x/sync_100/users/2_a.avro",
        "sync_100/users/c=1 +%.avro",
    ]
    table = parse_manifest(FOUND, document(files=files)).tables["users"]
    assert table.files == ["sync_100/users/10_b.avro", "sync_100/users/2_a.avro", "sync_100/users/c=1 +%.avro"]
    assert table.file_count == 3


def test_files_that_all_begin_with_a_number_are_read_in_its_order() -> None:
    files = [f"s3://b/sync_100/users/{name}.avro" for name in ("0_z", "1_y", "10_x", "11_w", "2_v", "2_a")]
    table = parse_manifest(FOUND, document(files=files)).tables["users"]
    assert [file.rpartition("/")[2] for file in table.files] == [
        *("0_z.avro", "1_y.avro", "2_v.avro", "2_a.avro", "10_x.avro", "11_w.avro")
    ]


@pytest.mark.parametrize("dump_id", [b"null", b"100.0", b'"100"', b"1e2"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_a_manifests_own_id_may_be_written_in_any_way(dump_id: bytes, before: bytes) -> None:
    data = before + document().replace(b'"dump_id": 100', b'"dump_id": ' + dump_id)
    assert parse_manifest(FOUND, data).tables["users"].file_count == 1


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"incremental": "yes"}, "has neither true nor false as incremental of table users"),
        ({"incremental": None}, "does not say whether table users is incremental"),
        ({"files": [1]}, "has columns or files of table users that are not text"),
        ({"files": ["s3://bucket-only"]}, "has a file address without a key in table users"),
    ],
)
def test_what_is_wrong_with_the_entry_of_a_table_stays_with_it(entry: dict[str, Any], fault: str) -> None:
    document_ = json.loads(document(**entry))
    document_["tables"].append({"name": "sessions", "incremental": True, "columns": [], "files": []})
    tables = parse_manifest(FOUND, json.dumps(document_).encode()).tables
    assert (tables["users"].fault, tables["sessions"].fault) == (fault, None)


def test_a_table_that_is_named_twice_must_say_the_same_twice() -> None:
    tables = json.loads(document())["tables"] + json.loads(document(incremental=False))["tables"]
    table = parse_manifest(FOUND, json.dumps({"tables": tables}).encode()).tables["users"]
    assert table.fault == "lists table users twice, as incremental and as full"


def test_a_table_may_have_no_files_and_no_columns() -> None:
    table = parse_manifest(FOUND, document(files=[], columns=None)).tables["users"]
    assert (table.files, table.columns, table.file_count) == ([], (), 0)


def test_a_missing_flag_is_kept_as_unknown() -> None:
    assert parse_manifest(FOUND, document(incremental=None)).tables["users"].incremental is None


def test_tables_that_nobody_wants_are_passed_over() -> None:
    assert not parse_manifest(FOUND, document(), only={"sessions"}).tables


def test_a_table_that_is_named_twice_has_the_files_of_both() -> None:
    tables = (
        json.loads(document())["tables"] + json.loads(document(files=["s3://b/k.avro"], columns=["email"]))["tables"]
    )
    table = parse_manifest(FOUND, json.dumps({"dump_id": 100, "tables": tables}).encode()).tables["users"]
    assert table.files == ["sync_100/users/1_a.avro", "k.avro"]
    assert table.columns == ("user_id", "email")


def test_a_manifest_that_was_delivered_again_has_another_mark() -> None:
    again = ManifestObject(100, FOUND.key, '"other"', FOUND.modified)
    assert len(FOUND.mark) == 8
    assert again.mark != FOUND.mark


@pytest.mark.parametrize(
    ("data", "clause"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"[]", "has no list of tables"),
        (b'{"dump_id": 100}', "has no list of tables"),
        (b'{"dump_id": 99, "tables": []}', "belongs to dump 99"),
        (b'{"dump_id": 100, "tables": [1]}', "has a table without a name"),
        (document(name=""), "has a table without a name"),
        (b'{"dump_id": true, "tables": []}', "belongs to dump True"),
        (b'{"dump_id": 100.5, "tables": []}', "belongs to dump 100.5"),
    ],
)
def test_a_manifest_of_another_shape_fails_with_its_key_and_the_reason(data: bytes, clause: str) -> None:
    with pytest.raises(AirbyteTracedException) as caught:
        parse_manifest(FOUND, data)
    assert caught.value.message is not None
    assert caught.value.message.startswith("The manifest manifests/sync_100.json ")
    assert clause in caught.value.message
    assert caught.value.failure_type is FailureType.system_error
