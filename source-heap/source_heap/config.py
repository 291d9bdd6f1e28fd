"""The options as typed, checked values. Every default and limit is here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from source_kit.convert import parse_instant
from source_kit.errors import config_error, shorten
from source_kit.network import require_usable_host

MAX_WORKERS = 16
#: A date, or with a time, which is in UTC where it names no zone. The pattern of `spec.yaml` says the same.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)


class KeyMode(StrEnum):
    """Which columns identify a row. `STITCH` is what Stitch and tap-heap use, `HEAP` what Heap advises."""

    STITCH = "stitch"
    HEAP = "heap"


class ResyncMode(StrEnum):
    """What a full re-export of a table does."""

    GENERATION = "generation"
    TOMBSTONES = "tombstones"
    FAIL = "fail"


@dataclass(frozen=True)
class RoleCredentials:
    """A role in the customer's account that trusts this connector's own credentials, guarded by an external id."""

    arn: str
    external_id: str


@dataclass(frozen=True)
class KeyCredentials:
    """An access key, with a session token if it is a temporary one."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


@dataclass(frozen=True)
class DefaultCredentials:
    """What boto3 finds by itself: environment, shared files, instance or container role."""


Credentials = RoleCredentials | KeyCredentials | DefaultCredentials


@dataclass(frozen=True)
class HeapConfig:
    """The connector's options."""

    bucket: str
    credentials: Credentials
    region: str | None
    endpoint_url: str | None
    start_date: datetime | None
    key_mode: KeyMode
    normalize_times: bool
    resync_mode: ResyncMode
    skip_missing_files: bool
    num_workers: int

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> HeapConfig:
        """Raises a config_error whose sentence names the option to change."""
        return cls(
            bucket=_bucket(raw),
            credentials=_credentials(raw.get("credentials") or {"auth_type": "default"}),
            region=_text(raw, "region"),
            endpoint_url=_endpoint(raw),
            start_date=_start_date(raw),
            key_mode=KeyMode(_choice(raw, "primary_key_mode", list(KeyMode))),
            normalize_times=_choice(raw, "timestamp_mode", ["normalized", "raw"]) == "normalized",
            resync_mode=ResyncMode(_choice(raw, "resync_mode", list(ResyncMode))),
            skip_missing_files=_choice(raw, "on_missing_file", ["fail", "skip"]) == "skip",
            num_workers=_workers(raw),
        )


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    """An optional text; blank is absent, since forms send it so."""
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        msg = f"Option {name} must be text."
        raise config_error(msg)
    return value.strip() or None


def _bucket(raw: Mapping[str, Any]) -> str:
    bucket = _text(raw, "bucket")
    if bucket is None:
        msg = "Option bucket is missing: enter the name of the S3 bucket that Heap writes to, e.g. heap-rs3-acme."
        raise config_error(msg)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", bucket):
        msg = (
            "Option bucket is not the name of a bucket: enter the name alone, without s3://, path or ARN, "
            "e.g. heap-rs3-acme."
        )
        raise config_error(msg)
    return bucket


def _endpoint(raw: Mapping[str, Any]) -> str | None:
    """The address of a server. One with a name and a password would be shown where addresses are."""
    endpoint = _text(raw, "endpoint_url")
    if endpoint is None:
        return None
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and not re.search(r"[\s?#]", endpoint)
    except ValueError:
        usable = False
    if not usable:
        msg = "Option endpoint_url must begin with https:// or http:// and name a host; leave it empty for AWS."
        raise config_error(msg)
    if parts.username is not None or parts.password is not None:
        msg = (
            "Option endpoint_url carries a user name or password. Leave them out, and enter an access key in "
            "credentials."
        )
        raise config_error(msg)
    require_usable_host(parts.hostname or "", "endpoint_url")
    return endpoint


def _start_date(raw: Mapping[str, Any]) -> datetime | None:
    text = _text(raw, "start_date")
    if text is None:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return parse_instant(text)
    except ValueError:
        msg = f"Option start_date is not a date and time: {shorten(text, 40)!r}. Write it like 2026-01-01T00:00:00Z."
        raise config_error(msg) from None


def _choice(raw: Mapping[str, Any], name: str, known: list[str]) -> str:
    value = raw.get(name)
    if value is None:
        return known[0]
    if value not in known:
        msg = f"Option {name} must be one of {', '.join(known)}, not {shorten(str(value), 40)!r}."
        raise config_error(msg)
    return str(value)


def _workers(raw: Mapping[str, Any]) -> int:
    value = raw.get("num_workers", 2)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WORKERS:
        msg = f"Option num_workers must be a whole number from 1 to {MAX_WORKERS}."
        raise config_error(msg)
    return value


def _key_part(raw: Mapping[str, Any], name: str) -> str | None:
    """A part of an access key, which travels in a header; the sentence never shows it."""
    value = _text(raw, name)
    if value is not None and (re.search(r"\s", value) or not value.isprintable()):
        msg = (
            f"Option {name} has a blank, a line break or a control character inside. Enter it whole, on one line; a "
            "secret is shown once, so it may take a new key."
        )
        raise config_error(msg)
    return value


def _credentials(raw: Any) -> Credentials:
    kind = raw.get("auth_type") if isinstance(raw, Mapping) else None
    if kind == "default":
        return DefaultCredentials()
    if kind == "keys":
        key, secret = _key_part(raw, "aws_access_key_id"), _key_part(raw, "aws_secret_access_key")
        if not key or not secret:
            msg = "The access key is incomplete: enter both aws_access_key_id and aws_secret_access_key."
            raise config_error(msg)
        return KeyCredentials(key, secret, _key_part(raw, "aws_session_token"))
    if kind == "role":
        external_id = _text(raw, "external_id")
        if not external_id:
            msg = "Option external_id is missing: enter the external id that the role's trust policy asks for."
            raise config_error(msg)
        return RoleCredentials(_role_arn(raw), external_id)
    msg = "Option credentials must have an auth_type: role, keys or default."
    raise config_error(msg)


def _role_arn(raw: Mapping[str, Any]) -> str:
    """The role's ARN: as given, else composed. Account ids are shown with hyphens in AWS's console; they go."""
    arn = _text(raw, "role_arn")
    if arn:
        if not re.fullmatch(r"arn:[\w-]+:iam::(?:\d{12})?:role/[\w+=,.@/-]+", arn):
            msg = (
                "Option role_arn is not the ARN of a role: write it like arn:aws:iam::123456789012:role/heap-reader, "
                "or leave it empty and enter account_id and role_name."
            )
            raise config_error(msg)
        return arn
    account = re.sub(r"[\s-]", "", str(raw.get("account_id") or ""))
    if not re.fullmatch(r"\d{12}", account):
        msg = "Option account_id must be the 12 digits of the AWS account that holds the role, e.g. 1234-5678-9012."
        raise config_error(msg)
    role = (_text(raw, "role_name") or "").removeprefix("role/").lstrip("/")
    if not re.fullmatch(r"[\w+=,.@/-]+", role, re.ASCII):
        msg = "Option role_name must be the name of an IAM role, without ARN: letters, digits and +=,.@-_/ only."
        raise config_error(msg)
    return f"arn:aws:iam::{account}:role/{role}"
