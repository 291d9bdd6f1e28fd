"""Each source of credentials that fails has its sentence, which never blames the network or the bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from heap_world import KEYS, Heap, put_event
from odd_server import OddServer
from simulators.heap.s3_server import error
from simulators.server import Request, Response
from source_kit.convert import utc_now
from test_kit.catalogs import Row

ROLE = {"auth_type": "role", "role_arn": "arn:aws:iam::123456789012:role/heap-reader", "external_id": "right-id"}
WEB_IDENTITY = {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
PROFILE_WITH_ROLE = (
    "[default]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\n"
    "[profile base]\naws_access_key_id = AKIAMADEUP\naws_secret_access_key = made-up-secret\n"
)
PROFILE_WITH_CODE = PROFILE_WITH_ROLE.replace("base\n", "base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n", 1)
SIGN_ON = (
    "[default]\nsso_session = x\nsso_account_id = 111122223333\nsso_role_name = r\nregion = us-east-1\n"
    "[sso-session x]\nsso_region = us-east-1\nsso_start_url = https://sign-on.invalid/start\n"
)
STS = "https://sts.amazonaws.com/doc/2011-06-15/"


@pytest.fixture
def bucket() -> Iterator[OddServer]:
    with OddServer() as server:
        put_event(Heap(server), 1, range(3))
        yield server


@pytest.fixture
def sts() -> Iterator[OddServer]:
    """A server that answers whatever `odd` says."""
    with OddServer() as server:
        yield server


def refuse(code: str, status: int = 403) -> Callable[[Request, Response], Response]:
    body = f"<ErrorResponse xmlns='{STS}'><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return lambda request, usual: Response(status, body.encode(), "text/xml")


def give(request: Request, usual: Response) -> Response:
    keys = "<AccessKeyId>ASIAGIVEN</AccessKeyId><SecretAccessKey>given-secret</SecretAccessKey>"
    rest = "<SessionToken>given-token</SessionToken><Expiration>2035-01-01T00:00:00Z</Expiration>"
    result = f"<AssumeRoleResult><Credentials>{keys}{rest}</Credentials></AssumeRoleResult>"
    return Response(200, f"<AssumeRoleResponse xmlns='{STS}'>{result}</AssumeRoleResponse>".encode(), "text/xml")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables; a `config` or a `token` becomes a file. Nothing else of AWS is there."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
    for name in (*keys, "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")

    def make(variables: Mapping[str, str] | None = None, config: str = "", token: str | None = None) -> None:
        path, token_path = tmp_path / "config", tmp_path / "token"
        path.write_text(config)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        if token is not None:
            token_path.write_text(token)
        for name, value in (variables or {}).items():
            monkeypatch.setenv(name, value.replace("/token", str(token_path)))

    return make


def check(bucket: OddServer, **credentials: str) -> Row:
    return Heap(bucket).check(credentials=credentials or {"auth_type": "default"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "config", "sentence"),
    [
        (
            {"AWS_PROFILE": "prod"},
            "",
            "The variable AWS_PROFILE names the profile prod, which is not in the shared AWS config and credentials",
        ),
        ({}, "[default\nx", "The shared AWS file "),
        ({}, "[default]\ncredential_process = /bin/false\n", "The program that gives the credentials (credential_"),
        ({}, "[default]\ncredential_process = /bin/echo x\n", "The program that gives the credentials (credential_"),
        (
            {},
            "[default]\ncredential_process = /no/program\n",
            "The credentials cannot be fetched because the file /",
        ),
        (
            {},
            "[default]\ncredential_process = /bin/echo [1]\n",
            "No credentials could be read from the environment",
        ),
        ({}, PROFILE_WITH_CODE, "The role of the AWS profile needs the code of an MFA device (mfa_serial), which"),
        (WEB_IDENTITY, "", "The credentials cannot be fetched because the file "),
        (
            {},
            SIGN_ON,
            "The credentials come from an AWS sign-on session (SSO), which was never started or has expired.",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "A"},
            "",
            "The AWS credentials in the environment in which the connector runs are incomplete",
        ),
        (
            {},
            "[default]\nrole_arn = x\nsource_profile = y\n",
            "No credentials could be read from the environment in which the connector runs, because the settings are "
            'wrong: The source_profile "y" referenced in the profile "default" does not exist. Correct the AWS ',
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://host.invalid/"},
            "",
            "No credentials could be read from the environment",
        ),
        (
            {},
            "[default]\nca_bundle = /nonexistent/ca.pem\n",
            "ca_bundle of the AWS profile names /nonexistent/ca.pem, which does not exist.",
        ),
        ({}, "", "No AWS credentials were found in the environment in which the connector runs. Enter an access key"),
    ],
)
def test_each_source_that_fails_has_its_sentence(
    variables: Row, config: str, sentence: str, bucket: OddServer, environment: Callable[..., None]
) -> None:
    environment(variables, config)
    status = check(bucket)
    assert status["message"].startswith(sentence)
    assert not bucket.requests
    if config or variables.get("AWS_PROFILE"):  # a key that was entered needs none of it
        assert check(bucket, **KEYS) == {"status": "SUCCEEDED"}


@pytest.mark.parametrize(
    ("variables", "config", "code", "sentence"),
    [
        (
            WEB_IDENTITY,
            "",
            "AccessDenied",
            "AWS refused the web identity from which the connector gets its credentials",
        ),
        (WEB_IDENTITY, "", "InvalidIdentityToken", "AWS refused the web identity from which the connector gets its"),
        (
            {},
            PROFILE_WITH_ROLE,
            "AccessDenied",
            "AWS refused the role of the AWS profile from which the connector gets",
        ),
        (WEB_IDENTITY, "", "Throttling", "The service that gives the connector its credentials failed or could not be"),
    ],
)
def test_a_refusal_names_what_was_requested(
    variables: Row,
    config: str,
    code: str,
    sentence: str,
    bucket: OddServer,
    sts: OddServer,
    environment: Callable[..., None],
) -> None:
    environment({**variables, "AWS_ENDPOINT_URL_STS": sts.url, "AWS_MAX_ATTEMPTS": "1"}, config, token="a-token")
    sts.odd = refuse(code)
    assert check(bucket)["message"].startswith(sentence)
    assert not bucket.requests


def test_a_role_is_assumed_at_the_address_of_sts(
    bucket: OddServer, sts: OddServer, environment: Callable[..., None]
) -> None:
    """Behind an endpoint that speaks S3 alone, as VPC endpoints do."""
    environment({"AWS_ACCESS_KEY_ID": "AKIAMADEUP", "AWS_SECRET_ACCESS_KEY": "made-up-secret"})
    bucket.odd = lambda request, usual: error(405, "MethodNotAllowed", "not here") if request.method == "POST" else None
    assert check(bucket, **ROLE)["message"].startswith(
        f"The server at endpoint_url does not assume roles, so {ROLE['role_arn']} cannot be assumed there"
    )
    environment({"AWS_ENDPOINT_URL_STS": sts.url})
    sts.odd = give
    assert check(bucket, **ROLE) == {"status": "SUCCEEDED"}
    assert "Credential=ASIAGIVEN" not in Heap(bucket).read("event", credentials=ROLE).text


def test_an_address_of_sts_at_which_nothing_answers_is_not_taken_for_the_buckets(
    bucket: OddServer, environment: Callable[..., None]
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}
    environment({**keys, "AWS_ENDPOINT_URL_STS": "http://me:pass-word-in-address@127.0.0.1:1"})
    output = Heap(bucket).read("event", catalog=Heap(bucket).discover().streams, credentials=ROLE)
    assert output.failures["event"].message.startswith("No server answers at the address of STS, where the role arn:")
    assert "pass-word-in-address" not in output.text


def test_an_external_id_that_sts_repeats_is_masked(
    bucket: OddServer, sts: OddServer, environment: Callable[..., None]
) -> None:
    environment({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_ENDPOINT_URL_STS": sts.url})
    sts.odd = lambda request, usual: error(403, "AccessDenied", "not with external-id-0123456789")
    role = {**ROLE, "external_id": "external-id-0123456789"}
    output = Heap(bucket).read("event", catalog=Heap(bucket).discover().streams, credentials=role)
    assert output.last_statuses == {"event": "INCOMPLETE"}
    assert "external-id" not in output.text


@pytest.mark.slow
def test_what_is_wrong_with_the_role_is_tried_again_only_where_it_may_heal(
    bucket: OddServer, sts: OddServer, environment: Callable[..., None]
) -> None:
    environment({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_ENDPOINT_URL_STS": sts.url})
    sts.odd = lambda request, usual: (give if sts.answered else refuse("Throttling", 400))(request, usual)
    assert check(bucket, **ROLE) == {"status": "SUCCEEDED"}
    sts.odd = refuse("AccessDenied")
    sts.answered = 0
    assert check(bucket, **ROLE)["message"].startswith("AWS refused to let this connector assume the role")
    assert sts.answered == 1


def test_credentials_that_cannot_be_renewed_are_not_blamed_on_the_bucket(
    bucket: OddServer, tmp_path: Path, environment: Callable[..., None]
) -> None:
    """A program gives them for five minutes, so they are renewed at once, and gives none any more."""
    soon = (utc_now() + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    once = tmp_path / "once"
    once.write_text(
        "#!/bin/sh\n[ -e $0.given ] && exit 1\ntouch $0.given\n"
        f'echo \'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "{soon}"}}\'\n'
    )
    once.chmod(0o755)
    environment(config=f"[default]\ncredential_process = {once}\n")
    assert check(bucket)["message"].startswith("The program that gives the credentials (credential_process of the AWS")
    assert (tmp_path / "once.given").exists()
    assert not bucket.requests


def test_a_refused_key_is_looked_for_where_it_came_from(bucket: OddServer, environment: Callable[..., None]) -> None:
    environment({"AWS_ACCESS_KEY_ID": "AKIAMADEUP", "AWS_SECRET_ACCESS_KEY": "made-up-secret"})
    bucket.odd = lambda request, usual: error(403, "InvalidAccessKeyId", "no")
    assert "from the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY:" in check(bucket)["message"]
    assert "from option credentials:" in check(bucket, **KEYS)["message"]


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (
            "AccessDenied",
            "not authorized to perform: kms:Decrypt",
            "Allow kms:Decrypt on that key to it, in its",
        ),
        ("KMS.DisabledException", "the key is disabled", "with a key of AWS KMS that cannot be used (KMS.Disabled"),
        ("KMS.NotFoundException", "no such key", "with a key of AWS KMS that cannot be used (KMS.NotFoundException)"),
        ("AccessDenied", "Access Denied", "Either s3:GetObject on the bucket's objects is missing"),
    ],
)
def test_a_refusal_of_the_encryption_key_differs_from_one_of_the_object(
    code: str, words: str, sentence: str, bucket: OddServer
) -> None:
    bucket.odd = lambda request, usual: error(403, code, words) if request.path.endswith(".json") else None
    assert sentence in Heap(bucket).check()["message"]
