"""The webhook log in a bucket: what is listed, what is read, and the sentence for each thing that can be wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request as Post
from urllib.request import urlopen

import boto3
import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from backports.zstd import CompressionParameter, ZstdCompressor, compress
from moto.server import ThreadedMotoServer
from simulators.heap.layout import StoredObject
from simulators.heap.s3_server import BucketServer
from simulators.http_messages import Request, Response
from source_kit.http.retry import RetryPolicy
from source_kit.s3 import retrying, webhook_log
from source_kit.s3.options import BucketStore
from source_kit.s3.webhook_log import BucketLog
from source_kit.webhook_log import Lane, Lines

KEYS = {"auth_type": "keys", "aws_access_key_id": "AKIAMADEUP000000KEY1", "aws_secret_access_key": "made+up/secret=key"}
A, B = "20261126T220100Z-aaaaaa", "20261127T070000Z-bbbbbb"
ROOT = "inlet/prod/lanes"
LINES = b'{"v":1}\n{"v":2}\n{"v":3}\n'
#: RFC 8878, section 3.1.2: a frame that decoders skip
SKIPPED = struct.pack("<II", 0x184D2A50, 5) + b"notes"


class Log(BucketServer):
    """A bucket with a log. `bend` may change an answer."""

    bend: Callable[[Request, Response], Response] | None = None

    def __init__(self) -> None:
        super().__init__("webhooks")

    def answer(self, request: Request) -> Response:
        usual = super().answer(request)
        return self.bend(request, usual) if self.bend else usual

    def have(self, *names: str, data: bytes = b"") -> None:
        """Stores objects below the inlet's root: `<lane>/3` is a segment."""
        self.put([StoredObject(f"{ROOT}/{segment(name)}", data or compress(LINES)) for name in names])

    def reader(self, **options: Any) -> BucketLog:
        given = {"bucket": self.bucket, "prefix": "inlet/", "inlet": "prod", "endpoint_url": self.url}
        return BucketLog(BucketStore.parse({"credentials": KEYS, **given, **options}), "airbyte-source-test")

    @property
    def lists(self) -> int:
        """How often the bucket was listed."""
        return sum("list-type" in request.query for request in self.requests)


def segment(name: str) -> str:
    lane, _, number = name.rpartition("/")
    return f"{lane}/{int(number):012d}.ndjson.zst" if number.isdecimal() else name


@pytest.fixture
def log() -> Iterator[Log]:
    with Log() as server:
        yield server


class Aws:
    """moto, which checks who may do what: `key` may list and get what is below the inlet `prod`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.forget()
        admin = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "y",
        }
        s3, iam = boto3.client("s3", **admin), boto3.client("iam", **admin)  # type: ignore[call-overload]
        s3.create_bucket(Bucket="webhooks")
        s3.put_object(Bucket="webhooks", Key=f"{ROOT}/{segment(f'{A}/1')}", Body=compress(LINES))
        iam.create_user(UserName="connector")
        self.key = iam.create_access_key(UserName="connector")["AccessKey"]
        rights = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"},
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::webhooks/{ROOT}/*"},
            ],
        }
        iam.put_user_policy(UserName="connector", PolicyName="read", PolicyDocument=json.dumps(rights))
        self.say("reset-auth", b"0")

    def say(self, word: str, value: bytes = b"") -> None:
        """What moto has and checks is the same for all of its servers in a process."""
        post = Post(f"{self.url}/moto-api/{word}", value, {"Content-Type": "text/plain"})  # noqa: S310 - loopback
        urlopen(post).read()  # noqa: S310

    def forget(self) -> None:
        """Makes moto as it was at its start."""
        self.say("reset-auth", b"inf")
        self.say("reset")

    def reader(self, **options: Any) -> BucketLog:
        given = {"bucket": "webhooks", "prefix": "inlet/", "inlet": "prod", "endpoint_url": self.url}
        keys = {"id": self.key["AccessKeyId"], "secret": self.key["SecretAccessKey"]}
        keys |= {name: options.pop(name) for name in keys if name in options}
        credentials = {"auth_type": "keys", "aws_access_key_id": keys["id"], "aws_secret_access_key": keys["secret"]}
        return BucketLog(BucketStore.parse({"credentials": credentials, **given, **options}), "airbyte-source-test", 1)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """One moto for the module."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        made = Aws(f"http://{host}:{port}")
        yield made
        made.forget()
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "POLICY", RetryPolicy(base_seconds=0.001, cap_seconds=0.005))


def test_lanes_are_listed_by_age_with_the_numbers_of_their_segments(log: Log) -> None:
    log.have(f"{B}/1", f"{A}/17", f"{A}/18", f"{A}/closed")
    assert log.reader().lanes() == [Lane(A, 17, 18, None), Lane(B, 1, 1, None)]
    assert log.lists == 1


def test_a_lane_without_segments_is_listed_with_the_number_of_the_last_one(log: Log) -> None:
    log.have(f"{A}/closed", f"{A}/removed", data=b"41\n")
    log.have(f"{B}/closed", data=b"7")
    assert log.reader().lanes() == [Lane(A, 42, 41, 0), Lane(B, 8, 7, 0)]


def test_the_marker_of_a_lane_that_has_segments_is_not_read(log: Log) -> None:
    log.have(f"{A}/5", f"{A}/removed", data=b"no number")
    assert log.reader().lanes() == [Lane(A, 5, 5, None)]


@pytest.mark.parametrize("content", [b"no number", b"-1", b"1" * 70, b"\xff", "\u0663".encode()])
@pytest.mark.slow
def test_a_marker_without_a_number_is_named(content: bytes, log: Log) -> None:
    log.have(f"{A}/removed", data=content)
    with pytest.raises(AirbyteTracedException, match="should hold the number of the last segment") as caught:
        log.reader().lanes()
    assert f"The object {ROOT}/{A}/removed in the bucket webhooks" in str(caught.value.message)


def test_a_lane_that_is_removed_while_it_is_listed_is_none(log: Log) -> None:
    log.have(f"{A}/removed", data=b"3")

    def vanish(request: Request, usual: Response) -> Response:
        log.delete([f"{ROOT}/{A}/removed"])
        return usual

    log.bend = vanish
    assert log.reader().lanes() == []


def test_other_objects_are_ignored_with_one_line_in_the_log(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.have(f"{A}/1", "notes.md", f"{A}/000000000002.ndjson", f"{A}/0", "lane/1", f"{A}/1/1", f"{A}/closed.bak")
    log.put([StoredObject(f"inlet/other/lanes/{B}/000000000001.ndjson.zst", b"")])
    said: list[str] = []
    monkeypatch.setattr(webhook_log.logger, "warning", said.append)
    assert log.reader().lanes() == [Lane(A, 1, 1, None)]
    assert [line for line in said if "ignored" in line] == [
        f"6 objects below {ROOT}/ in the bucket webhooks are not of a webhook-inlet and are ignored, such as notes.md."
    ]


@pytest.mark.parametrize("options", [{}, {"prefix": "no/"}, {"prefix": ""}, {"inlet": "no"}])
def test_an_inlet_that_has_written_nothing_has_no_lanes(options: dict[str, Any], log: Log) -> None:
    if options:
        log.have(f"{A}/1")
    reader = log.reader(**options)
    assert reader.lanes() == []
    assert reader.newest() is None


def test_without_a_prefix_the_inlet_is_at_the_top_of_the_bucket(log: Log) -> None:
    log.put([StoredObject(f"prod/lanes/{A}/000000000001.ndjson.zst", compress(LINES))])
    reader = log.reader(prefix=None)
    assert reader.lanes() == [Lane(A, 1, 1, None)]
    assert reader.read(A, 1, 0) == Lines(LINES, sealed=True)


def test_the_newest_segment_says_when_it_was_written(log: Log) -> None:
    log.clock = datetime(2026, 11, 27, 6, tzinfo=UTC)
    log.have(f"{B}/1")
    log.have(f"{A}/9", f"{A}/8")
    log.have(f"{B}/closed", data=b"1")
    reader = log.reader()
    assert reader.newest() == datetime(2026, 11, 27, 8, tzinfo=UTC)
    reader.lanes()
    log.have(f"{B}/2")
    assert reader.newest() == datetime(2026, 11, 27, 8, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers",
    [
        range(1, 1001),
        range(1, 1002),
        range(700, 2750),
        range(1, 2002),
        range(1, 6_001),
        [*range(1, 1500), *range(9000, 9100)],  # with a gap
        [*range(1, 1500), 10**12 - 1],
    ],
    ids=["page", "page and one", "head removed", "leap to the last", "long", "gap", "last number"],
)
def test_of_a_long_lane_only_the_ends_are_listed(numbers: Any, log: Log) -> None:
    log.have(*(f"{A}/{number}" for number in numbers), f"{A}/closed", f"{B}/3", f"{B}/4")
    assert log.reader().lanes() == [Lane(A, min(numbers), max(numbers), None), Lane(B, 3, 4, None)]


@pytest.mark.slow
@pytest.mark.parametrize("last", [1_999, 2_000, 2_001, 2_002, 3_001, 4_001, 5_000, 8_001, 1_234_567])
def test_a_million_segments_take_few_lists(last: int, log: Log) -> None:
    """The server makes up the lane: its objects would take long to store."""

    def lane(request: Request, usual: Response) -> Response:
        after = request.param("continuation-token") or request.param("start-after") or f"{ROOT}/{A}/{0:012d}"
        begin, count = int(after.rpartition("/")[2][:12]) + 1, int(request.param("max-keys") or 1000)
        numbers = range(begin, min(begin + count, last + 1))
        inside = "".join(f"<Contents><Key>{ROOT}/{A}/{n:012d}.ndjson.zst</Key></Contents>" for n in numbers)
        more = f"<IsTruncated>{str(begin + count <= last).lower()}</IsTruncated><NextContinuationToken>"
        token = f"{ROOT}/{A}/{begin + count - 1:012d}</NextContinuationToken>"
        body = f"<ListBucketResult>{more}{token}{inside}</ListBucketResult>"
        return Response(200, body.encode(), "application/xml")

    log.bend = lane
    assert log.reader().lanes() == [Lane(A, 1, last, None)]
    assert log.lists < 30


@pytest.mark.slow
def test_a_foreign_object_among_the_segments_hides_none(log: Log) -> None:
    log.have(*(f"{A}/{number}" for number in range(1, 4500)), f"{A}/00000000200x.txt", f"{A}/000000002000.ndjson.zst~")
    assert log.reader().lanes() == [Lane(A, 1, 4499, None)]


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([f"{A}/2", f"{A}/1"], "is not in the order of its keys"),
        ([f"{A}/1", f"{A}/1"], "is not in the order of its keys"),
    ],
)
def test_a_list_that_is_not_sorted_is_refused(keys: list[str], what: str, log: Log) -> None:
    inside = "".join(f"<Contents><Key>{ROOT}/{segment(key)}</Key></Contents>" for key in keys)
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{inside}</ListBucketResult>"
    log.bend = lambda request, usual: Response(200, body.encode(), "application/xml")
    with pytest.raises(AirbyteTracedException) as caught:
        log.reader().lanes()
    assert str(caught.value.message).startswith(
        f"The list of the bucket webhooks {what}, so its webhook lanes cannot be found. The server does not speak"
    )


@pytest.mark.slow
def test_a_server_that_does_not_know_where_to_begin_is_refused(log: Log) -> None:
    log.have(*(f"{A}/{number}" for number in range(1, 2002)))
    first: list[Response] = []

    def repeat(request: Request, usual: Response) -> Response:
        first.append(usual)
        return first[0]

    log.bend = repeat
    with pytest.raises(AirbyteTracedException, match=r"does not begin where it should \(StartAfter\)"):
        log.reader().lanes()


@pytest.mark.parametrize(
    ("line", "rest"),
    [(0, LINES), (1, LINES[8:]), (2, LINES[16:]), (3, b""), (4, b"")],
)
def test_lines_behind_a_position_are_read(line: int, rest: bytes, log: Log) -> None:
    log.have(f"{A}/1")
    assert log.reader().read(A, 1, line) == Lines(rest, sealed=True)


def _streamed(data: bytes) -> bytes:
    """A frame that does not say the size of its content."""
    compressor = ZstdCompressor(
        options={CompressionParameter.content_size_flag: 0, CompressionParameter.checksum_flag: 1}
    )
    return compressor.compress(data[:5]) + compressor.compress(data[5:]) + compressor.flush()


@pytest.mark.parametrize(
    "packed",
    [
        compress(LINES[:8]) + compress(LINES[8:]),
        _streamed(LINES),
        compress(LINES) + SKIPPED,
        SKIPPED + compress(LINES[:3]) + SKIPPED + compress(b"") + _streamed(LINES[3:]) + SKIPPED,
        b"".join(compress(LINES[n : n + 1]) for n in range(len(LINES))),
    ],
    ids=["two frames", "no size", "trailing skippable", "mixed", "many"],
)
def test_any_sequence_of_frames_is_a_segment(packed: bytes, log: Log) -> None:
    log.have(f"{A}/1", data=packed)
    assert log.reader().read(A, 1, 0) == Lines(LINES, sealed=True)


@pytest.mark.slow
def test_a_large_segment_is_read_whole(log: Log) -> None:
    data = b"".join(b'{"number":%d}\n' % number for number in range(300_000))
    log.have(f"{A}/1", data=_streamed(data))
    assert log.reader().read(A, 1, 0) == Lines(data, sealed=True)
    lines = log.reader().read(A, 1, 299_999)
    assert lines
    assert lines.data == b'{"number":299999}\n'


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (LINES, "its compression is broken ("),
        (compress(LINES)[:-3], "its compression is broken (Compressed file ended before"),
        (compress(LINES) + b"garbage", "its compression is broken ("),
        (compress(LINES) + compress(LINES)[:7], "its compression is broken (Compressed file ended before"),
        (compress(LINES[:-1]), "its last line has no end"),
    ],
    ids=["plain", "cut", "garbage", "second frame cut", "line cut"],
)
def test_a_damaged_segment_is_named(packed: bytes, problem: str, log: Log) -> None:
    log.have(f"{A}/6", data=packed)
    with pytest.raises(AirbyteTracedException) as caught:
        log.reader().read(A, 6, 0)
    assert str(caught.value.message).startswith(
        f"The object {ROOT}/{segment(f'{A}/6')} in the bucket webhooks is not a whole segment of the webhook log: "
        f"{problem}"
    )
    assert "to [7, 0] to read on behind it." in str(caught.value.message)
    assert caught.value.failure_type.value == "system_error"


def test_an_object_without_bytes_is_damaged(log: Log) -> None:
    log.put([StoredObject(f"{ROOT}/{segment(f'{A}/1')}", b"")])
    with pytest.raises(AirbyteTracedException, match="its compression is broken"):
        log.reader().read(A, 1, 0)


@pytest.mark.parametrize("packed", [compress(b"\n" * 5_000), b"x" * 1_001], ids=["a bomb", "not compressed"])
def test_a_segment_beyond_the_limit_is_refused_unread(packed: bytes, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_log, "SEGMENT_BYTES", 1_000)
    log.have(f"{A}/1", data=packed)
    with pytest.raises(AirbyteTracedException, match="of lines, which this connector does not read") as caught:
        log.reader().read(A, 1, 0)
    assert caught.value.failure_type.value == "config_error"


def test_a_segment_or_lane_that_is_missing_is_none(log: Log) -> None:
    log.have(f"{A}/1")
    assert log.reader().read(A, 2, 0) is None
    assert log.reader().read(B, 1, 0) is None


def test_a_reader_that_was_closed_can_read_again(log: Log) -> None:
    log.have(f"{A}/1")
    reader = log.reader()
    reader.close()
    assert reader.read(A, 1, 0)
    reader.close()
    assert len(reader.lanes()) == 1


@pytest.mark.slow
def test_aws_sees_which_connector_reads(log: Log) -> None:
    log.reader().lanes()
    assert "airbyte-source-test" in log.requests[-1].headers["user-agent"]


@pytest.mark.slow
def test_the_rights_below_the_inlet_are_enough(aws: Aws) -> None:
    reader = aws.reader()
    assert reader.lanes() == [Lane(A, 1, 1, None)]
    assert reader.read(A, 1, 1) == Lines(LINES[8:], sealed=True)
    assert reader.read(A, 2, 0) is None
    newest = reader.newest()
    assert newest is not None
    assert abs((datetime.now(UTC) - newest).total_seconds()) < 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bucket": "other"}, "There is no bucket named other. Check option bucket, and endpoint_url if it is set."),
        ({"id": "AKIAUNKNOWN000000000"}, "AWS does not know the access key. It came from option credentials"),
        ({"secret": "wrong"}, "The secret does not belong to the access key."),
        ({"region": "nowhere!"}, "Option region is not the name of an AWS region"),
    ],
)
def test_a_wrong_option_has_its_sentence(options: dict[str, Any], sentence: str, aws: Aws) -> None:
    with pytest.raises(AirbyteTracedException) as caught:
        aws.reader(**options).lanes()
    assert str(caught.value.message).startswith(sentence)
    assert caught.value.failure_type.value == "config_error"


def test_a_wrong_region_is_named(log: Log) -> None:
    with pytest.raises(
        AirbyteTracedException, match=r"The bucket webhooks is in another region, us-east-1\. Set region"
    ):
        log.reader(region="eu-west-1").lanes()


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (
            "list-type",
            f"Listing the webhook lanes in the bucket webhooks was refused. Allow s3:ListBucket on the bucket for the "
            f"prefix {ROOT}/ to the role or user that this connector uses.",
        ),
        (
            ".ndjson.zst",
            f"Reading {ROOT}/{A}/000000000001.ndjson.zst in the bucket webhooks was refused, though listing works. "
            "Either s3:GetObject on the bucket's objects is missing (or the object belongs to the webhook-inlet's",
        ),
    ],
)
def test_a_right_that_is_missing_is_named(part: str, sentence: str, log: Log) -> None:
    log.have(f"{A}/1")
    refusal = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    log.bend = lambda request, usual: (
        Response(403, refusal, "application/xml") if part in f"{request.path}?{request.query}" else usual
    )
    reader = log.reader()
    with pytest.raises(AirbyteTracedException) as caught:
        _ = [reader.read(lane.name, 1, 0) for lane in reader.lanes()]
    assert str(caught.value.message).startswith(sentence)


def test_a_bucket_that_is_down_is_asked_again(log: Log) -> None:
    log.have(f"{A}/1")
    busy = iter([503, 503])

    def down(request: Request, usual: Response) -> Response:
        status = next(busy, 200)
        return usual if status == 200 else Response(status, b"<Error><Code>SlowDown</Code></Error>", "application/xml")

    log.bend = down
    assert log.reader().lanes() == [Lane(A, 1, 1, None)]
    assert log.lists == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"prefix": "/inlet/"},
            "Option prefix must be the prefix of the webhook-inlet's configuration, with a slash at",
        ),
        ({"prefix": "inlet"}, "Option prefix must be the prefix of the webhook-inlet's configuration, with a slash at"),
        ({"inlet": "Prod"}, "Option inlet must be the name that the inlet has in the webhook-inlet's configuration"),
        ({"inlet": None}, "Option inlet is missing: enter the name that the inlet has"),
        ({"bucket": "s3://webhooks"}, "Option bucket must be the name of the bucket, without s3://, path or ARN"),
        ({"bucket": None, "inlet": None}, "Option bucket is missing: enter the name of the bucket"),
        ({"endpoint_url": f"https://{64 * 'a'}.example"}, "in endpoint_url cannot be the name of a host"),
        ({"credentials": {"auth_type": "x"}}, "Option credentials must be an object whose auth_type is one of default"),
    ],
)
def test_a_wrong_store_is_named_by_its_option(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AirbyteTracedException) as caught:
        BucketStore.parse({"type": "bucket", "bucket": "webhooks", "inlet": "prod", **options})
    assert sentence in str(caught.value.message)
