"""Explains why no credentials were found: each sentence names the place that was searched and what is missing there.

The places are those of boto3's default chain, in its order: environment variables, profiles of the shared files (keys,
roles, web identity, sign-on, programs), and the role of the container or the machine.
"""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore import exceptions as botocore

from source_kit.errors import shorten
from source_kit.s3.errors import code_of, fault_of, rule_for, text_of
from source_kit.s3.rules import Operation

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


class MfaCodeNeeded(Exception):
    """The profile's role needs the code of an MFA device, which nobody can enter."""


def source_of(credentials: Any) -> str:
    """The source of credentials in words."""
    return _SOURCES.get(str(getattr(credentials, "method", "")), ENVIRONMENT)


def no_credentials(error: Exception, source: str, role: str = "") -> AirbyteTracedException:
    """The error for credentials that were not found; `role` is the role that they would assume."""
    transient = False
    detail = f"{type(error).__name__}: {shorten(str(error))}"
    if isinstance(error, botocore.ClientError):
        detail = f"{error.operation_name}: {code_of(error)}: {shorten(text_of(error))}"
        transient = rule_for(Operation.CREDENTIALS, error).heals
        message = _failed(source) if transient else _refused(error, source)
    elif isinstance(error, botocore.NoCredentialsError):
        message, detail = _none_found(role), str(error)
    elif fault := fault_of(error):
        message, transient = fault.message, fault.heals
    elif isinstance(error, botocore.ConnectionError | botocore.HTTPClientError):
        message, transient = _failed(source), True
    else:
        message = _sentence(error, source)
    kind = FailureType.transient_error if transient else FailureType.config_error
    return AirbyteTracedException(message=message, internal_message=detail, failure_type=kind)


def _failed(source: str) -> str:
    return (
        f"The service that gives the connector its credentials failed or could not be reached ({source}), after "
        "several attempts. Check the network; the next sync continues from the last state."
    )


def _none_found(role: str) -> str:
    if role:
        return (
            "No AWS credentials were found in the environment in which the connector runs, so it cannot assume the "
            f"role {role}. Give that environment credentials that may assume it, or enter an access key in "
            "credentials."
        )
    return (
        "No AWS credentials were found in the environment in which the connector runs. Enter an access key or a role "
        "in credentials, or give the environment credentials of its own."
    )


def _refused(error: botocore.ClientError, source: str) -> str:
    code = code_of(error)
    if error.operation_name == "AssumeRoleWithWebIdentity":
        return (
            f"AWS refused the web identity from which the connector gets its credentials ({code}). Check that the role "
            "in AWS_ROLE_ARN trusts the identity provider and this service account (sts:AssumeRoleWithWebIdentity), "
            "and that the token in AWS_WEB_IDENTITY_TOKEN_FILE is fresh."
        )
    if error.operation_name == "AssumeRole":
        return (
            f"AWS refused the role of the AWS profile from which the connector gets its credentials ({code}). The "
            "profile's own credentials need the right sts:AssumeRole on it, and the role's trust policy must name them."
        )
    return (
        f"AWS refused to give the connector its credentials from {source} ({error.operation_name} answered {code}). "
        "Check the permission for it, and whether the session has expired."
    )


def _sentence(error: Exception, source: str) -> str:
    details: dict[str, Any] = getattr(error, "kwargs", {})
    match error:
        case botocore.PartialCredentialsError(kwargs={"cred_var": variable}):
            variables = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}
            return (
                "The AWS credentials in the environment in which the connector runs are incomplete: "
                f"{variables.get(variable, variable)} is missing. Set it too, or remove the others."
            )
        case botocore.ProfileNotFound():
            return (
                f"The variable AWS_PROFILE names the profile {str(details.get('profile'))[:60]}, which is not in the "
                "shared AWS config and credentials files. Correct the variable, or mount the files that have the "
                "profile."
            )
        case botocore.ConfigParseError():
            return (
                f"The shared AWS file {details.get('path')} cannot be read: it is not an INI file in UTF-8. Correct "
                "it, or name another file in the variable AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE."
            )
        case (
            botocore.SSOError()
            | botocore.LoginError()
            | botocore.TokenRetrievalError()
            | botocore.UnknownTokenProviderError()
        ):
            return (
                "The credentials come from an AWS sign-on session (SSO), which was never started or has expired. Sign "
                "on again where the connector runs (aws sso login); a connector that runs unattended needs a role or "
                "an access key."
            )
        # botocore parses only a program's output without handling this
        case JSONDecodeError() | botocore.CredentialRetrievalError(kwargs={"provider": "custom-process"}):
            return (
                "The program that gives the credentials (credential_process of the AWS profile) failed. Run it where "
                "the connector runs, as the same user, to see why."
            )
        case OSError(filename=str(path)):
            return (
                f"The credentials cannot be fetched because the file {path} cannot be used: "
                f"{(error.strerror or 'it cannot be read').lower()}. A token file is named by the variable "
                "AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, a program by "
                "credential_process of the AWS profile: mount it, readable for the user that runs the connector."
            )
        case botocore.CredentialRetrievalError() | OSError():
            return (
                f"The credentials could not be fetched from {_SOURCES.get(str(details.get('provider')), source)}. See "
                "the internal message for the reason, and check whether that source works where the connector runs."
            )
        case MfaCodeNeeded():
            return (
                "The role of the AWS profile needs the code of an MFA device (mfa_serial), which a connector cannot "
                "enter. Use a profile without one, a role, or an access key."
            )
        case botocore.InvalidConfigError() | RuntimeError():  # botocore's texts for these name settings, never secrets
            reason = shorten(str(error)).rstrip(".")
        case _:
            reason = "see the internal message for what is wrong"
    return (
        f"No credentials could be read from {source}, because the settings are wrong: {reason}. Correct the AWS "
        "profile or the variables."
    )
