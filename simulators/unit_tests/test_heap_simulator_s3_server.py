"""The S3 server of the Heap simulator, read by boto3."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError, ResponseStreamingError
from simulators.faults import Fault
from simulators.heap.avro_files import blocks
from simulators.heap.layout import DEFAULT_BUCKET
from simulators.heap.s3_server import BucketServer, S3Proxy, error_fault
from simulators.heap.scenarios import scenario

_KEY = "manifests/sync_100.json"


def _client(url: str, region: str = "us-east-1", retries: int = 1) -> Any:
    config = Config(
        s3={"addressing_style": "path"}, retries={"total_max_attempts": retries}, read_timeout=1, connect_timeout=1
    )
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "s"}
    return boto3.client("s3", endpoint_url=url, region_name=region, config=config, **keys)


@pytest.fixture
def server() -> Iterator[BucketServer]:
    with BucketServer() as running:
        running.apply(scenario("first_sync")[0])
        yield running
        assert running.errors == []


@pytest.fixture
def client(server: BucketServer) -> Iterator[Any]:
    made = _client(server.url)
    yield made
    made.close()


def _code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(Bucket=arguments.pop("Bucket", DEFAULT_BUCKET), **arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


@pytest.mark.slow
def test_manifests_are_listed_page_by_page_in_the_order_of_their_bytes(server: BucketServer, client: Any) -> None:
    server.apply(scenario("more_than_a_thousand_manifests")[0])

    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=DEFAULT_BUCKET, Prefix="manifests/sync_"))
    keys = [item["Key"] for page in pages for item in page["Contents"]]

    assert len(pages) == 2
    assert keys == sorted(keys)
    assert {f"manifests/sync_{200 + index}.json" for index in range(1_050)} <= set(keys)


def test_an_object_is_read_whole_and_in_part(client: Any) -> None:
    get = client.get_object
    whole = get(Bucket=DEFAULT_BUCKET, Key=_KEY)
    data = whole["Body"].read()
    ranges = {"bytes=0-9": data[:10], "bytes=5-": data[5:], "bytes=-7": data[-7:], "bytes=0-99999999": data}

    assert whole["ContentLength"] == len(data)
    for wanted, part in ranges.items():
        assert get(Bucket=DEFAULT_BUCKET, Key=_KEY, Range=wanted)["Body"].read() == part
    assert get(Bucket=DEFAULT_BUCKET, Key=_KEY, IfMatch=whole["ETag"])["Body"].read() == data
    assert _code(get, Key=_KEY, IfMatch='"old"') == "PreconditionFailed"
    assert _code(get, Key=_KEY, Range="bytes=99999999-") == "InvalidRange"


def test_missing_and_archived_objects_are_refused_as_by_s3(server: BucketServer, client: Any) -> None:
    step = scenario("archived_file")[0]
    server.apply(step)
    archived = next(file for file in step.dumps[0].files() if file.storage_class)

    assert _code(client.get_object, Key="manifests/sync_1.json") == "NoSuchKey"
    assert _code(client.list_objects_v2, Bucket="heap-rs3-other") == "NoSuchBucket"
    assert _code(client.get_object, Key=archived.key) == "InvalidObjectState"


def test_a_manifest_that_comes_again_has_another_etag_and_a_later_time(server: BucketServer, client: Any) -> None:
    for step in scenario("redelivered_manifest")[:2]:
        server.apply(step)
    before = client.get_object(Bucket=DEFAULT_BUCKET, Key="manifests/sync_101.json")
    server.apply(scenario("redelivered_manifest")[2])
    after = client.get_object(Bucket=DEFAULT_BUCKET, Key="manifests/sync_101.json")

    assert before["ETag"] != after["ETag"]
    assert datetime(2024, 1, 1, tzinfo=UTC) < before["LastModified"] < after["LastModified"]


def test_the_truth_is_that_of_the_last_step(server: BucketServer) -> None:
    step = scenario("one_new_dump")[1]
    server.apply(step)

    assert server.truth("sessions") == step.live["sessions"].emitted()


def test_a_client_of_the_wrong_region_gets_the_right_one_and_follows() -> None:
    with BucketServer(region="eu-west-1") as abroad:
        abroad.apply(scenario("first_sync")[0])
        for region, statuses in (("eu-central-1", [400, 200]), ("eu-west-1", [200])):
            abroad.requests.clear()
            client = _client(abroad.url, region)
            assert client.list_objects_v2(Bucket=DEFAULT_BUCKET)["KeyCount"] > 0
            assert [line.status for line in abroad.requests] == statuses
            client.close()


def test_an_error_fault_looks_like_one_of_s3_and_a_retry_succeeds(server: BucketServer, client: Any) -> None:
    server.faults.add(error_fault(400, "ExpiredToken", "sync_100.json"), error_fault(503, "SlowDown", "list-type"))

    assert _code(client.get_object, Key=_KEY) == "ExpiredToken"
    assert _code(client.list_objects_v2) == "SlowDown"
    assert client.list_objects_v2(Bucket=DEFAULT_BUCKET)["KeyCount"] > 0


def test_a_body_cut_at_a_block_is_noticed_by_its_length_only(server: BucketServer, client: Any) -> None:
    step = scenario("file_for_a_cut_transfer")[0]
    server.apply(step)
    file = next(step.dumps[0].files())
    cut = blocks(file.data)[3].end
    server.faults.add(Fault("cut", path="sync_100/sessions", at=cut))
    body = client.get_object(Bucket=DEFAULT_BUCKET, Key=file.key)["Body"]

    assert body.read(cut) == file.data[:cut]
    with pytest.raises(ResponseStreamingError):
        body.read()


@pytest.mark.slow
def test_a_proxy_forwards_answers_and_applies_faults(server: BucketServer) -> None:
    with S3Proxy(server.url) as proxy, closing(_client(proxy.url)) as client, closing(_client(server.url)) as direct:
        wanted = {"Bucket": DEFAULT_BUCKET, "Key": _KEY}
        assert client.get_object(**wanted)["Body"].read() == direct.get_object(**wanted)["Body"].read()
        assert client.get_object(**wanted)["LastModified"] == direct.get_object(**wanted)["LastModified"]
        proxy.faults.add(Fault("drip", at=10, seconds=2))
        with pytest.raises(ReadTimeoutError):
            client.get_object(**wanted)["Body"].read()
        assert proxy.errors == []
