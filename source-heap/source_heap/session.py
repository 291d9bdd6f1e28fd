"""Who the connector is to AWS: access keys, a role in the customer's account, or what boto3 finds by itself."""

from __future__ import annotations

import logging
from typing import Any

import boto3
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader
from botocore.session import Session, get_session
from source_kit.run import secret_shapes

from source_heap.config import HeapConfig, KeyCredentials, RoleCredentials
from source_heap.s3_errors import Operation, failure

#: AWS caps a role that was assumed by another role at one hour, so asking for more would fail for some.
ROLE_SECONDS = 3600
SESSION_NAME = "airbyte-source-heap"
#: Where bucket and role are asked for when nobody named a region: every other region's bucket answers with its own.
FIRST_REGION = "us-east-1"
_CONNECT_SECONDS = 10
#: Seconds until an answer begins, and between two pieces of it
READ_SECONDS = 60
_CONNECTIONS = 32


def client_config(**more: Any) -> Config:
    """Timeouts, and a single attempt: `bucket` retries itself, the body of an answer included."""
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        user_agent_extra="airbyte-source-heap",
        **more,
    )


def quiet_logs() -> None:
    """At DEBUG botocore logs request headers, and with them session tokens; it never speaks below WARNING here.

    Where a role cannot be assumed it warns with a stack trace, and then raises the same.
    """
    for name in ("boto3", "botocore", "urllib3", "s3transfer"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("botocore.credentials").setLevel(logging.ERROR)


#: botocore's description of S3 and STS is a megabyte of JSON, and each session would read it again.
_DESCRIPTIONS = Loader()


def _core_session() -> Session:
    core = get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    return core


class RoleSession:
    """The role's credentials, fetched anew by botocore before they expire. Raises by the error table."""

    def __init__(self, config: HeapConfig, role: RoleCredentials) -> None:
        self._config = config
        self._role = role

    def credentials(self) -> DeferredRefreshableCredentials:
        """Credentials for a session; nothing is asked of AWS before they are needed."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method="sts-assume-role")

    def _assume(self) -> dict[str, Any]:
        try:
            sts = boto3.Session(botocore_session=_core_session()).client(
                "sts",
                region_name=self._config.region or FIRST_REGION,
                endpoint_url=self._config.endpoint_url,
                config=client_config(),
            )
            answer = sts.assume_role(
                RoleArn=self._role.arn,
                RoleSessionName=SESSION_NAME,
                ExternalId=self._role.external_id,
                DurationSeconds=ROLE_SECONDS,
            )
        except (ClientError, BotoCoreError) as error:
            raise failure(Operation.ROLE, error, bucket=self._config.bucket, role=self._role.arn) from error
        found = answer["Credentials"]
        for secret in (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]):
            for shape in secret_shapes(secret):
                add_to_secrets(shape)
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }


def s3_client(config: HeapConfig) -> Any:
    """A client for the bucket. It follows the bucket to its region where the first guess is wrong.

    Own endpoints get the bucket in the path: they seldom have a name in the DNS for each bucket.
    """
    quiet_logs()
    core = _core_session()
    arguments: dict[str, Any] = {}
    match config.credentials:
        case KeyCredentials() as keys:
            arguments = {
                "aws_access_key_id": keys.access_key_id,
                "aws_secret_access_key": keys.secret_access_key,
                "aws_session_token": keys.session_token,
            }
        case RoleCredentials() as role:
            core._credentials = RoleSession(config, role).credentials()  # type: ignore[attr-defined]
    style = {"addressing_style": "path"} if config.endpoint_url else {}
    return boto3.Session(botocore_session=core).client(
        "s3",
        region_name=config.region or FIRST_REGION,
        endpoint_url=config.endpoint_url,
        config=client_config(s3=style),
        **arguments,
    )
