"""Explains why no credentials were found: each sentence names the place that was searched and what is missing there.

The places are those of boto3's default chain, in its order: environment variables, profiles of the shared files (keys,
roles, web identity, sign-on, programs), and the role of the container or the machine.
"""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import (
    ClientError,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    UnknownTokenProviderError,
)
from source_kit.errors import shorten

from source_heap.network import fault_of
from source_heap.s3_errors import code_of, heals, text_of
from source_heap.s3_rules import Operation

#: Sources of credentials in words, by botocore's name for them (`Credentials.method`)
_SOURCES = {
    "env": "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "assume-role": "the role of the AWS profile",
    "assume-role-with-web-identity": "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN",
    "sso": "the AWS sign-on session",
    "login": "the AWS sign-on session",
    "shared-credentials-file": "the shared AWS credentials file",
    "config-file": "the shared AWS config file",
    "custom-process": "the program credential_process of the AWS profile",
    "container-role": "the container's role",
    "iam-role": "the machine's role",
}
ENVIRONMENT = "the environment in which the connector runs"

NO_CREDENTIALS = (
    "No AWS credentials were found in the environment in which the connector runs. Enter an access key or a role in "
    "credentials, or give the environment credentials of its own."
)
NO_CREDENTIALS_FOR_ROLE = (
    "No AWS credentials were found in the environment in which the connector runs, so it cannot assume the role "
    "{role}. Give that environment credentials that may assume it, or enter an access key in credentials."
)
_PARTIAL = (
    "The AWS credentials in the environment in which the connector runs are incomplete: {variable} is missing. Set it "
    "too, or remove the others."
)
_NO_PROFILE = (
    "The variable AWS_PROFILE names the profile {profile}, which is not in the shared AWS files. Correct the variable, "
    "or mount the files that have the profile."
)
_BROKEN_FILE = (
    "The shared AWS file {path} cannot be read: it is not an INI file in UTF-8. Correct it, or name another file in "
    "the variable AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE."
)
_NO_FILE = (
    "The credentials cannot be fetched because the file {path} cannot be used: {why}. A token file is named by the "
    "variable AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, a program by credential_process "
    "of the AWS profile: mount it, readable for the user that runs the connector."
)
_PROCESS = (
    "The program that gives the credentials (credential_process of the AWS profile) failed. Run it where the connector "
    "runs, as the same user, to see why."
)
_SIGN_ON = (
    "The credentials come from an AWS sign-on session (SSO), which was never started or has expired. Sign on again "
    "where the connector runs (aws sso login); a connector that runs unattended needs a role or an access key."
)
_FETCH = (
    "The credentials could not be fetched from {source}. See the internal message for the reason, and check whether "
    "that source works where the connector runs."
)
_SET_UP = (
    "No credentials could be read from {source}, because the settings are wrong: {reason}. Correct the AWS profile or "
    "the variables."
)
_MFA = (
    "The role of the AWS profile needs the code of an MFA device (mfa_serial), which a connector cannot enter. Use a "
    "profile without one, a role, or an access key."
)
_WEB_IDENTITY = (
    "AWS refused the web identity from which the connector gets its credentials ({code}). Check that the role in "
    "AWS_ROLE_ARN trusts the identity provider and this service account (sts:AssumeRoleWithWebIdentity), and that the "
    "token in AWS_WEB_IDENTITY_TOKEN_FILE is fresh."
)
_PROFILE_ROLE = (
    "AWS refused the role of the AWS profile from which the connector gets its credentials ({code}). The profile's own "
    "credentials need the right sts:AssumeRole on it, and the role's trust policy must name them."
)
_REFUSED = (
    "AWS refused to give the connector its credentials from {source} ({doing} answered {code}). Check the "
    "permission for it, and whether the session has expired."
)
_FAILED = (
    "The service that gives the connector its credentials failed or could not be reached ({source}), after several "
    "attempts. Check the network; the next sync continues from the last state."
)


class MfaCodeNeeded(Exception):
    """The profile's role needs the code of an MFA device, which nobody can enter."""


def source_of(credentials: Any) -> str:
    """The source of credentials in words."""
    return _SOURCES.get(str(getattr(credentials, "method", "")), ENVIRONMENT)


def no_credentials(error: Exception, source: str, role: str = "") -> AirbyteTracedException:
    """The error for credentials that were not found; `role` is the role that they would assume."""
    if isinstance(error, ClientError):
        sentence, kind = _refused(error)
        detail = f"{error.operation_name}: {code_of(error)}: {shorten(text_of(error))}"
        texts = {"source": source, "code": code_of(error), "doing": error.operation_name}
        return _traced(sentence.format(**texts), detail, kind)
    if isinstance(error, NoCredentialsError):
        return _traced(NO_CREDENTIALS_FOR_ROLE.format(role=role) if role else NO_CREDENTIALS, str(error))
    detail = f"{type(error).__name__}: {shorten(str(error))}"
    if fault := fault_of(error):
        return _traced(fault.message, detail, fault.failure_type)
    if isinstance(error, ConnectionError | HTTPClientError):
        return _traced(_FAILED.format(source=source), detail, FailureType.transient_error)
    return _traced(_sentence(error, source), detail)


def _refused(error: ClientError) -> tuple[str, FailureType]:
    if heals(Operation.CREDENTIALS, error):
        return _FAILED, FailureType.transient_error
    by_operation = {"AssumeRoleWithWebIdentity": _WEB_IDENTITY, "AssumeRole": _PROFILE_ROLE}
    return by_operation.get(error.operation_name, _REFUSED), FailureType.config_error


def _sentence(error: Exception, source: str) -> str:
    """The sentence for an error without an answer from a server."""
    details: dict[str, Any] = getattr(error, "kwargs", {})
    match error:
        case PartialCredentialsError():
            return _PARTIAL.format(variable=_variable(str(details.get("cred_var"))))
        case ProfileNotFound():
            return _NO_PROFILE.format(profile=str(details.get("profile"))[:60])
        case ConfigParseError():
            return _BROKEN_FILE.format(path=details.get("path"))
        case SSOError() | LoginError() | TokenRetrievalError() | UnknownTokenProviderError():
            return _SIGN_ON
        case JSONDecodeError():  # botocore parses only a program's output without handling this
            return _PROCESS
        case CredentialRetrievalError():
            process = details.get("provider") == "custom-process"
            return _PROCESS if process else _FETCH.format(source=_SOURCES.get(str(details.get("provider")), source))
        case OSError(filename=str(path)):
            return _NO_FILE.format(path=path, why=(error.strerror or "it cannot be read").lower())
        case OSError():
            return _FETCH.format(source=source)
        case MfaCodeNeeded():
            return _MFA
        case InvalidConfigError() | RuntimeError():  # botocore's texts for these name settings, never secrets
            return _SET_UP.format(source=source, reason=shorten(str(error)).rstrip("."))
        case _:
            return _SET_UP.format(source=source, reason="see the internal message for what is wrong")


def _variable(name: str) -> str:
    """The variable for botocore's own name of a credential."""
    return {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}.get(name, name)


def _traced(message: str, detail: str, kind: FailureType = FailureType.config_error) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message=detail, failure_type=kind)
