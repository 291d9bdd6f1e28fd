"""Makes botocore's sessions and clients with the credentials of the options, a role, or boto3's default chain."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.config import Config
from botocore.credentials import Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError, NoCredentialsError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session
from botocore.utils import get_environ_proxies

from source_kit.errors import config_error, shorten
from source_kit.network import bad_bundle, named_bundle, require_usable_proxy
from source_kit.s3.boto import refuse_mfa_prompts
from source_kit.s3.credential_errors import ENVIRONMENT, MfaCodeNeeded, no_credentials, source_of
from source_kit.s3.errors import BUNDLE_VARIABLES, REQUEST_ERRORS, failure
from source_kit.s3.options import BucketAccess, KeyCredentials, RoleCredentials
from source_kit.s3.retrying import ATTEMPTS, retried
from source_kit.s3.rules import NO_STS, OPTIONS, HtmlAnswer, IncompleteAnswer, Operation
from source_kit.secrets import add_secret

#: Asked first where no region is configured: S3 answers there with the right region of every bucket.
FIRST_REGION = "us-east-1"
_CONNECT_SECONDS = 10
#: Seconds until an answer begins, and between two reads of its body
READ_SECONDS = 60
_CONNECTIONS = 32
#: AWS allows one hour at most to a role that was assumed by another role.
ROLE_SECONDS = 3600
#: botocore's variables that hold URLs
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")
#: botocore's description of S3 and STS is a megabyte of JSON: loaded once for all sessions.
_DESCRIPTIONS = Loader()


def core_session(config: BucketAccess, *, with_profiles: bool) -> Session:
    """A botocore session. Without profiles the shared AWS files are not read: they may be broken."""
    core = get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    settings = core.get_component("config_store")
    if not with_profiles:
        for name, unread in (("profile", None), ("config_file", os.devnull), ("credentials_file", os.devnull)):
            settings.set_config_variable(name, unread)
    settings.set_config_variable("ca_bundle", _ca_bundle(core) or True)  # botocore would use a blank variable
    if not core.get_config_variable("region"):  # roles of profiles and web identities need one
        settings.set_config_variable("region", config.region or FIRST_REGION)
    return core


def _ca_bundle(core: Session) -> str:
    """The path of the certificate bundle that a variable or the AWS profile names, or "".

    A variable's bundle matters for https:// only, so it is checked when a connection fails.
    """
    bundle = named_bundle(BUNDLE_VARIABLES)
    if bundle:
        return bundle[1]
    path = (core.get_config_variable("ca_bundle") or "").strip()
    if path and (message := bad_bundle("ca_bundle of the AWS profile", path)):
        raise config_error(message)
    return path


def make_client(service: str, core: Session, config: BucketAccess, endpoint: str | None, **settings: Any) -> Any:
    """A client of a service. Raises a config_error for an address or a proxy that cannot be used.

    It makes one attempt, since `retrying` retries, and that covers reading the body. It neither sends nor compares
    checksums: S3-compatible servers send the checksum of the whole object with a part of it (observed with rclone).
    Lengths are checked in `transfer`, contents by the structure of each file.
    """
    configuration = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **settings,
    )
    region = config.region or FIRST_REGION
    try:
        client = core.create_client(service, region_name=region, endpoint_url=endpoint, config=configuration)
    except InvalidRegionError as error:
        raise failure(Operation.LIST, error, bucket=config.bucket) from error
    except ValueError as error:
        raise config_error(
            "The server's address cannot be used as written: check options endpoint_url and region, and the variables "
            "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_STS where they are set.",
            f"{type(error).__name__}: {error}",
        ) from None
    except (BotoCoreError, OSError) as error:
        raise no_credentials(error, ENVIRONMENT) from error
    url = client.meta.endpoint_url
    hide_password(url)
    require_usable_proxy(url, get_environ_proxies(url).get(urlsplit(url).scheme))
    return client


def hide_password(url: str) -> None:
    """Masks the password in a URL from now on, because botocore's errors quote the URL."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        add_secret(unquote(password))


def quiet_logs() -> None:
    """Keeps botocore out of the log: at DEBUG it logs request headers, with session tokens.

    Some modules also warn, one with a stack trace, of errors that they raise anyway.
    """
    for name in ("boto3", "botocore", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("botocore.credentials", "botocore.tokens", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


#: Errors of botocore's search for credentials; those in the second line come from JSON of another shape than expected.
_NO_CREDENTIALS = (
    *(ClientError, BotoCoreError, OSError, ValueError, RuntimeError, MfaCodeNeeded),
    *(KeyError, AttributeError, TypeError),
)


@contextmanager
def _searched(source: str, role: str) -> Iterator[None]:
    """Reports errors of a search as missing credentials, not as answers of S3."""
    try:
        yield
    except _NO_CREDENTIALS as error:
        raise no_credentials(error, source, role) from error


@dataclass(frozen=True, slots=True)
class DefaultChain:
    """The credentials of boto3's default chain: `source` says in words where they came from."""

    core: Session
    credentials: Credentials
    source: str
    role: str

    @classmethod
    def search(cls, config: BucketAccess, role: str = "") -> DefaultChain:
        """Raises a config_error if there are none. `role` is the role that they would assume, for the error."""
        with _searched(ENVIRONMENT, role):
            core = core_session(config, with_profiles=True)
            refuse_mfa_prompts(core)
            credentials = core.get_credentials()
        if credentials is None:
            raise no_credentials(NoCredentialsError(), ENVIRONMENT, role)
        return cls(core, credentials, source_of(credentials), role)

    def client(self, service: str, config: BucketAccess, endpoint: str | None, **settings: Any) -> Any:
        """As `make_client`, but refreshes the credentials before a request is signed.

        botocore would refresh them within the request, where an error would look like one of the server.
        """

        def refresh(**_: Any) -> None:
            with _searched(self.source, self.role):
                self.credentials.get_frozen_credentials()

        client = make_client(service, self.core, config, endpoint, **settings)
        client.meta.events.register_first("before-sign", refresh)
        return client


@dataclass(frozen=True, slots=True)
class Access:
    """A client for the bucket; `source` says in words where its credentials came from."""

    client: Any
    source: str


def s3_client(config: BucketAccess, reader: str, attempts: int = ATTEMPTS) -> Access:
    """A client for the bucket. It follows the bucket to its region if the first guess is wrong.

    `reader` names the connector to AWS, which logs it: in the user agent, and as the name of a role's session.

    With `endpoint_url` the bucket goes into the path: such servers seldom have a DNS name for each bucket.
    """
    quiet_logs()
    for name in _ENDPOINTS:
        hide_password(os.environ.get(name) or "")
    style = {"addressing_style": "path"} if config.endpoint_url else {}
    settings: dict[str, Any] = {"s3": style, "user_agent_extra": reader}
    match config.credentials:
        case KeyCredentials() as keys:
            core = core_session(config, with_profiles=False)
            core.set_credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
            return Access(make_client("s3", core, config, config.endpoint_url, **settings), OPTIONS)
        case RoleCredentials() as role:
            add_secret(role.external_id)
            core = core_session(config, with_profiles=False)
            core.register_component("credential_provider", AssumedRole(config, role, reader, attempts))
            return Access(make_client("s3", core, config, config.endpoint_url, **settings), f"the role {role.arn}")
        case _:
            chain = DefaultChain.search(config)
            return Access(chain.client("s3", config, config.endpoint_url, **settings), chain.source)


class AssumedRole:
    """The role's credentials, as botocore's `credential_provider`."""

    def __init__(self, config: BucketAccess, role: RoleCredentials, reader: str, attempts: int) -> None:
        self._config = config
        self._role = role
        self._reader = reader
        self._attempts = attempts

    def load_credentials(self) -> DeferredRefreshableCredentials:
        """Called by botocore. STS is asked when the first request is signed, and again before they expire."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method="sts-assume-role")

    def _assume(self) -> dict[str, Any]:
        chain = DefaultChain.search(self._config, self._role.arn)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or self._config.endpoint_url
        sts = chain.client("sts", self._config, endpoint, user_agent_extra=self._reader)
        try:
            answer = retried(lambda: self._answer(sts), Operation.ROLE, self._attempts, "Assuming the role")
        except REQUEST_ERRORS as error:
            raise self._failure(error, source=chain.source) from error
        found = answer["Credentials"]
        for secret in (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]):
            add_secret(secret)
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    def _answer(self, sts: Any) -> Any:
        try:
            answer = sts.assume_role(
                RoleArn=self._role.arn,
                RoleSessionName=self._reader,
                ExternalId=self._role.external_id,
                DurationSeconds=ROLE_SECONDS,
            )
            answer["Credentials"]
        except (ResponseParserError, KeyError) as error:
            detail = f"{type(error).__name__}: {shorten(str(error))}"  # STS would not answer this
            if self._config.endpoint_url:
                raise config_error(NO_STS.format(role=self._role.arn), detail) from error
            cut = HtmlAnswer(detail) if "html" in detail.lower() else IncompleteAnswer(detail)
            raise self._failure(cut) from error
        return answer

    def _failure(self, error: Exception, source: str = OPTIONS) -> AirbyteTracedException:
        return failure(Operation.ROLE, error, bucket=self._config.bucket, role=self._role.arn, source=source)
