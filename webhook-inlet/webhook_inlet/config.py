"""The configuration file, checked and typed. Every default and limit is here; `load` says all mistakes at once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from webhook_inlet.config_file import read_options
from webhook_inlet.config_mistakes import ConfigMistakes, sentences
from webhook_inlet.store import INLET_NAME

MIB = 1024 * 1024
STANDARD_PREFIX = "whsec_"
LONGEST_NAME = 100


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

    @model_validator(mode="after")
    def _named(self) -> RoleCredentials:
        if not self.role_arn and not (self.account_id and self.role_name):
            raise ValueError("must have role_arn, or account_id and role_name.")
        return self


class KeyCredentials(Section):
    """An access key, with a session token if it is a temporary one."""

    auth_type: Literal["keys"]
    aws_access_key_id: SecretStr = Field(min_length=1)
    aws_secret_access_key: SecretStr = Field(min_length=1)
    aws_session_token: SecretStr | None = None


class DefaultCredentials(Section):
    """What boto3 finds by itself."""

    auth_type: Literal["default"] = "default"


Credentials = Annotated[RoleCredentials | KeyCredentials | DefaultCredentials, Field(discriminator="auth_type")]


class VolumeConfig(Section):
    """A folder on a disk of this machine. One process at a time."""

    type: Literal["volume"]
    path: Path

    @field_validator("path")
    @classmethod
    def _is_named(cls, path: Path) -> Path:
        if path == Path() or "\0" in str(path):
            raise ValueError("must be the name of a folder, e.g. /data")
        return path


class BucketConfig(Section):
    """S3 and alike. Any number of processes."""

    type: Literal["bucket"]
    bucket: str = Field(min_length=1)
    prefix: str = ""  # ends with a slash, or is empty
    region: str | None = None
    endpoint_url: str | None = None
    credentials: Credentials = DefaultCredentials()

    @field_validator("prefix")
    @classmethod
    def _ends_with_slash(cls, prefix: str) -> str:
        if prefix and (not prefix.endswith("/") or prefix.startswith("/")):
            raise ValueError("must end with a slash and not begin with one, e.g. webhooks/")
        return prefix

    @field_validator("endpoint_url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url


class InletConfig(Section):
    """One sender: a path, and the secrets that sign what comes in on it."""

    name: str = Field(pattern=f"^{INLET_NAME.pattern}$", max_length=LONGEST_NAME)
    source: Literal["customerio", "pendo", "standard"]
    path: SecretStr
    secrets: tuple[SecretStr, ...] = Field(default=(), max_length=10)
    signature: Literal["required", "none"] = "required"
    max_body: int = Field(default=8 * MIB, ge=1024, le=64 * MIB)  # bytes

    @field_validator("path")
    @classmethod
    def _is_secret_enough(cls, path: SecretStr) -> SecretStr:
        text = path.get_secret_value()
        if not 22 <= len(text) <= 200 or not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
            raise ValueError("must be at least 22 URL-safe characters, not a whole URL; `webhook-inlet new` makes one.")
        return path

    @model_validator(mode="after")
    def _secrets_fit(self) -> InletConfig:
        if self.signature == "required" and not self.secrets:
            raise ValueError(
                "secrets: is missing. It, or secrets_file, is the signing key from the sender's page. "
                "`signature: none` takes posts without a signature; then whoever knows the path can post."
            )
        if self.signature == "none" and self.secrets:
            raise ValueError("signature: is `none` beside secrets, which would check nothing. Remove one of them.")
        for place, secret in enumerate(self.secrets):
            text = secret.get_secret_value()
            if not text.strip():
                raise ValueError(f"secrets[{place}]: is empty.")
            if self.source == "standard" and not standard_key(text):
                raise ValueError(f"secrets[{place}]: must be `whsec_` and base64, as the sender shows it.")
        return self


class Config(Section):
    """The whole file."""

    store: Annotated[VolumeConfig | BucketConfig, Field(discriminator="type")]
    read_token: SecretStr
    retention_days: int = Field(default=30, ge=1, le=36_500)
    drain_seconds: float = Field(default=5.0, ge=0, le=3600)
    inlets: tuple[InletConfig, ...]

    @field_validator("inlets")
    @classmethod
    def _at_least_one(cls, inlets: tuple[InletConfig, ...]) -> tuple[InletConfig, ...]:
        if not inlets:
            raise ValueError("must not be empty. `webhook-inlet new` prints an entry.")
        return inlets

    @field_validator("read_token")
    @classmethod
    def _fits_into_a_header(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be one word of visible ASCII characters; `openssl rand -hex 32` makes one.")
        return token


def standard_key(secret: str) -> bytes:
    """The key of a secret of Standard Webhooks (`whsec_` and base64); empty if it is none."""
    if not secret.startswith(STANDARD_PREFIX):
        return b""
    text = secret.removeprefix(STANDARD_PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return b""


def load(file: Path) -> Config:
    """Reads the file, with environment variables and secret files. Raises ConfigMistakes with all mistakes."""
    options, mistakes = read_options(file)
    config = None
    try:
        config = Config.model_validate(options)
    except ValidationError as error:
        # what could not be read from the environment or a file is missing because of that
        known = {mistake.split(":")[0].removesuffix("_file") for mistake in mistakes}
        mistakes += [line for line in sentences(error, Config) if line.split(":")[0] not in known]
    if config is not None:
        mistakes += _twice(config)
    if config is None or mistakes:
        raise ConfigMistakes(mistakes)
    return config


def _twice(config: Config) -> Iterator[str]:
    """Names and paths that stand in two inlets."""
    names: dict[str, int] = {}
    paths: dict[str, int] = {}
    for place, inlet in enumerate(config.inlets):
        if (first := names.setdefault(inlet.name, place)) != place:
            yield f"inlets[{place}].name: is also the name of inlets[{first}]; each inlet needs its own."
        if (first := paths.setdefault(inlet.path.get_secret_value(), place)) != place:
            yield f"inlets[{place}].path: is also the path of inlets[{first}]; `webhook-inlet new` makes another one."
