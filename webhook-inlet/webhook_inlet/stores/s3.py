"""A client for S3 and alike, and what its errors mean: in words, and for an object that was being written."""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from webhook_inlet.config import BucketConfig, DefaultCredentials, KeyCredentials, RoleCredentials
from webhook_inlet.store import StoreFailed

#: Asked first where no region is configured: S3 answers there with the region of every bucket.
FIRST_REGION = "us-east-1"
#: A post must be answered within 4 seconds, so a request may not take longer.
CONNECT_SECONDS = 2
READ_SECONDS = 3
CONNECTIONS = 32
#: AWS allows one hour at most to a role that was assumed by another role.
ROLE_SECONDS = 3600
#: What a request may raise: an answer, no answer, an answer that is none, or a connection that broke
REQUEST_ERRORS = (ClientError, BotoCoreError, ResponseParserError, OSError, ValueError)

#: botocore's description of S3 is a megabyte of JSON: loaded once for all sessions.
_DESCRIPTIONS = Loader()

_NOT_SENT = (
    *(EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError),
    *(CredentialRetrievalError, MetadataRetrievalError),
)
#: Raised before a request is sent, until somebody changes the options or the machine
_WRONG_OPTIONS = (NoCredentialsError, PartialCredentialsError, ParamValidationError)
_NETWORK = (HTTPClientError, NoConnectionError, IncompleteReadError, OSError)
_BAD_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidClientTokenId")
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


class Meaning(Enum):
    """What an error says about the object that was to be written."""

    TAKEN = auto()  # its name is in use
    REFUSED = auto()  # not written, and the next try will be refused as well
    NOT_SENT = auto()  # not written; the next try may succeed
    UNCLEAR = auto()  # written or not
    NO_CONDITIONS = auto()  # not written: the server does not know If-None-Match


def meaning_of(error: Exception) -> Meaning:
    """What an error of PutObject says. What is not known for certain is unclear."""
    if isinstance(error, ClientError):
        status, code = _status(error), _code(error)
        if error.operation_name != "PutObject":  # of STS, before anything was sent
            return Meaning.NOT_SENT if status >= 500 else Meaning.REFUSED
        if status == 412:
            return Meaning.TAKEN
        if status == 501 or code == "NotImplemented":
            return Meaning.NO_CONDITIONS
        if status in (408, 409, 425, 429) or status >= 500 or code == "RequestTimeout":
            return Meaning.UNCLEAR
        return Meaning.REFUSED
    if isinstance(error, _NOT_SENT):
        return Meaning.NOT_SENT
    return Meaning.REFUSED if isinstance(error, _WRONG_OPTIONS) else Meaning.UNCLEAR


def is_missing(error: Exception) -> bool:
    """Whether an object is not there, in a bucket that is."""
    return isinstance(error, ClientError) and _code(error) in ("NoSuchKey", "404")


def is_final(error: Exception) -> bool:
    """Whether a request that changes nothing would be refused again."""
    if isinstance(error, ClientError):
        return _status(error) < 500 and _status(error) not in (408, 429)
    return isinstance(error, _WRONG_OPTIONS)


def words_of(error: Exception, config: BucketConfig) -> str:
    """A sentence for people: what happened, and what to do."""
    bucket, kind = config.bucket, type(error).__name__
    if isinstance(error, ClientError):
        return _words_of_answer(error, bucket)
    if isinstance(error, NoCredentialsError):
        return f"There are no credentials for the bucket {bucket}. Set store.credentials, or give the process a role."
    if isinstance(error, _NETWORK):
        return (
            f"The bucket {bucket} could not be reached ({kind}). Check the network and store.endpoint_url; events are "
            "refused until then."
        )
    if isinstance(error, BotoCoreError):
        return (
            f"The bucket {bucket} cannot be used with these options ({kind}). Check store.bucket, store.region and "
            "store.credentials, and where those are not set the AWS variables and profile of the process."
        )
    return f"What answered for the bucket {bucket} does not speak S3 ({kind}). Check store.endpoint_url."


def _words_of_answer(error: ClientError, bucket: str) -> str:
    status, code = _status(error), _code(error)
    if error.operation_name == "AssumeRole":
        return (
            f"The role for the bucket {bucket} could not be assumed ({code or status}). Check role_arn, or account_id "
            "and role_name, and external_id in store.credentials, and whom the role trusts."
        )
    if code == "NoSuchBucket" or (status == 404 and error.operation_name != "GetObject"):
        return f"There is no bucket {bucket}. Check store.bucket and store.endpoint_url."
    if code in _BAD_KEYS:
        return f"The keys for the bucket {bucket} are not valid ({code}). Check store.credentials."
    if code in _OTHER_REGION:
        return f"The bucket {bucket} lies in another region. Remove store.region, or set it to the bucket's own."
    if code == "RequestTimeTooSkewed":
        return f"The bucket {bucket} refuses requests because this machine's clock is wrong. Set it right."
    if status in (401, 403):
        return (
            f"Access to the bucket {bucket} was denied ({code}). Allow s3:ListBucket on it, and s3:GetObject, "
            "s3:PutObject and s3:DeleteObject on its objects; store.prefix may narrow both."
        )
    return f"The bucket {bucket} answered {status} ({code}). Events are refused until it works again."


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def make_client(config: BucketConfig) -> Any:
    """A client in the bucket's region. Raises StoreFailed with a sentence if there are no usable credentials."""
    for name in ("boto3", "botocore", "urllib3"):  # at DEBUG they log headers with session tokens
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        region = config.region or FIRST_REGION
        client = _client("s3", _session(config), config, region)
        if config.region or config.endpoint_url:
            return client
        found = _region_of(client, config.bucket)
        return client if found in (None, region) else _client("s3", _session(config), config, str(found))
    except (BotoCoreError, ValueError) as error:
        raise StoreFailed(words_of(error, config)) from error


def _client(service: str, session: Session, config: BucketConfig, region: str) -> Any:
    """Each request is one attempt: who asks knows whether it may be repeated, and for how long.

    With `endpoint_url` the bucket goes into the path: such servers seldom have a DNS name for each bucket. Bodies are
    signed, so that a server refuses one that was damaged on its way; checksums of the newer kind are unknown to many.
    """
    s3: dict[str, Any] = {"payload_signing_enabled": True}
    if config.endpoint_url:
        s3["addressing_style"] = "path"
    make_settings: Any = Config
    settings = make_settings(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        user_agent_extra="webhook-inlet",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=s3,
    )
    make: Any = boto3.Session(botocore_session=session).client
    return make(service, region_name=region, endpoint_url=config.endpoint_url, config=settings)


def _region_of(client: Any, bucket: str) -> str | None:
    """The bucket's region, which S3 sends with every answer about it, also with a refusal."""
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    except (BotoCoreError, OSError):  # the list that follows has the sentence for it
        return None
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region")
    return str(region) if region else None


def _new_session() -> Session:
    session = get_session()
    session.register_component("data_loader", _DESCRIPTIONS)
    return session


def _session(config: BucketConfig) -> Session:
    session = _new_session()
    match config.credentials:
        case KeyCredentials() as keys:
            token = keys.aws_session_token
            session.set_credentials(
                keys.aws_access_key_id.get_secret_value(),
                keys.aws_secret_access_key.get_secret_value(),
                token.get_secret_value() if token else None,
            )
        case RoleCredentials() as role:
            session.register_component("credential_provider", _AssumedRole(config, role))
        case DefaultCredentials():
            pass
    return session


class _AssumedRole:
    """The credentials of a role, as botocore's `credential_provider`."""

    def __init__(self, config: BucketConfig, role: RoleCredentials) -> None:
        self._config = config
        self._role = role

    def load_credentials(self) -> DeferredRefreshableCredentials:
        """Called by botocore. STS is asked when the first request is signed, and again before they expire."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method="sts-assume-role")

    def _assume(self) -> dict[str, str]:
        role = self._role
        client = _client("sts", _new_session(), self._config, self._config.region or FIRST_REGION)
        answer = client.assume_role(
            RoleArn=role.role_arn or f"arn:aws:iam::{role.account_id}:role/{role.role_name}",
            RoleSessionName="webhook-inlet",
            ExternalId=role.external_id,
            DurationSeconds=ROLE_SECONDS,
        )
        found = answer["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }
