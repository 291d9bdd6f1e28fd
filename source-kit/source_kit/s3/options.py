"""Options for reaching a bucket. Nothing here imports botocore, so a source without a bucket starts without it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from source_kit.network import require_usable_host
from source_kit.options import Options, group, text, url

#: Names of buckets, those of the early days of S3 too
BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}").fullmatch


def _digits(account: str) -> str:
    return re.sub(r"[\s-]", "", account)  # AWS's console shows account ids with hyphens


def _bare(role: str) -> str:
    return role.removeprefix("role/").lstrip("/")


@dataclass(frozen=True, kw_only=True)
class RoleCredentials(Options):
    """A role in the customer's account that trusts this connector's own credentials, guarded by an external id."""

    external_id: str = text("the external id that the role's trust policy asks for", required=True)
    role_arn: str | None = text(
        "the ARN of a role such as arn:aws:iam::123456789012:role/bucket-reader, or empty, with account_id and "
        "role_name in its place",
        check=re.compile(r"arn:[\w-]+:iam::(?:\d{12})?:role/[\w+=,.@/-]+").fullmatch,
    )
    account_id: str | None = text(
        "the 12 digits of the AWS account that holds the role, such as 1234-5678-9012",
        check=lambda account: re.fullmatch(r"\d{12}", _digits(account)),
        as_text="{:012d}".format,
    )
    role_name: str | None = text(
        "the name of an IAM role, without ARN: letters, digits and +=,.@-_/ only",
        check=lambda role: re.fullmatch(r"[\w+=,.@/-]+", _bare(role), re.ASCII),
    )

    @classmethod
    def filled_in(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """As the base, without what an ARN replaces: a mistake in what is not used stops nobody."""
        given = super().filled_in(raw)
        replaced = ("account_id", "role_name") if "role_arn" in given else ()
        return {name: value for name, value in given.items() if name not in replaced}

    def __post_init__(self) -> None:
        """Raises a config_error where neither the ARN nor its parts are given."""
        for name in ("account_id", "role_name"):
            if self.role_arn is None and getattr(self, name) is None:
                raise self.missing(name)

    @property
    def arn(self) -> str:
        """The role's ARN: as given, else composed."""
        return self.role_arn or f"arn:aws:iam::{_digits(self.account_id or '')}:role/{_bare(self.role_name or '')}"


def _on_one_line(text: str) -> bool:
    return text.isprintable() and not re.search(r"\s", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCredentials(Options):
    """An access key, with a session token if it is a temporary one.

    Keys of AWS are ASCII; S3-compatible servers also allow other letters.
    """

    access_key_id: str = text(
        "the ID of an access key", required=True, secret=True, check=_on_one_line, name="aws_access_key_id"
    )
    secret_access_key: str = text(
        "the secret of the access key, which is shown once, so it may take a new key",
        required=True,
        secret=True,
        check=_on_one_line,
        name="aws_secret_access_key",
    )
    session_token: str | None = text(
        "the session token of the temporary key", secret=True, check=_on_one_line, name="aws_session_token"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultCredentials(Options):
    """What boto3 finds by itself: environment, shared files, instance or container role."""


Credentials = RoleCredentials | KeyCredentials | DefaultCredentials
_CREDENTIALS: Mapping[str, type[Credentials]] = {
    "default": DefaultCredentials,
    "role": RoleCredentials,
    "keys": KeyCredentials,
}


def _has_usable_host(address: str) -> bool:
    require_usable_host(urlsplit(address).hostname or "", "endpoint_url")
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAccess(Options):
    """A bucket, and the way to it. Without `region` it is found; `endpoint_url` is a server other than AWS."""

    bucket: str = text(
        "the name of the bucket, without s3://, path or ARN, such as acme-webhooks", required=True, check=BUCKET_NAME
    )
    credentials: Credentials = group(_CREDENTIALS, default="default")
    region: str | None = text()
    endpoint_url: str | None = url("https://s3.example.com", check=_has_usable_host)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketStore(BucketAccess):
    """The bucket in which a webhook-inlet keeps its log, and the inlet in it. See `webhook_log`."""

    prefix: str | None = text(
        "the prefix of the webhook-inlet's configuration, with a slash at its end and none at its beginning",
        check=lambda prefix: prefix.endswith("/") and not prefix.startswith("/"),
    )
    inlet: str = text(
        "the name that the inlet has in the webhook-inlet's configuration: small letters, digits and hyphens",
        required=True,
        check=re.compile(r"[a-z0-9-]+").fullmatch,
    )
