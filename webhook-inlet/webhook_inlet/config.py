"""The configuration file, checked and typed. Every default and limit is here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Section(BaseModel):
    """A part of the configuration. Unknown options are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RoleCredentials(Section):
    """A role that trusts the process's own credentials."""

    auth_type: Literal["role"]
    external_id: str
    role_arn: str | None = None
    account_id: str | None = None
    role_name: str | None = None


class KeyCredentials(Section):
    """An access key, with a session token if it is a temporary one."""

    auth_type: Literal["keys"]
    aws_access_key_id: SecretStr
    aws_secret_access_key: SecretStr
    aws_session_token: SecretStr | None = None


class DefaultCredentials(Section):
    """What boto3 finds by itself."""

    auth_type: Literal["default"] = "default"


Credentials = Annotated[RoleCredentials | KeyCredentials | DefaultCredentials, Field(discriminator="auth_type")]


class VolumeConfig(Section):
    """A folder on a disk of this machine. One process at a time."""

    type: Literal["volume"]
    path: Path


class BucketConfig(Section):
    """S3 and alike. Any number of processes."""

    type: Literal["bucket"]
    bucket: str
    prefix: str = ""  # ends with a slash, or is empty
    region: str | None = None
    endpoint_url: str | None = None
    credentials: Credentials = DefaultCredentials()


class InletConfig(Section):
    """One sender: a path, and the secrets that sign what comes in on it."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    source: Literal["customerio", "pendo", "standard"]
    path: SecretStr
    secrets: tuple[SecretStr, ...] = ()
    signature: Literal["required", "none"] = "required"
    max_body: int = Field(default=8 * 1024 * 1024, ge=1024)


class Config(Section):
    """The whole file."""

    store: Annotated[VolumeConfig | BucketConfig, Field(discriminator="type")]
    read_token: SecretStr
    retention_days: int = Field(default=30, ge=1)
    drain_seconds: float = Field(default=5.0, ge=0)
    inlets: tuple[InletConfig, ...]
