"""AWS credentials for the bucket: access key, assumed role, or boto3's default chain."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.credentials import DeferredRefreshableCredentials
from botocore.parsers import ResponseParserError
from source_kit.errors import config_error, shorten
from source_kit.secrets import add_secret

from source_heap.config import HeapConfig, KeyCredentials, RoleCredentials
from source_heap.retrying import ATTEMPTS, retried
from source_heap.s3_errors import REQUEST_ERRORS, failure
from source_heap.s3_rules import NO_STS, OPTIONS, HtmlAnswer, IncompleteAnswer, Operation
from source_heap.session import DefaultChain, core_session, hide_password, make_client, quiet_logs

#: AWS allows one hour at most to a role that was assumed by another role.
ROLE_SECONDS = 3600
SESSION_NAME = "airbyte-source-heap"
#: botocore's variables that hold URLs
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")


@dataclass(frozen=True, slots=True)
class Access:
    """A client for the bucket; `source` says in words where its credentials came from."""

    client: Any
    source: str


def s3_client(config: HeapConfig, attempts: int = ATTEMPTS) -> Access:
    """A client for the bucket. It follows the bucket to its region if the first guess is wrong.

    With `endpoint_url` the bucket goes into the path: such servers seldom have a DNS name for each bucket.
    """
    quiet_logs()
    for name in _ENDPOINTS:
        hide_password(os.environ.get(name) or "")
    style = {"addressing_style": "path"} if config.endpoint_url else {}
    match config.credentials:
        case KeyCredentials() as keys:
            core = core_session(config, with_profiles=False)
            core.set_credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
            return Access(make_client("s3", core, config, config.endpoint_url, s3=style), OPTIONS)
        case RoleCredentials() as role:
            add_secret(role.external_id)
            core = core_session(config, with_profiles=False)
            core.register_component("credential_provider", AssumedRole(config, role, attempts))
            return Access(make_client("s3", core, config, config.endpoint_url, s3=style), f"the role {role.arn}")
        case _:
            chain = DefaultChain.search(config)
            client = make_client("s3", chain.core, config, config.endpoint_url, s3=style)
            chain.refresh_before_signing(client)
            return Access(client, chain.source)


class AssumedRole:
    """The role's credentials, as botocore's `credential_provider`."""

    def __init__(self, config: HeapConfig, role: RoleCredentials, attempts: int) -> None:
        self._config = config
        self._role = role
        self._attempts = attempts

    def load_credentials(self) -> DeferredRefreshableCredentials:
        """Called by botocore. STS is asked when the first request is signed, and again before they expire."""
        return DeferredRefreshableCredentials(refresh_using=self._assume, method="sts-assume-role")

    def _assume(self) -> dict[str, Any]:
        chain = DefaultChain.search(self._config, self._role.arn)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_STS") or self._config.endpoint_url
        sts = make_client("sts", chain.core, self._config, endpoint)
        chain.refresh_before_signing(sts)
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
                RoleSessionName=SESSION_NAME,
                ExternalId=self._role.external_id,
                DurationSeconds=ROLE_SECONDS,
            )
            answer["Credentials"]
        except (ResponseParserError, KeyError) as error:
            raise self._not_of_sts(error) from error
        return answer

    def _not_of_sts(self, error: Exception) -> AirbyteTracedException:
        """The error for an answer that STS would not give."""
        detail = f"{type(error).__name__}: {shorten(str(error))}"
        if self._config.endpoint_url:
            return config_error(NO_STS.format(role=self._role.arn), detail)
        return self._failure(HtmlAnswer(detail) if "html" in detail.lower() else IncompleteAnswer(detail))

    def _failure(self, error: Exception, source: str = OPTIONS) -> AirbyteTracedException:
        return failure(Operation.ROLE, error, bucket=self._config.bucket, role=self._role.arn, source=source)
