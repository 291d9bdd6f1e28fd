"""What the S3 servers of these tests can be trusted to do, with the dumps of the Heap simulator in them."""

import io
import subprocess
import sys
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from s3_servers import CephServer, Keys, MotoServer, S3Server, read_policy
from simulators.faults import Fault
from simulators.heap.avro_files import blocks
from simulators.heap.s3_server import S3Proxy
from simulators.heap.scenarios import scenario
from simulators.heap.stores import S3Store


def _error(call: Any, **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response: Any = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response.get("Error", response)["Code"]


def _filled(server: S3Server, name: str) -> str:
    bucket = server.new_bucket()
    for step in scenario(name, bucket=bucket):
        step.apply(S3Store(server.client(), bucket))
    return bucket


def test_a_scenario_is_listed_and_read_back(s3: S3Server) -> None:
    bucket = s3.new_bucket()
    client = s3.client()
    steps = scenario("resync_in_the_middle", bucket=bucket)
    for step in steps:
        step.apply(S3Store(client, bucket))

    listed = client.list_objects_v2(Bucket=bucket, Prefix="manifests/sync_10")["Contents"]
    sizes = {f"manifests/sync_{dump.id}.json": len(dump.manifest_object().data) for dump in steps[-1].dumps}
    assert {item["Key"]: item["Size"] for item in listed if item["Key"].endswith(".json")} == sizes

    table = steps[-1].live["sessions"]
    files = list(dict.fromkeys(row.file for row in table.rows))
    bodies = [client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in files]
    rows = [row for body in bodies for row in fastavro.reader(io.BytesIO(body))]
    assert rows == [row.values for row in table.rows]


def test_a_deleted_object_and_a_range_are_answered_as_by_aws(s3: S3Server) -> None:
    bucket = _filled(s3, "first_sync")
    client = s3.client()
    key = "manifests/sync_100.json"
    whole = client.get_object(Bucket=bucket, Key=key)["Body"].read()

    assert client.get_object(Bucket=bucket, Key=key, Range="bytes=10-19")["Body"].read() == whole[10:20]
    client.delete_object(Bucket=bucket, Key=key)
    assert _error(client.get_object, Bucket=bucket, Key=key) == (404, "NoSuchKey")
    assert _error(client.list_objects_v2, Bucket="heap-rs3-nowhere") == (404, "NoSuchBucket")


@pytest.mark.ceph
def test_ceph_refuses_wrong_keys_and_enforces_a_readers_policy(ceph: CephServer) -> None:
    bucket = _filled(ceph, "first_sync")
    _, keys = ceph.new_user(read_policy(bucket))
    reader = ceph.client(keys=keys)

    _check_reader(reader, bucket)
    _check_wrong_keys(ceph, bucket, keys)


def test_moto_refuses_wrong_keys_and_enforces_a_readers_policy(moto_s3: MotoServer) -> None:
    bucket = _filled(moto_s3, "first_sync")
    _, keys = moto_s3.new_user(read_policy(bucket))
    with moto_s3.enforce():
        assert moto_s3.client(keys=keys).get_object(Bucket=bucket, Key="manifests/sync_100.json")
        assert _error(moto_s3.client(keys=keys).put_object, Bucket=bucket, Key="x", Body=b"")[1] == "AccessDenied"
        _check_wrong_keys(moto_s3, bucket, keys)


def _check_reader(reader: Any, bucket: str) -> None:
    assert reader.list_objects_v2(Bucket=bucket, Prefix="manifests/")["KeyCount"] > 0
    assert reader.get_object(Bucket=bucket, Key="manifests/sync_100.json")["ContentLength"] > 0
    assert _error(reader.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")
    assert _error(reader.list_objects_v2, Bucket=bucket, Prefix="sync_") == (403, "AccessDenied")
    assert _error(reader.put_object, Bucket=bucket, Key="x", Body=b"") == (403, "AccessDenied")


def _check_wrong_keys(server: S3Server, bucket: str, keys: Keys) -> None:
    request = {"Bucket": bucket, "Key": "manifests/sync_100.json"}
    wrong_secret = server.client(keys=Keys(keys.access_key, "wrong"))
    unknown = server.client(keys=Keys("AKIAUNKNOWN000000000", "wrong"))
    assert _error(wrong_secret.get_object, **request) == (403, "SignatureDoesNotMatch")
    assert _error(unknown.get_object, **request) == (403, "InvalidAccessKeyId")


def test_a_proxy_keeps_signatures_valid_and_cuts_a_transfer(s3: S3Server) -> None:
    bucket = s3.new_bucket()
    step = scenario("file_for_a_cut_transfer", bucket=bucket)[0]
    step.apply(S3Store(s3.client(), bucket))
    file = next(step.dumps[0].files())
    with S3Proxy(s3.endpoint) as proxy:
        reader = replace(s3, endpoint=proxy.url).client()
        assert reader.get_object(Bucket=bucket, Key=file.key)["Body"].read() == file.data
        proxy.faults.add(Fault("cut", path="sessions", at=blocks(file.data)[3].end))
        with pytest.raises(ResponseStreamingError):
            reader.get_object(Bucket=bucket, Key=file.key)["Body"].read()
        assert reader.get_object(Bucket=bucket, Key=file.key)["Body"].read() == file.data


@pytest.mark.ceph
def test_ceph_gives_a_role_to_those_whom_it_trusts_only(ceph: CephServer) -> None:
    bucket = _filled(ceph, "first_sync")
    arn, trusted = ceph.new_user()
    _, stranger = ceph.new_user()
    role = ceph.new_role(arn, read_policy(bucket))

    _check_reader(ceph.client(keys=ceph.assume(role, trusted)), bucket)
    assert _error(ceph.assume, role_arn=role, keys=stranger)[0] == 403


def test_moto_checks_an_external_id_and_a_token_as_aws_does(moto_s3: MotoServer) -> None:
    bucket = _filled(moto_s3, "first_sync")
    may_assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    arn, keys = moto_s3.new_user({"Version": "2012-10-17", "Statement": [may_assume]})
    condition = {"StringEquals": {"sts:ExternalId": "acme-airbyte-7f3a"}}
    role = moto_s3.new_role(arn, read_policy(bucket), condition)
    with moto_s3.enforce():
        wrong = _error(moto_s3.assume, role_arn=role, keys=keys, ExternalId="another")
        assert wrong == (403, "AccessDenied")
        session = moto_s3.assume(role, keys, ExternalId="acme-airbyte-7f3a")
        request = {"Bucket": bucket, "Key": "manifests/sync_100.json"}
        assert moto_s3.client(keys=session).get_object(**request)["ContentLength"] > 0
        forged = Keys(session.access_key, session.secret_key, "forged")
        assert _error(moto_s3.client(keys=forged).get_object, **request) == (400, "InvalidToken")


def test_moto_does_not_give_an_archived_object(moto_s3: MotoServer) -> None:
    bucket = moto_s3.new_bucket()
    step = scenario("archived_file", bucket=bucket)[0]
    step.apply(S3Store(moto_s3.client(), bucket))
    file = next(file for file in step.dumps[0].files() if file.storage_class)

    assert _error(moto_s3.client().get_object, Bucket=bucket, Key=file.key) == (403, "InvalidObjectState")


def test_the_command_line_of_the_simulator_fills_a_bucket_that_it_makes(s3: S3Server) -> None:
    bucket = f"{s3.new_bucket()}-cli"
    keys = {"AWS_ACCESS_KEY_ID": s3.admin.access_key, "AWS_SECRET_ACCESS_KEY": s3.admin.secret_key}
    command = [sys.executable, "-m", "simulators", "heap", "--size", "tiny", "--endpoint-url", s3.endpoint]
    subprocess.run([*command, "--out", f"s3://{bucket}"], check=True, capture_output=True, env=keys)

    listed = s3.client().list_objects_v2(Bucket=bucket, Prefix="manifests/sync_1")
    assert [item["Key"] for item in listed["Contents"]] == ["manifests/sync_1000.json"]
