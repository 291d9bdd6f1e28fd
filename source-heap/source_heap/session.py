"""Who the connector is to AWS: access keys, a role in the customer's account, or what boto3 finds by itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
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
from source_kit.secrets import add_secret

from source_heap.config import HeapConfig, KeyCredentials, RoleCredentials
from source_heap.credential_errors import ENVIRONMENT, CodeWanted, no_credentials, source_of
from source_heap.network import BUNDLE_VARIABLES
from source_heap.retrying import ATTEMPTS, wait
from source_heap.s3_errors import code_of, failure, heals
from source_heap.s3_rules import NO_STS, OPTIONS, CutShort, NotS3, Operation

logger = logging.getLogger("airbyte")

#: AWS caps a role that was assumed by another role at one hour, so asking for more would fail for some.
ROLE_SECONDS = 3600
SESSION_NAME = "airbyte-source-heap"
#: Where bucket and role are asked for when nobody named a region: every other region's bucket answers with its own.
FIRST_REGION = "us-east-1"
_CONNECT_SECONDS = 10
#: Seconds until an answer begins, and between two pieces of it
READ_SECONDS = 60
_CONNECTIONS = 32
#: Variables of botocore's that name addresses
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")


@dataclass(frozen=True, slots=True)
class Access:
    """A client for the bucket, and where its credentials came from, in words."""

    client: Any
    source: str


def client_config(**more: Any) -> Config:
    """Timeouts, and a single attempt: `bucket` retries itself, the body of an answer included.

    Checksums are neither sent nor compared: S3-compatible servers send the one of the whole object with a part of it
    (seen of rclone), which would then count as broken. Every length is looked at, and every file's own structure.
    """
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        user_agent_extra="airbyte-source-heap",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **more,
    )


def quiet_logs() -> None:
    """At DEBUG botocore logs request headers, and with them session tokens; it never speaks below WARNING here.

    Where a role cannot be assumed or a certificate does not fit they warn, one with a stack trace, and then raise it.
    """
    for name in ("boto3", "botocore", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("botocore.credentials", "botocore.tokens", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


#: botocore's description of S3 and STS is a megabyte of JSON, and each session would read it again.
_DESCRIPTIONS = Loader()


def _core_session(config: HeapConfig, with_profiles: bool) -> Session:
    """A session of botocore's. Without profiles nothing of the shared AWS files is read: they may be broken."""
    core = get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    settings = core.get_component("config_store")
    if not with_profiles:
        settings.set_config_variable("profile", None)
        settings.set_config_variable("config_file", os.devnull)
        settings.set_config_variable("credentials_file", os.devnull)
    settings.set_config_variable("ca_bundle", _ca_bundle(core) or True)  # a blank variable would count
    if not core.get_config_variable("region"):  # roles of profiles and web identities are asked for in one
        settings.set_config_variable("region", config.region or FIRST_REGION)
    return core


def _ca_bundle(core: Session) -> str:
    """The file of certificate authorities that a variable or the AWS profile names; empty where none does.

    One that a variable names counts for https:// only, so it is looked at when a connection fails.
    """
    bundle = named_bundle(BUNDLE_VARIABLES)
    if bundle:
        return bundle[1]
    path = (core.get_config_variable("ca_bundle") or "").strip()
    if path and (message := bad_bundle("ca_bundle of the AWS profile", path)):
        raise config_error(message)
    return path


#: What botocore raises where it looks for credentials; of the last ones where a program or service gives other JSON
_NO_CREDENTIALS = (
    *(ClientError, BotoCoreError, OSError, ValueError, RuntimeError, CodeWanted),
    *(KeyError, AttributeError, TypeError),
)


def _ask_nobody(question: str) -> str:
    raise CodeWanted(question)


def _credentials_of(core: Session) -> Any:
    """The first credentials of the default chain; None where there are none."""
    core.get_component("credential_provider").get_provider("assume-role")._prompter = _ask_nobody
    return core.get_credentials()


def _found_credentials(make: Callable[[], Any], source: str, role: str = "") -> Any:
    """What looks for credentials, whose errors are never to be taken for the server's. `role` is what they are for."""
    try:
        return make()
    except AirbyteTracedException:
        raise
    except _NO_CREDENTIALS as error:
        raise no_credentials(error, source, role) from error


@dataclass(frozen=True, slots=True)
class _Environment:
    """What the environment has: a session, its credentials, and in words where they came from."""

    core: Session
    credentials: Credentials
    source: str
    role: str

    @classmethod
    def of(cls, config: HeapConfig, role: str = "") -> _Environment:
        """Raises a config_error where there are no credentials; `role` is the one that they would assume."""
        core: Session = _found_credentials(lambda: _core_session(config, with_profiles=True), ENVIRONMENT, role)
        credentials = _found_credentials(lambda: _credentials_of(core), ENVIRONMENT, role)
        if credentials is None:
            raise no_credentials(NoCredentialsError(), ENVIRONMENT, role)
        return cls(core, credentials, source_of(credentials), role)

    def renew_for(self, client: Any) -> None:
        """Has credentials that go stale renewed right before each request of the client is signed.

        botocore would renew them within the request, where their errors look like the server's.
        """

        def first(**_: Any) -> None:
            _found_credentials(self.credentials.get_frozen_credentials, self.source, self.role)

        client.meta.events.register_first("before-sign", first)


class RoleSession:
    """The role's credentials, fetched anew by botocore before they expire. Raises by the error table."""

    def __init__(self, config: HeapConfig, role: RoleCredentials, attempts: int = ATTEMPTS) -> None:
        self._config = config
        self._role = role
        self._attempts = attempts

    def credentials(self) -> DeferredRefreshableCredentials:
        """Credentials for a session; nothing is asked of AWS before they are needed."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method="sts-assume-role")

    def _assume(self) -> dict[str, Any]:
        environment = _Environment.of(self._config, self._role.arn)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or self._config.endpoint_url
        sts = _client("sts", environment.core, self._config, endpoint)
        environment.renew_for(sts)
        found = self._answer(sts, environment.source)["Credentials"]
        for secret in (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]):
            add_secret(secret)
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    def _answer(self, sts: Any, source: str) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = sts.assume_role(
                    RoleArn=self._role.arn,
                    RoleSessionName=SESSION_NAME,
                    ExternalId=self._role.external_id,
                    DurationSeconds=ROLE_SECONDS,
                )
            except (ResponseParserError, KeyError) as error:
                raise self._not_of_sts(error) from error
            except (ClientError, BotoCoreError) as error:
                if attempt >= self._attempts or not heals(Operation.ROLE, error):
                    texts = {"bucket": self._config.bucket, "role": self._role.arn, "source": source}
                    raise failure(Operation.ROLE, error, **texts) from error
                name = code_of(error) if isinstance(error, ClientError) else type(error).__name__
                wait(attempt, f"STS failed while {Operation.ROLE.value} ({name})")
                continue
            if "Credentials" not in answer:
                raise self._not_of_sts(KeyError("Credentials"))
            return answer

    def _not_of_sts(self, error: Exception) -> AirbyteTracedException:
        """The error for an answer that STS would not give."""
        detail = f"{type(error).__name__}: {shorten(str(error))}"
        if self._config.endpoint_url:
            return config_error(NO_STS.format(role=self._role.arn), detail)
        unlike = NotS3(detail) if "html" in detail.lower() else CutShort(detail)
        return failure(Operation.ROLE, unlike, bucket=self._config.bucket, role=self._role.arn)


def s3_client(config: HeapConfig, attempts: int = ATTEMPTS) -> Access:
    """A client for the bucket. It follows the bucket to its region where the first guess is wrong.

    Own endpoints get the bucket in the path: they seldom have a name in the DNS for each bucket.
    """
    quiet_logs()
    for name in _ENDPOINTS:
        _hide_password(os.environ.get(name) or "")
    style = {"addressing_style": "path"} if config.endpoint_url else {}
    match config.credentials:
        case KeyCredentials() as keys:
            core = _core_session(config, with_profiles=False)
            core.set_credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
            return Access(_client("s3", core, config, config.endpoint_url, s3=style), OPTIONS)
        case RoleCredentials() as role:
            add_secret(role.external_id)
            core = _core_session(config, with_profiles=False)
            core._credentials = RoleSession(config, role, attempts).credentials()  # type: ignore[attr-defined]
            return Access(_client("s3", core, config, config.endpoint_url, s3=style), f"the role {role.arn}")
        case _:
            environment = _Environment.of(config)
            client = _client("s3", environment.core, config, config.endpoint_url, s3=style)
            environment.renew_for(client)
            return Access(client, environment.source)


def _client(service: str, core: Session, config: HeapConfig, endpoint: str | None, **settings: Any) -> Any:
    """A client of a service. Raises a config_error for an address or a proxy that cannot be used."""
    make: Any = boto3.Session(botocore_session=core).client
    try:
        client = make(
            service,
            region_name=config.region or FIRST_REGION,
            endpoint_url=endpoint,
            config=client_config(**settings),
        )
    except InvalidRegionError as error:
        raise failure(Operation.LIST, error, bucket=config.bucket) from error
    except ValueError as error:
        raise _unusable_endpoint(error) from None
    except (BotoCoreError, OSError) as error:
        raise no_credentials(error, ENVIRONMENT) from error
    url = client.meta.endpoint_url
    _hide_password(url)
    require_usable_proxy(url, get_environ_proxies(url).get(urlsplit(url).scheme))
    return client


def _hide_password(url: str) -> None:
    """Has the password of an address masked: botocore's errors name the address. Option endpoint_url has none."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        add_secret(unquote(password))


def _unusable_endpoint(error: ValueError) -> AirbyteTracedException:
    return config_error(
        "The server's address cannot be used as written: check options endpoint_url and region, and the variables "
        "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_STS where they are set.",
        f"{type(error).__name__}: {error}",
    )
