"""Makes botocore's sessions and clients, and finds the credentials of boto3's default chain."""

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
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, InvalidRegionError, NoCredentialsError
from botocore.loaders import Loader
from botocore.session import Session, get_session
from botocore.utils import get_environ_proxies
from source_kit.errors import config_error
from source_kit.network import bad_bundle, named_bundle, require_usable_proxy
from source_kit.secrets import add_secret

from source_heap.boto import refuse_mfa_prompts
from source_heap.config import HeapConfig
from source_heap.credential_errors import ENVIRONMENT, MfaCodeNeeded, no_credentials, source_of
from source_heap.network import BUNDLE_VARIABLES
from source_heap.s3_errors import failure
from source_heap.s3_rules import Operation

#: Asked first where no region is configured: S3 answers there with the right region of every bucket.
FIRST_REGION = "us-east-1"
_CONNECT_SECONDS = 10
#: Seconds until an answer begins, and between two reads of its body
READ_SECONDS = 60
_CONNECTIONS = 32
#: botocore's description of S3 and STS is a megabyte of JSON: loaded once for all sessions.
_DESCRIPTIONS = Loader()


def core_session(config: HeapConfig, *, with_profiles: bool) -> Session:
    """A botocore session. Without profiles the shared AWS files are not read: they may be broken."""
    core = get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    settings = core.get_component("config_store")
    if not with_profiles:
        settings.set_config_variable("profile", None)
        settings.set_config_variable("config_file", os.devnull)
        settings.set_config_variable("credentials_file", os.devnull)
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


def make_client(service: str, core: Session, config: HeapConfig, endpoint: str | None, **settings: Any) -> Any:
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
        user_agent_extra="airbyte-source-heap",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **settings,
    )
    make: Any = boto3.Session(botocore_session=core).client
    try:
        client = make(service, region_name=config.region or FIRST_REGION, endpoint_url=endpoint, config=configuration)
    except InvalidRegionError as error:
        raise failure(Operation.LIST, error, bucket=config.bucket) from error
    except ValueError as error:
        raise _unusable_endpoint(error) from None
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


def _unusable_endpoint(error: ValueError) -> AirbyteTracedException:
    return config_error(
        "The server's address cannot be used as written: check options endpoint_url and region, and the variables "
        "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_STS where they are set.",
        f"{type(error).__name__}: {error}",
    )


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


def _found(find: Callable[[], Any], source: str, role: str) -> Any:
    """What `find` returns. Its errors are reported as missing credentials, not as answers of S3."""
    try:
        return find()
    except AirbyteTracedException:
        raise
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
    def search(cls, config: HeapConfig, role: str = "") -> DefaultChain:
        """Raises a config_error if there are none. `role` is the role that they would assume, for the error."""

        def find() -> tuple[Session, Credentials | None]:
            core = core_session(config, with_profiles=True)
            refuse_mfa_prompts(core)
            return core, core.get_credentials()

        core, credentials = _found(find, ENVIRONMENT, role)
        if credentials is None:
            raise no_credentials(NoCredentialsError(), ENVIRONMENT, role)
        return cls(core, credentials, source_of(credentials), role)

    def refresh_before_signing(self, client: Any) -> None:
        """Refreshes credentials before a request of the client is signed.

        botocore would refresh them within the request, where an error would look like one of the server.
        """

        def refresh(**_: Any) -> None:
            _found(self.credentials.get_frozen_credentials, self.source, self.role)

        client.meta.events.register_first("before-sign", refresh)
