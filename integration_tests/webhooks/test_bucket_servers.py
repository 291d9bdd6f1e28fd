"""The bucket store of webhook-inlet on Ceph, which is a real server, and on moto; with a network that fails between."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from s3_servers import Keys, S3Server, ceph_server
from webhook_inlet.config import BucketConfig
from webhook_inlet.store import NoSuchSegment, StoreFailed
from webhook_inlet.stores import bucket as buckets
from webhook_inlet.stores import s3
from webhook_inlet.stores.bucket import Bucket
from webhook_inlet.writer import Commit, Writer
from webhooks.faulty_proxy import FAULTS, Proxy


def line(number: int) -> bytes:
    return b'{"v":1,"key":"standard:%d","at":%d,"body":"%b"}' % (number, number + 1, b"x" * (number % 300))


@pytest.fixture(scope="module", params=[pytest.param("ceph", marks=pytest.mark.ceph), "moto"])
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """Each server in turn."""
    if request.param == "ceph":
        with ceph_server() as ceph:
            yield ceph
    else:
        yield request.getfixturevalue("webhook_moto")


def config_for(server: S3Server, **change: Any) -> BucketConfig:
    """A new bucket on the server."""
    settings = {
        "type": "bucket",
        "bucket": server.new_bucket(),
        "prefix": "events/",
        "endpoint_url": server.endpoint,
        "credentials": keys_of(server.admin),
    }
    return BucketConfig.model_validate(settings | change)


def keys_of(keys: Keys) -> dict[str, Any]:
    return {
        "auth_type": "keys",
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.session_token,
    }


@pytest.fixture
def config(server: S3Server) -> BucketConfig:
    return config_for(server)


@pytest.fixture
def proxy(config: BucketConfig) -> Iterator[Proxy]:
    with Proxy(str(config.endpoint_url)) as between:
        yield between


def opened(config: BucketConfig, proxy: Proxy | None = None) -> Bucket:
    bucket = Bucket(config.model_copy(update={"endpoint_url": proxy.url}) if proxy else config)
    bucket.open()
    return bucket


def read_all(bucket: Bucket) -> dict[str, list[bytes]]:
    """The lines of each lane, as a reader takes them."""
    return {
        lane.lane: [
            found
            for number in range(lane.first, lane.last + 1)
            for found in bucket.read("prod", lane.lane, number, 0).data.splitlines()
        ]
        for lane in bucket.lanes("prod")
    }


def test_what_one_process_stores_another_reads_and_retention_removes(config: BucketConfig) -> None:
    bucket = opened(config)
    for begin in range(0, 12, 3):
        assert bucket.commit({"prod": [line(begin), line(begin + 1), line(begin + 2)], "eu": [line(begin)]}) == {}
    other = opened(config)
    assert list(read_all(other).values()) == [[line(number) for number in range(12)]]
    assert list(other.recent_keys("prod")) == [b"standard:%d" % number for number in range(11, -1, -1)]
    assert other.newest_at("prod") == 12
    assert len(other.lanes("eu")) == 1
    bucket.close()
    (lane,) = opened(config).lanes("prod")
    assert (lane.first, lane.last, lane.lines, lane.closed) == (1, 4, 3, True)
    with pytest.raises(NoSuchSegment):
        other.read("prod", lane.lane, 5, 0)
    assert other.remove_before(int((time.time() + 5) * 1e6)) == 8
    (lane,) = opened(config).lanes("prod")
    assert (lane.first, lane.last, lane.lines, lane.closed) == (5, 4, 0, True)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_put_that_failed_on_its_way_is_stored_once(
    config: BucketConfig, proxy: Proxy, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 0.5)
    monkeypatch.setattr(buckets, "COMMIT_SECONDS", 20.0)
    bucket = opened(config, proxy)
    assert bucket.commit({"prod": [line(1)]}) == {}
    proxy.spoil(fault, times=2)
    assert bucket.commit({"prod": [line(2), line(3)]}) == {}
    assert bucket.commit({"prod": [line(4)]}) == {}
    assert proxy.seen[1:3] == [fault, fault]
    monkeypatch.undo()  # a busy machine may need longer than these short limits to read
    assert list(read_all(opened(config)).values()) == [[line(number) for number in (1, 2, 3, 4)]]


def test_under_random_faults_all_that_was_confirmed_is_there_once_and_the_rest_at_most_once(
    config: BucketConfig, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 0.3)
    monkeypatch.setattr(buckets, "COMMIT_SECONDS", 0.3)
    chance = random.Random(11)
    faults = [fault for fault in FAULTS if "silence" not in fault] * 4 + ["silence after"]
    confirmed: list[bytes] = []
    refused: list[bytes] = []
    number = 0
    for _process in range(
        3
    ):  # each ends without a word, the last one in order; toward the end none waits until all is known
        bucket = opened(config, proxy)
        proxy.fault = lambda: chance.choice(faults) if chance.random() < 0.6 else None
        for turn in range(12):
            if turn == 9:
                bucket.hurry()
            batch = [line(number + place) for place in range(chance.randint(1, 4))]
            number += len(batch)
            (refused if bucket.commit({"prod": batch}) else confirmed).extend(batch)
        proxy.fault = lambda: None
    bucket.close()
    monkeypatch.undo()  # a busy machine may need longer than these short limits to read
    lanes = read_all(opened(config))
    counts = Counter(found for lines in lanes.values() for found in lines)
    assert [found for found in confirmed if counts[found] != 1] == []
    assert max(counts.values()) == 1
    assert set(counts) <= set(confirmed) | set(refused)
    for lines in lanes.values():
        assert lines == sorted(lines, key=lambda found: int(found.split(b'"')[5][9:]))
    assert refused  # the faults were hard enough to matter
    assert len(lanes) == 3


def test_with_puts_of_60_ms_posts_are_gathered_and_objects_stay_few(config: BucketConfig, proxy: Proxy) -> None:
    proxy.delay = 0.06
    commits: list[Commit] = []

    async def main() -> None:
        writer = Writer(opened(config, proxy), commits.append)
        waiting = []
        for number in range(600):
            waiting.append(writer.submit("prod", line(number)))
            await asyncio.sleep(0.005)
        await asyncio.gather(*waiting)
        await writer.close()

    began = time.monotonic()
    asyncio.run(main())
    took = time.monotonic() - began
    assert len(commits) < took / proxy.delay / 2  # without gathering one follows the other
    assert list(read_all(opened(config)).values()) == [[line(number) for number in range(600)]]


def test_wrong_keys_and_a_bucket_that_is_missing_are_told_apart(server: S3Server, config: BucketConfig) -> None:
    missing = config.model_copy(update={"bucket": "nobody-made-it"})
    with pytest.raises(StoreFailed, match="There is no bucket nobody-made-it"):
        Bucket(missing).open()
    wrong = BucketConfig.model_validate(
        config.model_dump() | {"credentials": keys_of(Keys(server.admin.access_key, "wrong"))}
    )
    if hasattr(server, "enforce"):
        with server.enforce(), pytest.raises(StoreFailed, match="are not valid"):
            Bucket(wrong).open()
    else:
        with pytest.raises(StoreFailed, match="are not valid"):
            Bucket(wrong).open()


def test_a_role_is_assumed_with_the_credentials_of_the_process(
    server: Any, config: BucketConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = [f"arn:aws:s3:::{config.bucket}", f"arn:aws:s3:::{config.bucket}/*"]
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": resources}
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    user, keys = server.new_user({"Version": "2012-10-17", "Statement": [assume]})
    arn = server.new_role(user, policy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
    by_role = BucketConfig.model_validate(
        config.model_dump() | {"credentials": {"auth_type": "role", "role_arn": arn, "external_id": "id-of-ours"}}
    )
    bucket = opened(by_role)
    assert bucket.commit({"prod": [line(1)]}) == {}
    assert list(read_all(bucket).values()) == [[line(1)]]
    refused = BucketConfig.model_validate(
        config.model_dump() | {"credentials": {"auth_type": "role", "role_arn": arn + "x", "external_id": "id-of-ours"}}
    )
    if not hasattr(server, "enforce"):  # moto gives any role
        with pytest.raises(StoreFailed, match="could not be assumed"):
            Bucket(refused).open()
