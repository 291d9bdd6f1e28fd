"""What S3 and STS answer, row by row: the exact sentence, its kind, and whether it was tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from heap_world import KEYS, Heap, run
from moto.server import ThreadedMotoServer
from simulators.faults import Fault
from simulators.heap.account import Account, full
from simulators.heap.avro_files import blocks
from simulators.heap.layout import DEFAULT_BUCKET, StoredObject
from simulators.heap.s3_server import BucketServer, error_fault
from simulators.heap.scenarios import scenario
from source_heap.config import HeapConfig
from source_heap.s3_errors import Operation, failure, heals
from source_heap.session import s3_client

CONFIG, TRANSIENT, SYSTEM = "config_error", "transient_error", "system_error"
GET, LIST, ROLE = Operation.GET, Operation.LIST, Operation.ROLE
TABLE: list[tuple[Operation, str, str, bool, str]] = [
    (
        ROLE,
        "AccessDenied",
        CONFIG,
        False,
        "AWS refused to let this connector assume the role R. Check the account id and the role's name, that "
        "the role's trust policy names the connector's AWS account or user, and that external_id is the one "
        "the trust policy asks for.",
    ),
    (
        ROLE,
        "NoSuchEntity",
        CONFIG,
        False,
        "AWS refused to let this connector assume the role R.",
    ),
    (
        ROLE,
        "ValidationError",
        CONFIG,
        False,
        "AWS does not accept the role R: check the account id, the role's name and external_id.",
    ),
    (
        ROLE,
        "RegionDisabledException",
        CONFIG,
        False,
        "The role's AWS account has switched off the region of this connector: set region to one that is on.",
    ),
    (
        ROLE,
        "InvalidClientTokenId",
        CONFIG,
        False,
        "The connector's own AWS credentials, with which it would assume the role R, are not valid.",
    ),
    (
        ROLE,
        "SignatureDoesNotMatch",
        CONFIG,
        False,
        "The connector's own AWS credentials, with which it would assume",
    ),
    (
        LIST,
        "NoSuchBucket",
        CONFIG,
        False,
        "There is no bucket named B. Check option bucket, and endpoint_url if it is set.",
    ),
    (
        LIST,
        "InvalidBucketName",
        CONFIG,
        False,
        "B cannot be the name of a bucket. Check option bucket.",
    ),
    (
        GET,
        "NoSuchKey",
        CONFIG,
        False,
        "The object K does not exist in the bucket B, though a manifest names it. A lifecycle rule or a "
        "person has deleted it; ask Heap to send the table again (turn it off and on in Heap), or set "
        "on_missing_file to skip to read on without it.",
    ),
    (
        LIST,
        "AccessDenied",
        CONFIG,
        False,
        "Listing the manifests in the bucket B was refused. Allow s3:ListBucket on the bucket for the prefix "
        "manifests/ to the role or user that this connector uses.",
    ),
    (
        GET,
        "AccessDenied",
        CONFIG,
        False,
        "Reading K in the bucket B was refused, though listing works. Either s3:GetObject on the bucket's "
        "objects is missing (or the object belongs to Heap's account: set Object Ownership to Bucket owner "
        "enforced), or the object was deleted, which S3 does not tell a caller who may list the prefix "
        "manifests/ only.",
    ),
    (
        GET,
        "InvalidObjectState",
        CONFIG,
        False,
        "The object K is archived in Glacier and cannot be read. Restore it in S3, and keep lifecycle rules "
        "away from this bucket.",
    ),
    (
        LIST,
        "InvalidAccessKeyId",
        CONFIG,
        False,
        "AWS does not know the access key. Check aws_access_key_id, and whether the key was deleted.",
    ),
    (
        LIST,
        "SignatureDoesNotMatch",
        CONFIG,
        False,
        "The secret does not belong to the access key. Check aws_secret_access_key.",
    ),
    (
        GET,
        "ExpiredToken",
        CONFIG,
        False,
        "The session token has expired. Enter fresh temporary keys, or use a role or permanent keys instead.",
    ),
    (
        GET,
        "InvalidToken",
        CONFIG,
        False,
        "The session token is not valid. Check aws_session_token, or leave it empty for permanent keys.",
    ),
    (
        LIST,
        "RequestTimeTooSkewed",
        CONFIG,
        False,
        "The clock of the machine that runs this connector differs from the server's by more than 15 minutes."
        " Set the clock right.",
    ),
    (
        LIST,
        "PermanentRedirect",
        CONFIG,
        False,
        "The bucket B is in another region, eu-west-1. Set region to the bucket's, or leave it empty.",
    ),
    (
        GET,
        "PreconditionFailed",
        TRANSIENT,
        True,
        "The object K was replaced while it was read, several times.",
    ),
    (
        GET,
        "SlowDown",
        TRANSIENT,
        True,
        "S3 failed with SlowDown while reading an object, after several attempts. The state is kept; run the "
        "sync again later.",
    ),
    (
        LIST,
        "InternalError",
        TRANSIENT,
        True,
        "S3 failed with InternalError while listing the manifests",
    ),
    (
        ROLE,
        "Throttling",
        TRANSIENT,
        True,
        "S3 failed with Throttling while assuming the role",
    ),
    (
        GET,
        "Teapot",
        SYSTEM,
        False,
        "S3 answered Teapot while reading an object. See the internal message for its words.",
    ),
]


def answer(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "as told", "Region": "eu-west-1"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(response, "GetObject")


@pytest.mark.parametrize(("operation", "code", "kind", "again", "sentence"), TABLE)
def test_each_answer_has_its_sentence(operation: Operation, code: str, kind: str, again: bool, sentence: str) -> None:
    error = answer(code)
    told = failure(operation, error, bucket="B", key="K", role="R")
    assert told.message is not None
    assert told.message.startswith(sentence)
    assert told.failure_type.value == kind
    assert heals(operation, error) is again
    assert f"{code}: as told" in str(told.internal_message)


@pytest.mark.parametrize(
    ("error", "kind", "again", "sentence"),
    [
        (NoCredentialsError(), CONFIG, False, "No AWS credentials were found in the environment"),
        (ParamValidationError(report="x"), CONFIG, False, "B cannot be the name of a bucket."),
        (SSLError(endpoint_url="x", error="y"), CONFIG, False, "The server's TLS certificate could not be verified."),
        (
            EndpointConnectionError(endpoint_url="x"),
            TRANSIENT,
            True,
            "No server answers at the address for this bucket.",
        ),
        (ReadTimeoutError(endpoint_url="x"), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
        (
            ConnectTimeoutError(endpoint_url="x"),
            TRANSIENT,
            True,
            "The connection to S3 could not be made or broke while",
        ),
        (BotoCoreError(), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
        (OSError("x"), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
    ],
)
def test_each_failure_without_an_answer_has_its_sentence(
    error: Exception, kind: str, again: bool, sentence: str
) -> None:
    told = failure(GET, error, bucket="B", key="K")
    assert (told.message or "").startswith(sentence)
    assert told.failure_type.value == kind
    assert heals(GET, error) is again


@pytest.mark.parametrize(
    "response",
    [
        {"ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": {}}},
        {"Code": "AccessDenied", "ResponseMetadata": {"HTTPStatusCode": 403}},
        {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 403}},
        {"Error": {"Code": "Unheard", "Message": None}, "ResponseMetadata": {"HTTPStatusCode": 403}},
    ],
)
def test_an_answer_without_the_documented_error_is_judged_by_what_it_has(response: Any) -> None:
    told = failure(ROLE, ClientError(response, "AssumeRole"), bucket="B", role="R")
    assert (told.message or "").startswith("AWS refused to let this connector assume the role R.")


def test_an_answer_without_anything_still_has_a_sentence() -> None:
    told = failure(GET, ClientError({}, "GetObject"), bucket="B", key="K")
    assert (told.message or "").startswith("S3 answered an error without a code while reading an object.")


# ---------------------------------------------------------------------------------------------- through the connector


@pytest.fixture
def filled(heap: Heap) -> Heap:
    """A bucket with one dump."""
    for step in scenario("first_sync", bucket=heap.server.bucket):
        heap.server.apply(step)
    return heap


def test_a_bucket_without_manifests_says_to_wait(heap: Heap) -> None:
    message = heap.check()["message"]
    assert message.startswith(f"There are no manifests in the bucket {heap.server.bucket} yet. Heap writes one when a")
    assert heap.discover().failures[""].message == message


def test_a_wrong_bucket_is_named(filled: Heap) -> None:
    assert filled.check(bucket="heap-rs3-other")["message"] == (
        "There is no bucket named heap-rs3-other. Check option bucket, and endpoint_url if it is set."
    )


def test_a_server_that_is_not_there_is_said_so(filled: Heap) -> None:
    message = filled.check(endpoint_url="http://127.0.0.1:9")["message"]
    assert message.startswith("No server answers at the address for this bucket.")


def test_an_html_page_in_place_of_s3_is_an_error(filled: Heap) -> None:
    filled.server.faults.add(Fault("html", times=-1))
    assert filled.check()["status"] == "FAILED"


def test_the_region_is_found_when_nobody_named_it() -> None:
    with BucketServer(region="eu-central-1") as server:
        heap = Heap(server)
        for step in scenario("first_sync", bucket=server.bucket):
            server.apply(step)
        assert heap.check()["status"] == "SUCCEEDED"
        assert heap.read("users").statuses == {"users": "COMPLETE"}


def test_only_manifests_are_listed_and_the_bucket_is_never_asked_about(filled: Heap) -> None:
    filled.check()
    filled.read()
    lists = [request for request in filled.server.requests if "list-type" in request.query]
    assert lists
    assert all(request.query["prefix"] == ["manifests/"] for request in lists)
    assert {request.method for request in filled.server.requests} == {"GET"}


def test_discover_reads_headers_and_never_a_whole_file(filled: Heap) -> None:
    filled.discover()
    asked = [request for request in filled.server.requests if request.path.endswith(".avro")]
    assert asked
    assert all(request.headers["range"] == "bytes=0-65535" for request in asked)


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
@pytest.mark.parametrize("path", [r"prefix=manifests", r"sync_100\.json", r"/sessions/"])
def test_what_can_heal_is_tried_again(code: str, path: str, filled: Heap) -> None:
    catalog = filled.discover().catalog
    filled.server.faults.add(error_fault(503, code, path, times=3))
    output = filled.read("sessions", catalog=catalog)
    assert output.statuses == {"sessions": "COMPLETE"}
    assert len(output.records["sessions"]) == 30


def test_what_does_not_heal_fails_after_five_attempts_and_keeps_the_other_streams(filled: Heap) -> None:
    catalog = filled.discover().catalog
    filled.server.faults.add(error_fault(503, "SlowDown", "/sessions/", times=-1))
    output = filled.read("users", "sessions", catalog=catalog)
    assert output.statuses == {"users": "COMPLETE", "sessions": "INCOMPLETE"}
    assert output.failures["sessions"].failure_type == TRANSIENT
    assert output.code == 1
    assert len([key for key in filled.files_read("sessions") if "part-00000" in key]) == 5


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (403, "InvalidObjectState"), (404, "NoSuchKey")])
def test_what_cannot_heal_fails_at_once(status: int, code: str, filled: Heap) -> None:
    catalog = filled.discover().catalog
    filled.server.faults.add(error_fault(status, code, "/users/", times=-1))
    output = filled.read("users", catalog=catalog)
    assert output.failures["users"].failure_type == CONFIG
    assert len(filled.files_read("users")) == 1


@pytest.mark.parametrize("kind", ["cut", "reset", "drip"])
def test_a_transfer_that_breaks_goes_on_where_it_broke(kind: str, heap: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_heap.session.READ_SECONDS", 0.3)
    (step,) = scenario("file_for_a_cut_transfer", bucket=heap.server.bucket)
    heap.server.apply(step)
    catalog = heap.discover().catalog
    data = next(item.data for item in step.put if item.key.endswith(".avro"))
    # behind a block's end: a reader that trusts the file alone would take it for a whole one
    heap.server.faults.add(Fault(kind, path="/sessions/", at=blocks(data)[5].end, seconds=5, times=1))
    heap.server.faults.add(Fault(kind, path="/sessions/", at=100, seconds=5, times=1))
    output = heap.read("sessions", catalog=catalog)
    assert output.statuses == {"sessions": "COMPLETE"}
    assert [row["event_id"] for row in output.records["sessions"]] == [
        row.values["event_id"] for row in step.live["sessions"].rows
    ]
    ranges = [request.headers.get("range") for request in heap.server.requests if "/sessions/" in request.path]
    assert f"bytes={blocks(data)[5].end}-" in ranges


def test_a_file_that_was_replaced_while_it_was_read_is_read_from_its_start(heap: Heap) -> None:
    account = Account(seed=1, bucket=heap.server.bucket)
    first, second = account.dump(100, {"sessions": full(500)}), account.dump(100, {"sessions": full(300)})
    heap.server.put(first.objects())
    catalog = heap.discover().catalog
    (key,) = [file.key for file in first.files()]
    other = next(second.files()).data

    class Replaces(Fault):
        """Cuts the first answer and replaces the object behind it."""

        def matches(self, method: str, target: str, body: bytes) -> bool:
            hit = super().matches(method, target, body)
            if hit:
                heap.server.put([StoredObject(key, other)])
            return hit

    heap.server.faults.add(Replaces("cut", path="/sessions/", at=1000, times=1))
    output = heap.read("sessions", catalog=catalog)
    assert output.statuses == {"sessions": "COMPLETE"}
    wanted = [row["event_id"] for file in second.files() for row in file.rows]
    assert [row["event_id"] for row in output.records["sessions"]] == wanted


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_a_role_whose_credentials_ran_out_is_assumed_again_in_the_middle_of_a_file(
    code: str, heap: Heap, monkeypatch: pytest.MonkeyPatch
) -> None:
    (step,) = scenario("file_for_a_cut_transfer", bucket=heap.server.bucket)
    heap.server.apply(step)
    catalog = heap.discover().catalog
    made: list[HeapConfig] = []

    def client(config: HeapConfig) -> Any:
        made.append(config)
        return s3_client(HeapConfig.parse(heap.config()))

    monkeypatch.setattr("source_heap.bucket.s3_client", client)
    heap.server.faults.add(Fault("cut", path="/sessions/", at=1000, times=1))
    heap.server.faults.add(error_fault(400, code, "/sessions/", times=1))
    role = {"auth_type": "role", "account_id": "123456789012", "role_name": "heap-reader", "external_id": "x"}
    output = heap.read("sessions", catalog=catalog, credentials=role)
    assert output.statuses == {"sessions": "COMPLETE"}
    assert len(output.records["sessions"]) == 2000
    assert len(made) == 2


def test_a_missing_file_can_be_skipped_and_the_state_moves_on(heap: Heap) -> None:
    for step in scenario("lost_file", bucket=heap.server.bucket)[:2]:
        heap.server.apply(step)
    output = heap.read("sessions", on_missing_file="skip")
    assert output.statuses == {"sessions": "COMPLETE"}
    assert output.logged("does not exist and is skipped")
    assert output.states["sessions"][-1]["_heap_dump_id"] == 101


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"_heap_dump_id": "x"}, "cannot be read: its _heap_dump_id is not a whole number. Reset the stream"),
        ({"_heap_dump_id": 100, "bucket": "other"}, "belongs to the bucket other, not to"),
        ({"_heap_dump_id": 999, "bucket": DEFAULT_BUCKET}, "is at dump 999, but the newest dump in the bucket"),
        ({"cursor": 1}, "cannot be read: its _heap_dump_id is not a whole number."),
    ],
)
def test_a_state_that_cannot_be_used_says_to_reset_the_stream(state: Any, sentence: str, filled: Heap) -> None:
    output = filled.read("users", state={"users": state})
    assert sentence in output.failures["users"].message
    assert output.failures["users"].failure_type == CONFIG
    assert not output.records


def test_a_state_of_the_cursor_alone_is_taken_at_its_word(filled: Heap) -> None:
    output = filled.read("users", state={"users": {"_heap_dump_id": 10**13}})
    assert output.statuses == {"users": "COMPLETE"}
    assert not output.records


def test_a_stream_that_no_manifest_names_fails_alone(filled: Heap) -> None:
    catalog = filled.discover().catalog
    unknown = {**next(stream for stream in catalog if stream["name"] == "users"), "name": "no_such_table"}
    output = filled.read(catalog=[*catalog, unknown])
    assert output.failures["no_such_table"].message.startswith("The source has no stream named 'no_such_table'.")
    assert output.statuses["users"] == "COMPLETE"
    assert output.code == 1


# ---------------------------------------------------------------------------------------------- roles, on moto


class Roles:
    """moto with a bucket, a role that may read it, and a user that may assume the role."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bucket = "heap-rs3-roles"
        step = scenario("first_sync", bucket=self.bucket)[0]
        admin: dict[str, Any] = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "y",
        }
        s3, iam = boto3.client("s3", **admin), boto3.client("iam", **admin)
        s3.create_bucket(Bucket=self.bucket)
        for item in step.put:
            s3.put_object(Bucket=self.bucket, Key=item.key, Body=item.data)
        user = iam.create_user(UserName="connector")["User"]
        self.key = iam.create_access_key(UserName="connector")["AccessKey"]
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        iam.put_user_policy(UserName="connector", PolicyName="assume", PolicyDocument=policy(assume))
        condition = {"StringEquals": {"sts:ExternalId": "right-id"}}
        trust = policy(
            {
                "Effect": "Allow",
                "Principal": {"AWS": user["Arn"]},
                "Action": "sts:AssumeRole",
                "Condition": condition,
            }
        )
        iam.create_role(RoleName="heap-reader", AssumeRolePolicyDocument=trust)
        read = [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{self.bucket}"},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{self.bucket}/*"},
        ]
        iam.put_role_policy(RoleName="heap-reader", PolicyName="read", PolicyDocument=policy(*read))
        reset = Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})  # noqa: S310 - loopback
        urlopen(reset).read()  # noqa: S310

    def config(self, **role: Any) -> dict[str, Any]:
        credentials = {"auth_type": "role", "account_id": "1234-5678-9012", "role_name": "heap-reader", **role}
        return {
            "bucket": self.bucket,
            "endpoint_url": self.url,
            "credentials": {"external_id": "right-id", **credentials},
        }


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def roles() -> Iterator[Roles]:
    """One moto for the module."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Roles(f"http://{host}:{port}")
    finally:
        server.stop()


@pytest.fixture
def as_connector(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the connector: the user's key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", roles.key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", roles.key["SecretAccessKey"])


@pytest.mark.usefixtures("as_connector")
def test_a_role_is_assumed_with_its_external_id(roles: Roles) -> None:
    assert run("check", config=roles.config()).check == {"status": "SUCCEEDED"}


@pytest.mark.usefixtures("as_connector")
def test_a_wrong_external_id_is_named_as_a_cause(roles: Roles) -> None:
    check = run("check", config=roles.config(external_id="wrong-id")).check
    assert check["status"] == "FAILED"
    assert check["message"].startswith(
        "AWS refused to let this connector assume the role arn:aws:iam::123456789012:role/heap-reader."
    )
    assert "external_id is the one the trust policy asks for" in check["message"]


def test_wrong_credentials_of_the_connector_are_told_from_a_wrong_role(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", roles.key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    message = run("check", config=roles.config()).check["message"]
    assert message.startswith("The connector's own AWS credentials, with which it would assume the role")


@pytest.mark.parametrize(
    ("key", "secret", "sentence"),
    [
        ("AKIAUNKNOWN000000000", "x", "AWS does not know the access key."),
        (None, "wrong", "The secret does not belong to the access key."),
        (None, None, "Listing the manifests in the bucket heap-rs3-roles was refused."),
    ],
)
def test_wrong_keys_are_told_apart(key: str | None, secret: str | None, sentence: str, roles: Roles) -> None:
    credentials = {
        "auth_type": "keys",
        "aws_access_key_id": key or roles.key["AccessKeyId"],
        "aws_secret_access_key": secret or roles.key["SecretAccessKey"],
    }
    assert run("check", config={**roles.config(), "credentials": credentials}).check["message"].startswith(sentence)


@pytest.mark.usefixtures("as_connector")
@pytest.mark.parametrize("debug", [False, True])
def test_no_secret_shows_anywhere(debug: bool, roles: Roles, heap: Heap) -> None:
    output = run("check", config=roles.config(), debug=debug)
    assert roles.key["SecretAccessKey"] not in output.text
    for step in scenario("first_sync", bucket=heap.server.bucket):
        heap.server.apply(step)
    text = heap.read(debug=debug).text
    assert KEYS["aws_secret_access_key"] not in text
    assert KEYS["aws_access_key_id"] not in text
    assert "X-Amz-Security-Token" not in output.text + text


def test_without_any_credentials_that_is_said(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    config = {**roles.config(), "credentials": {"auth_type": "default"}}
    assert run("check", config=config).check["message"].startswith("No AWS credentials were found in the environment")
