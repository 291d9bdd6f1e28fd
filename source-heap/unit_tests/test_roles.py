"""Roles, keys and secrets, with a server that checks them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from heap_world import KEYS, Heap, run
from moto.server import ThreadedMotoServer
from simulators.heap.scenarios import scenario


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
        self.check_rights(after=b"0")

    def check_rights(self, after: bytes) -> None:
        """Makes moto check rights after so many requests; it is the same for all of its servers in a process."""
        reset = Request(f"{self.url}/moto-api/reset-auth", after, {"Content-Type": "text/plain"})  # noqa: S310 - loopback
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
        made = Roles(f"http://{host}:{port}")
        yield made
        made.check_rights(after=b"inf")
    finally:
        server.stop()


@pytest.fixture
def as_connector(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the connector: the user's key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", roles.key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", roles.key["SecretAccessKey"])


@pytest.mark.slow
@pytest.mark.usefixtures("as_connector")
def test_a_role_is_assumed_with_its_external_id(roles: Roles) -> None:
    assert run("check", config=roles.config()).connection_status == {"status": "SUCCEEDED"}


@pytest.mark.usefixtures("as_connector")
@pytest.mark.slow
def test_a_wrong_external_id_is_named_as_a_cause(roles: Roles) -> None:
    check = run("check", config=roles.config(external_id="wrong-id")).connection_status
    assert check["status"] == "FAILED"
    assert check["message"].startswith(
        "AWS refused to let this connector assume the role arn:aws:iam::123456789012:role/heap-reader."
    )
    assert "external_id is the one the trust policy asks for" in check["message"]


@pytest.mark.slow
def test_wrong_credentials_of_the_connector_differ_from_a_wrong_role(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", roles.key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    message = run("check", config=roles.config()).connection_status["message"]
    assert message.startswith("The connector's own AWS credentials, with which it would assume the role")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "secret", "sentence"),
    [
        ("AKIAUNKNOWN000000000", "x", "AWS does not know the access key."),
        (None, "wrong", "The secret does not belong to the access key."),
        (None, None, "Listing the manifests in the bucket heap-rs3-roles was refused."),
    ],
)
def test_wrong_keys_have_their_sentences(key: str | None, secret: str | None, sentence: str, roles: Roles) -> None:
    credentials = {
        "auth_type": "keys",
        "aws_access_key_id": key or roles.key["AccessKeyId"],
        "aws_secret_access_key": secret or roles.key["SecretAccessKey"],
    }
    assert (
        run("check", config={**roles.config(), "credentials": credentials})
        .connection_status["message"]
        .startswith(sentence)
    )


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_any_credentials_that_is_said(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    config = {**roles.config(), "credentials": {"auth_type": "default"}}
    assert (
        run("check", config=config)
        .connection_status["message"]
        .startswith("No AWS credentials were found in the environment")
    )
    output = run("check", config=roles.config())
    assert output.connection_status["message"].endswith(
        "so it cannot assume the role arn:aws:iam::123456789012:role/heap-reader. Give that environment credentials "
        "that may assume it, or enter an access key in credentials."
    )
    assert not output.logged("Refreshing")


@pytest.mark.slow
@pytest.mark.usefixtures("as_connector")
def test_a_role_that_sts_would_not_even_look_at_is_not_blamed_on_the_bucket(roles: Roles) -> None:
    output = run("check", config=roles.config(external_id="x"))
    assert output.connection_status["message"].startswith(
        "AWS does not accept the role arn:aws:iam::123456789012:role/heap-reader"
    )
    assert not output.logged("Traceback")
