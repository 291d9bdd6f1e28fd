"""source-heap on real S3 servers: rights that are just enough, rights that are not, roles, broken transfers, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from s3_servers import CephServer, Keys, MotoServer, S3Server, read_policy
from simulators.faults import Fault
from simulators.heap.avro_files import blocks
from simulators.heap.bench_table import BenchTable
from simulators.heap.s3_server import S3Proxy
from simulators.heap.scenarios import Step, scenario
from simulators.heap.stores import S3Store
from test_kit.catalogs import Row, configured
from test_kit.command import arguments, run_process
from test_kit.memory import PeakMemory
from test_kit.messages import Output

COMMAND = Path(sys.executable).parent / "source-heap"


def keys_of(keys: Keys) -> Row:
    """Credentials for a configuration."""
    credentials = {
        "auth_type": "keys",
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
    }
    return credentials | ({"aws_session_token": keys.session_token} if keys.session_token else {})


def config_for(server: S3Server, bucket: str, credentials: Row, **more: Any) -> Row:
    """A configuration for a bucket on a server."""
    return {"bucket": bucket, "endpoint_url": server.endpoint, "credentials": credentials, **more}


def run(folder: Path, verb: str, environment: Mapping[str, str] | None = None, **files: Any) -> Output:
    """The installed command, which must write nothing to stderr."""
    command = [str(COMMAND), *arguments(folder, verb, (), files)]
    output = run_process(command, env={**os.environ, **(environment or {})})
    assert output.stderr == ""
    return output


def check(folder: Path, config: Row, environment: Mapping[str, str] | None = None) -> Row:
    """The connection status."""
    return run(folder, "check", environment, config=config).connection_status


def sync(
    folder: Path, config: Row, states: Mapping[str, Row], environment: Mapping[str, str] | None = None
) -> tuple[Mapping[str, list[Row]], dict[str, Row], dict[str, str]]:
    """Discovers and reads everything: rows, last state messages, and the sentences of streams that failed."""
    catalog = configured(run(folder, "discover", environment, config=config).catalog, mode="append")
    output = run(folder, "read", environment, config=config, catalog=catalog, state=list(states.values()) or None)
    after = {name: found[-1] for name, found in output.state_messages.items()}
    failed = {name: failure.message for name, failure in output.failures.items()}
    return output.records, {**states, **after}, failed


def put(server: S3Server, bucket: str, steps: Sequence[Step]) -> None:
    """Applies steps to a bucket."""
    for step in steps:
        step.apply(S3Store(server.client(), bucket))


def plain(row: Row) -> Row:
    """A row without nulls and added columns."""
    return {name: value for name, value in row.items() if value is not None and not name.startswith(("_heap", "_ab"))}


def as_bag(rows: Sequence[Row]) -> list[str]:
    """Rows for a comparison without order."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize("name", ["resync_in_the_middle", "late_full_dump", "edge_ids", "every_file_style"])
def test_a_history_is_synced_step_by_step(name: str, best_s3: S3Server, tmp_path: Path) -> None:
    bucket = best_s3.new_bucket()
    config = config_for(best_s3, bucket, keys_of(best_s3.admin))
    held: dict[str, list[Row]] = defaultdict(list)
    states: dict[str, Row] = {}
    steps = scenario(name, bucket=bucket)
    for step in steps if name != "every_file_style" else [*steps[:1], *steps[-2:]]:
        put(best_s3, bucket, [step])
        rows, states, failed = sync(tmp_path, config, states)
        assert not failed
        for stream, new in rows.items():
            held[stream] += new
    if name == "every_file_style":
        return
    for table, truth in steps[-1].live.items():
        key = "from_user_id" if table == "user_migrations" else "user_id" if table == "users" else "event_id"
        last: dict[Any, Row] = {}
        for row in sorted(held[table], key=lambda row: row["_heap_dump_id"]):
            if row["_heap_generation"] == truth.generation:
                last[row[key]] = plain(row)
        assert as_bag(list(last.values())) == as_bag(truth.latest())


def test_more_than_a_thousand_manifests_take_two_pages_and_are_found(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    steps = scenario("more_than_a_thousand_manifests", bucket=bucket)
    put(s3, bucket, steps)
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="manifests/")
    assert [len(page["Contents"]) for page in pages] == [1_000, 50]

    rows, _, failed = sync(tmp_path, config_for(s3, bucket, keys_of(s3.admin)), {})
    assert not failed
    assert len(rows["_heap_dumps"]) == 1_050
    assert as_bag([plain(row) for row in rows["users"]]) == as_bag(steps[-1].live["users"].emitted())


@pytest.mark.ceph
def test_the_policy_of_the_documentation_is_enough(ceph: CephServer, tmp_path: Path) -> None:
    bucket = ceph.new_bucket()
    put(ceph, bucket, scenario("first_sync", bucket=bucket))
    _, keys = ceph.new_user(read_policy(bucket))
    config = config_for(ceph, bucket, keys_of(keys))
    assert check(tmp_path, config) == {"status": "SUCCEEDED"}
    rows, _, failed = sync(tmp_path, config, {})
    assert not failed
    assert len(rows["sessions"]) == 30


@pytest.mark.ceph
def test_a_role_is_assumed_on_a_real_server(ceph: CephServer, tmp_path: Path) -> None:
    bucket = ceph.new_bucket()
    put(ceph, bucket, scenario("first_sync", bucket=bucket))
    arn, keys = ceph.new_user({"Version": "2012-10-17", "Statement": [_allow("sts:AssumeRole", "*")]})
    role = ceph.new_role(arn, read_policy(bucket))
    credentials = {"auth_type": "role", "role_arn": role, "external_id": "any"}
    environment = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
    config = config_for(ceph, bucket, credentials)
    assert check(tmp_path, config, environment) == {"status": "SUCCEEDED"}
    rows, _, failed = sync(tmp_path, config, {}, environment)
    assert not failed
    assert len(rows["users"]) == 40

    stranger, other = ceph.new_user({"Version": "2012-10-17", "Statement": [_allow("sts:AssumeRole", "*")]})
    assert stranger != arn
    environment = {"AWS_ACCESS_KEY_ID": other.access_key, "AWS_SECRET_ACCESS_KEY": other.secret_key}
    refused = check(tmp_path, config, environment)["message"]
    assert refused.startswith("AWS refused to let this connector assume the role")


def test_a_role_with_an_external_id_is_assumed_and_a_wrong_id_is_said(moto_s3: MotoServer, tmp_path: Path) -> None:
    bucket = moto_s3.new_bucket()
    put(moto_s3, bucket, scenario("first_sync", bucket=bucket))
    arn, keys = moto_s3.new_user({"Version": "2012-10-17", "Statement": [_allow("sts:AssumeRole", "*")]})
    role = moto_s3.new_role(arn, read_policy(bucket), {"StringEquals": {"sts:ExternalId": "right"}})
    environment = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
    account, _, name = role.removeprefix("arn:aws:iam::").partition(":role/")
    credentials = {"auth_type": "role", "account_id": account, "role_name": name, "external_id": "right"}
    with moto_s3.enforce():
        assert check(tmp_path, config_for(moto_s3, bucket, credentials), environment) == {"status": "SUCCEEDED"}
        wrong = config_for(moto_s3, bucket, {**credentials, "external_id": "wrong"})
        message = check(tmp_path, wrong, environment)["message"]
    assert message.startswith(f"AWS refused to let this connector assume the role {role}.")


def _allow(action: Any, resource: Any) -> Row:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.mark.ceph
@pytest.mark.parametrize(
    ("allowed", "sentence"),
    [
        ("s3:ListBucket", "Reading sync_100/"),
        ("s3:GetObject", "Listing the manifests in the bucket"),
        (None, "Listing the manifests in the bucket"),
    ],
)
def test_a_right_that_is_missing_is_named(allowed: str | None, sentence: str, ceph: CephServer, tmp_path: Path) -> None:
    bucket = ceph.new_bucket()
    put(ceph, bucket, scenario("first_sync", bucket=bucket))
    statements = [_allow(allowed, [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])] if allowed else []
    if allowed == "s3:ListBucket":
        statements.append(_allow("s3:GetObject", f"arn:aws:s3:::{bucket}/manifests/*"))
    _, keys = ceph.new_user({"Version": "2012-10-17", "Statement": statements} if statements else None)
    status = check(tmp_path, config_for(ceph, bucket, keys_of(keys)))
    assert status["status"] == "FAILED"
    assert status["message"].startswith(sentence)


@pytest.mark.ceph
@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (lambda keys: Keys("UNKNOWNKEY0000000000", keys.secret_key), "AWS does not know the access key."),
        (lambda keys: Keys(keys.access_key, "wrong"), "The secret does not belong to the access key."),
    ],
)
def test_wrong_keys_are_distinguished_by_a_server_that_checks_signatures(
    alter: Any, sentence: str, ceph: CephServer, tmp_path: Path
) -> None:
    bucket = ceph.new_bucket()
    put(ceph, bucket, scenario("first_sync", bucket=bucket))
    message = check(tmp_path, config_for(ceph, bucket, keys_of(alter(ceph.admin))))["message"]
    assert message.startswith(sentence)


def test_a_bucket_that_is_not_there_or_still_empty_is_distinguished(s3: S3Server, tmp_path: Path) -> None:
    empty = s3.new_bucket()
    message = check(tmp_path, config_for(s3, empty, keys_of(s3.admin)))["message"]
    assert message.startswith(f"There are no manifests in the bucket {empty} yet.")
    message = check(tmp_path, config_for(s3, f"{empty}-x", keys_of(s3.admin)))["message"]
    assert message.startswith(f"There is no bucket named {empty}-x.")


@pytest.mark.parametrize("kind", ["cut", "reset"])
def test_a_transfer_that_breaks_between_two_blocks_loses_nothing(kind: str, s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    (step,) = scenario("file_for_a_cut_transfer", bucket=bucket)
    put(s3, bucket, [step])
    data = next(item.data for item in step.put if item.key.endswith(".avro"))
    with S3Proxy(s3.endpoint) as proxy:
        config = {**config_for(s3, bucket, keys_of(s3.admin)), "endpoint_url": proxy.url}
        proxy.faults.add(Fault(kind, path=r"sessions/.*\.avro", at=blocks(data)[7].end, skip=1, times=1))
        rows, _, failed = sync(tmp_path, config, {})
    assert not failed
    assert [plain(row) for row in rows["sessions"]] == step.live["sessions"].emitted()


@pytest.mark.slow
def test_a_million_rows_take_less_than_three_hundred_megabytes(moto_s3: MotoServer, tmp_path: Path) -> None:
    bucket = moto_s3.new_bucket()
    S3Store(moto_s3.client(), bucket).put(BenchTable(1_000_000, 16).cached_objects(tmp_path, bucket))
    config = config_for(moto_s3, bucket, keys_of(moto_s3.admin))
    catalog = configured(run(tmp_path, "discover", config=config).catalog, mode="append")
    command = [str(COMMAND), *arguments(tmp_path, "read", (), {"config": config, "catalog": catalog})]
    rows = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, PeakMemory(process.pid) as memory:
        assert process.stdout is not None
        for line in process.stdout:
            rows += line.startswith(b'{"type":"RECORD","record":{"stream":"pageviews"')
    assert process.returncode == 0
    assert rows == 1_000_000
    assert 0 < memory.peak < 300 * 1024 * 1024
