"""The bucket on moto's server: lanes, readers, retention, and every answer that leaves an object's fate unclear."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from backports import zstd
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from moto.server import ThreadedMotoServer
from store_reading import read_all
from webhook_inlet.config import BucketConfig, KeyCredentials
from webhook_inlet.store import LANE_NAME, Lane, NoSuchSegment, StoreError, StoreFailed
from webhook_inlet.stores import bucket as buckets
from webhook_inlet.stores import bucket_index
from webhook_inlet.stores.bucket import Bucket
from webhook_inlet.stores.s3 import Meaning, meaning_of, words_of

KEYS = KeyCredentials.model_validate(
    {"auth_type": "keys", "aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
)
pytestmark = pytest.mark.slow  # a server starts, and botocore loads its descriptions
LINES = [b'{"v":1,"key":"standard:%d","at":%d}' % (number, number) for number in range(1, 60)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def config(endpoint: str) -> BucketConfig:
    name = f"events-{uuid.uuid4().hex[:12]}"
    client(endpoint).create_bucket(Bucket=name)
    return BucketConfig(type="bucket", bucket=name, prefix="p/", endpoint_url=endpoint, credentials=KEYS)


@cache
def client(endpoint: str) -> Any:
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret"}
    make: Any = boto3.client
    return make("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


def opened(config: BucketConfig) -> Bucket:
    bucket = Bucket(config)
    bucket.open()
    return bucket


@pytest.fixture
def bucket(config: BucketConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(bucket_index, "LISTED_SECONDS", 0.0)
    made = opened(config)
    yield made
    made.close()


def names(config: BucketConfig) -> list[str]:
    """The keys of all objects, without the prefix and the names of lanes."""
    entries = client(config.endpoint_url or "").list_objects_v2(Bucket=config.bucket).get("Contents", ())
    keys = [entry["Key"].split("/") for entry in entries]
    assert all(key[0] == "p" and key[2] == "lanes" and LANE_NAME.fullmatch(key[3]) for key in keys)
    return [f"{key[1]}/{key[4]}" for key in keys]


def segment(number: int) -> str:
    return f"prod/{number:012d}.ndjson.zst"


def answer(status: int, code: str) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")


TIMED_OUT = ReadTimeoutError(endpoint_url="http://s3")
RESET = ConnectionClosedError(endpoint_url="http://s3")
REFUSED = EndpointConnectionError(endpoint_url="http://s3")
SLOW_DOWN = answer(503, "SlowDown")


def puts(bucket: Bucket, *script: Any) -> list[dict[str, Any]]:
    """Each PUT takes the next turn of the script, then they go through. A turn is an error, or a pair: an error that
    comes although the object was stored, if the first is True, or was stored with these bytes by somebody else."""
    real, turns, asked = bucket._objects.client.put_object, list(script), []

    def put(**arguments: Any) -> Any:
        if not arguments["Key"].endswith(".zst"):  # a marker
            return real(**arguments)
        asked.append(arguments)
        if not turns:
            return real(**arguments)
        turn = turns.pop(0)
        if isinstance(turn, tuple):
            before, turn = turn
            real(**(arguments if before is True else {**arguments, "Body": before}))
        if turn is None:
            return real(**arguments)
        raise turn

    bucket._objects.client.put_object = put
    return asked


def test_each_commit_is_an_object_of_its_inlet(bucket: Bucket, config: BucketConfig) -> None:
    assert bucket.lanes("prod") == []
    assert bucket.commit({"prod": LINES[:2], "eu": LINES[5:6]}) == {}
    assert bucket.commit({"prod": LINES[2:3]}) == {}
    assert names(config) == ["eu/000000000001.ndjson.zst", segment(1), segment(2)]
    (lane,) = bucket.lanes("prod")
    assert lane == Lane(lane.lane, 1, 2, 1, False)
    assert read_all(bucket) == LINES[:3]
    assert bucket.read("prod", lane.lane, 1, 1).data == LINES[1] + b"\n"
    assert bucket.read("prod", lane.lane, 1, 0).sealed
    key = f"p/prod/lanes/{lane.lane}/000000000001.ndjson.zst"
    stored = client(config.endpoint_url or "").get_object(Bucket=config.bucket, Key=key)["Body"].read()
    assert zstd.decompress(stored) == LINES[0] + b"\n" + LINES[1] + b"\n"
    assert bucket.newest_at("prod") == 3
    assert bucket.free_bytes() is None
    assert bucket.problem() is None
    for name, number in [(lane.lane, 3), ("x", 1)]:
        with pytest.raises(NoSuchSegment):
            bucket.read("prod", name, number, 0)


def test_another_process_lists_and_reads_the_same_and_writes_a_lane_of_its_own(
    bucket: Bucket, config: BucketConfig
) -> None:
    bucket.commit({"prod": LINES[:2]})
    other = opened(config)
    assert other.lanes("prod") == bucket.lanes("prod")
    other.commit({"prod": LINES[2:3]})
    bucket.commit({"prod": LINES[3:4]})
    assert sorted(read_all(other)) == sorted(read_all(bucket)) == LINES[:4]
    assert other.lanes("prod") == bucket.lanes("prod")
    assert opened(config).newest_at("prod") in (3, 4)  # the server's times are in seconds
    bucket.close()
    closed = [lane.closed for lane in other.lanes("prod") if lane.last == 2]
    assert closed == [True]
    other.close()


def test_recent_keys_come_newest_first(bucket: Bucket, config: BucketConfig) -> None:
    for number in range(12):
        bucket.commit({"prod": LINES[2 * number : 2 * number + 2]})
    found = list(opened(config).recent_keys("prod"))
    assert found == [b"standard:%d" % number for number in range(24, 0, -1)]
    keys = opened(config).recent_keys("prod")
    assert next(keys) == b"standard:24"
    del keys
    assert list(bucket.recent_keys("eu")) == []


@pytest.mark.parametrize("error", [SLOW_DOWN, answer(500, "InternalError"), TIMED_OUT, RESET, REFUSED])
def test_a_put_that_failed_is_repeated_under_its_number(bucket: Bucket, config: BucketConfig, error: Exception) -> None:
    asked = puts(bucket, error, error)
    assert bucket.commit({"prod": LINES[:2]}) == {}
    assert len({(put["Key"], put["Body"]) for put in asked}) == 1
    assert [put["IfNoneMatch"] for put in asked] == ["*"] * 3
    assert names(config) == [segment(1)]
    assert read_all(bucket) == LINES[:2]


@pytest.mark.parametrize("error", [SLOW_DOWN, TIMED_OUT, RESET])
def test_a_put_that_was_stored_although_it_failed_is_found_and_not_stored_twice(
    bucket: Bucket, config: BucketConfig, error: Exception
) -> None:
    asked = puts(bucket, (True, error))
    assert bucket.commit({"prod": LINES[:2]}) == {}
    assert len(asked) == 2  # the second was answered with 412
    bucket.commit({"prod": LINES[2:3]})
    assert names(config) == [segment(1), segment(2)]
    assert read_all(bucket) == LINES[:3]


@pytest.mark.parametrize("first", [None, TIMED_OUT])
def test_a_number_that_somebody_else_took_ends_the_lane_and_a_new_one_has_the_lines(
    bucket: Bucket, config: BucketConfig, first: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    others = zstd.compress(b'{"v":1,"key":"others"}\n')
    bucket.commit({"prod": LINES[:1]})
    (lane,) = bucket.lanes("prod")
    puts(bucket, *([first] if first else []), (others, None))
    assert bucket.commit({"prod": LINES[1:3]}) == {}
    assert "Another process writes the lane" in caplog.text
    assert bucket.commit({"prod": LINES[3:4]}) == {}
    assert sorted(read_all(bucket)) == sorted([*LINES[:4], b'{"v":1,"key":"others"}'])
    old, new = sorted(bucket.lanes("prod"), key=lambda found: found.lane != lane.lane)
    assert (old.lane, old.last) == (lane.lane, 2)
    assert (new.first, new.last, new.lines) == (1, 2, 1)


def test_a_commit_of_unclear_fate_goes_on_until_it_is_known(
    bucket: Bucket, config: BucketConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "COMMIT_SECONDS", 0.0)
    asked = puts(bucket, SLOW_DOWN, answer(403, "AccessDenied"), REFUSED, (True, TIMED_OUT), RESET)
    problems: list[str | None] = []
    put_new = bucket._objects.put_new

    def put_and_look(key: str, packed: bytes) -> None:
        problems.append(bucket.problem())
        put_new(key, packed)

    monkeypatch.setattr(bucket._objects, "put_new", put_and_look)
    assert bucket.commit({"prod": LINES[:2]}) == {}
    assert len({(put["Key"], put["Body"]) for put in asked}) == 1  # no number behind it, no other bytes
    assert [problem is None for problem in problems] == [True, *[False] * 5]
    assert "answered 503 (SlowDown)" in str(problems[1])
    assert bucket.problem() is None
    assert read_all(bucket) == LINES[:2]


def test_a_problem_is_over_when_the_bucket_answers_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    puts(bucket, answer(403, "AccessDenied"))
    assert list(bucket.commit({"prod": LINES[:2]})) == ["prod"]
    assert bucket.problem() is not None
    bucket.maintain()
    assert bucket.problem() is None


def test_lines_that_were_never_sent_are_dropped_with_their_refusal(
    bucket: Bucket, config: BucketConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "COMMIT_SECONDS", 0.0)
    puts(bucket, REFUSED)
    assert list(bucket.commit({"prod": LINES[:1]})) == ["prod"]
    bucket.maintain()
    assert names(config) == []
    assert bucket.problem() is None
    assert bucket.commit({"prod": LINES[1:2]}) == {}
    assert read_all(bucket) == LINES[1:2]


def test_denied_access_refuses_at_once_and_says_what_to_allow(bucket: Bucket) -> None:
    asked = puts(bucket, answer(403, "AccessDenied"))
    refused = bucket.commit({"prod": LINES[:1], "eu": LINES[1:2]})
    assert len(refused) == 1
    assert len(asked) == 2
    assert "s3:PutObject" in str(next(iter(refused.values())))
    assert bucket.problem() == str(next(iter(refused.values())))


def test_a_server_without_conditions_is_written_without_them(
    bucket: Bucket, config: BucketConfig, caplog: pytest.LogCaptureFixture
) -> None:
    asked = puts(bucket, answer(501, "NotImplemented"))
    assert bucket.commit({"prod": LINES[:1]}) == {}
    assert bucket.commit({"prod": LINES[1:2]}) == {}
    assert ["IfNoneMatch" in put for put in asked] == [True, False, False]
    assert caplog.text.count("does not know If-None-Match") == 1
    assert read_all(bucket) == LINES[:2]


def test_a_commit_of_unclear_fate_gives_up_when_the_process_ends_and_its_lane_is_not_marked_as_closed(
    bucket: Bucket, config: BucketConfig
) -> None:
    bucket.commit({"prod": LINES[:1]})
    puts(bucket, SLOW_DOWN)
    bucket.hurry()
    refused = bucket.commit({"prod": LINES[1:2]})
    assert type(refused["prod"]) is StoreError
    refused = bucket.commit({"prod": LINES[2:3]})  # other bytes under the same number would be a loss
    assert "being stopped" in str(refused["prod"])
    bucket.close()
    assert names(config) == [segment(1)]


def test_an_object_that_is_missing_ends_the_lane_before_it(bucket: Bucket, config: BucketConfig) -> None:
    for number in range(5):
        bucket.commit({"prod": LINES[number : number + 1]})
    (lane,) = bucket.lanes("prod")
    bucket._objects.delete(f"p/prod/lanes/{lane.lane}/000000000004.ndjson.zst")
    assert opened(config).lanes("prod") == [Lane(lane.lane, 1, 3, 1, False)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 23, 24, 40])
def test_a_long_lane_is_measured_in_leaps(
    bucket: Bucket, config: BucketConfig, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    for _ in range(count):
        bucket.commit({"prod": LINES[:3]})
    (lane,) = bucket.lanes("prod")
    monkeypatch.setattr(bucket_index, "_PAGE", 3)
    other = opened(config)
    assert other.lanes("prod") == [Lane(lane.lane, 1, count, 3, False)]
    bucket.commit({"prod": LINES[:1]})
    assert other.lanes("prod") == [Lane(lane.lane, 1, count + 1, 1, False)]
    bucket.close()
    assert other.lanes("prod") == [Lane(lane.lane, 1, count + 1, 1, True)]


def test_a_damaged_object_is_an_error_for_its_reader_only(bucket: Bucket, config: BucketConfig) -> None:
    bucket.commit({"prod": LINES[:1]})
    bucket.commit({"prod": LINES[1:3]})
    (lane,) = bucket.lanes("prod")
    bucket._objects.put_marker(f"p/prod/lanes/{lane.lane}/000000000002.ndjson.zst", 0)
    other = opened(config)
    assert other.lanes("prod") == [Lane(lane.lane, 1, 2, 1, False)]
    with pytest.raises(StoreError, match="is damaged"):
        other.read("prod", lane.lane, 2, 0)
    assert list(other.recent_keys("prod")) == [b"standard:1"]


def now(minus: float = 0.0) -> int:
    return int((time.time() - minus) * 1e6)


def test_retention_removes_heads_and_leaves_a_marker_for_as_long_again(bucket: Bucket, config: BucketConfig) -> None:
    for number in range(3):
        bucket.commit({"prod": LINES[number : number + 1]})
    assert bucket.remove_before(now(60)) == 0
    (lane,) = bucket.lanes("prod")
    assert bucket.remove_before(now(-5)) == 3
    assert names(config) == ["prod/removed"]
    removed = Lane(lane.lane, 4, 3, 0, False)
    assert bucket.lanes("prod") == [removed]
    other = opened(config)
    assert other.lanes("prod") == [removed]
    assert other.newest_at("prod") is None
    bucket.commit({"prod": LINES[7:8]})  # this process counts on
    assert bucket.lanes("prod") == [Lane(lane.lane, 4, 4, 1, False)]
    bucket.close()
    third = opened(config)
    assert third.lanes("prod") == [Lane(lane.lane, 4, 4, 1, True)]
    third.remove_before(now(-5))
    assert third.lanes("prod") == [Lane(lane.lane, 5, 4, 0, True)]
    assert third.remove_before(now(60)) == 0
    assert names(config) == ["prod/closed", "prod/removed"]
    time.sleep(0.01)
    third.remove_before(now(-5))  # as if nothing were kept for any time
    assert third.lanes("prod") == []
    assert names(config) == []


def test_retention_that_stops_half_way_leaves_no_hole(bucket: Bucket, config: BucketConfig) -> None:
    for number in range(4):
        bucket.commit({"prod": LINES[number : number + 1]})
    real: Callable[[str], None] = bucket._objects.delete
    left = [2]

    def delete(key: str) -> None:
        if not left[0]:
            raise SLOW_DOWN
        left[0] -= 1
        real(key)

    bucket._objects.delete = delete  # type: ignore[method-assign]
    bucket.remove_before(now(-5))
    (lane,) = bucket.lanes("prod")
    assert (lane.first, lane.last) == (3, 4)
    assert read_all(bucket) == LINES[2:4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bucket": "nobody-made-it"}, "There is no bucket nobody-made-it"),
        ({"endpoint_url": "http://127.0.0.1:9"}, r"could not be reached \(EndpointConnectionError\)"),
    ],
)
def test_a_bucket_that_cannot_be_used_stops_the_start_with_a_sentence(
    config: BucketConfig, change: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(StoreFailed, match=words):
        Bucket(config.model_copy(update=change)).open()


def test_the_region_of_the_bucket_is_found(config: BucketConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = str(config.endpoint_url)
    name = f"far-{uuid.uuid4().hex[:12]}"
    place = {"LocationConstraint": "eu-central-1"}
    client(endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=place)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    far = opened(config.model_copy(update={"bucket": name, "endpoint_url": None}))
    assert far._objects.client.meta.region_name == "eu-central-1"
    assert far.commit({"prod": LINES[:1]}) == {}
    assert read_all(far) == LINES[:1]


@pytest.mark.parametrize(
    ("error", "words", "meaning"),
    [
        (answer(404, "NoSuchBucket"), "There is no bucket b", Meaning.REFUSED),
        (answer(403, "SignatureDoesNotMatch"), "keys for the bucket b are not valid", Meaning.REFUSED),
        (answer(403, "RequestTimeTooSkewed"), "clock is wrong", Meaning.REFUSED),
        (answer(301, "PermanentRedirect"), "lies in another region", Meaning.REFUSED),
        (answer(400, "RequestTimeout"), "answered 400", Meaning.UNCLEAR),
        (answer(409, "ConditionalRequestConflict"), "answered 409", Meaning.UNCLEAR),
        (NoCredentialsError(), "There are no credentials", Meaning.REFUSED),
        (ParamValidationError(report="x"), "cannot be used with these options", Meaning.REFUSED),
        (CredentialRetrievalError(provider="p", error_msg="m"), "cannot be used with these options", Meaning.NOT_SENT),
        (OSError("x"), "could not be reached", Meaning.UNCLEAR),
        (ValueError("x"), "does not speak S3", Meaning.UNCLEAR),
    ],
)
def test_every_error_has_words_and_a_meaning(error: Exception, words: str, meaning: Meaning) -> None:
    assert words in words_of(error, BucketConfig(type="bucket", bucket="b"))
    assert meaning_of(error) is meaning
