"""The error table: what S3 and STS answer, whether it can heal, and the sentence that the user reads.

Codes are AWS's documented ones; what was seen of Ceph's gateway and of moto is noted. Some servers answer without the
documented `Error` element (Ceph does for STS), so a code is looked for in several places and may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from source_kit.errors import shorten


class Operation(Enum):
    """What was being done."""

    ROLE = "assuming the role"
    LIST = "listing the manifests"
    GET = "reading an object"


class Missing(AirbyteTracedException):
    """The object does not exist."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: for which operation (None for any) and codes, the sentence, and what to do.

    `heals` answers are tried again; `renews` ones are tried again once with fresh credentials.
    """

    codes: frozenset[str]
    message: str
    operation: Operation | None = None
    failure_type: FailureType = FailureType.config_error
    heals: bool = False
    renews: bool = False
    raises: type[AirbyteTracedException] = AirbyteTracedException

    def matches(self, operation: Operation, code: str) -> bool:
        """Whether this row speaks of the answer."""
        return code in self.codes and self.operation in (None, operation)


def _codes(*names: str) -> frozenset[str]:
    return frozenset(names)


WRONG_ROLE = "AWS does not accept the role {role}: check the account id, the role's name and external_id."
WRONG_REGION = "The bucket {bucket} is in another region{region}. Set region to the bucket's, or leave it empty."
RULES = (
    Rule(
        _codes("AccessDenied", "NoSuchEntity", "403", "404"),
        "AWS refused to let this connector assume the role {role}. Check the account id and the role's name, that the "
        "role's trust policy names the connector's AWS account or user, and that external_id is the one the trust "
        "policy asks for.",
        Operation.ROLE,
    ),
    Rule(
        _codes("ValidationError", "MalformedPolicyDocument", "400"),
        WRONG_ROLE,
        Operation.ROLE,
    ),
    Rule(
        _codes("RegionDisabledException"),
        "The role's AWS account has switched off the region of this connector: set region to one that is on.",
        Operation.ROLE,
    ),
    Rule(
        _codes("InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "SignatureDoesNotMatch"),
        "The connector's own AWS credentials, with which it would assume the role {role}, are not valid. Check the "
        "credentials in the environment in which the connector runs.",
        Operation.ROLE,
    ),
    Rule(
        _codes("NoSuchBucket"),
        "There is no bucket named {bucket}. Check option bucket, and endpoint_url if it is set.",
    ),
    Rule(_codes("InvalidBucketName"), "{bucket} cannot be the name of a bucket. Check option bucket."),
    Rule(
        _codes("NoSuchKey", "404"),
        "The object {key} does not exist in the bucket {bucket}, though a manifest names it. A lifecycle rule or a "
        "person has deleted it; ask Heap to send the table again (turn it off and on in Heap), or set "
        "on_missing_file to skip to read on without it.",
        Operation.GET,
        raises=Missing,
    ),
    Rule(
        _codes("AccessDenied", "AllAccessDisabled", "403"),
        "Listing the manifests in the bucket {bucket} was refused. Allow s3:ListBucket on the bucket for the prefix "
        "manifests/ to the role or user that this connector uses.",
        Operation.LIST,
    ),
    Rule(
        _codes("AccessDenied", "AllAccessDisabled", "403"),
        "Reading {key} in the bucket {bucket} was refused, though listing works. Either s3:GetObject on the bucket's "
        "objects is missing (or the object belongs to Heap's account: set Object Ownership to Bucket owner enforced), "
        "or the object was deleted, which S3 does not tell a caller who may list the prefix manifests/ only.",
        Operation.GET,
    ),
    Rule(
        _codes("InvalidObjectState"),
        "The object {key} is archived in Glacier and cannot be read. Restore it in S3, and keep lifecycle rules away "
        "from this bucket.",
    ),
    Rule(
        _codes("InvalidAccessKeyId", "InvalidClientTokenId"),
        "AWS does not know the access key. Check aws_access_key_id, and whether the key was deleted.",
        renews=True,
    ),
    Rule(
        _codes("SignatureDoesNotMatch"),
        "The secret does not belong to the access key. Check aws_secret_access_key.",
    ),
    Rule(
        _codes("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"),
        "The session token has expired. Enter fresh temporary keys, or use a role or permanent keys instead.",
        renews=True,
    ),
    Rule(
        _codes("InvalidToken"),
        "The session token is not valid. Check aws_session_token, or leave it empty for permanent keys.",
        renews=True,
    ),
    Rule(
        _codes("RequestTimeTooSkewed", "RequestInTheFuture"),
        "The clock of the machine that runs this connector differs from the server's by more than 15 minutes. Set the "
        "clock right.",
    ),
    Rule(
        _codes(
            *("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
            *("IncorrectEndpoint", "TemporaryRedirect", "Redirect", "301", "307"),
        ),
        WRONG_REGION,
    ),
    Rule(
        _codes("PreconditionFailed", "412"),
        "The object {key} was replaced while it was read, several times. Run the sync again when Heap has finished.",
        failure_type=FailureType.transient_error,
        heals=True,
    ),
    Rule(
        _codes(
            *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException"),
            *("RequestLimitExceeded", "OperationAborted", "BandwidthLimitExceeded", "500", "502", "503", "504", "429"),
        ),
        "S3 failed with {code} while {doing}, after several attempts. The state is kept; run the sync again later.",
        failure_type=FailureType.transient_error,
        heals=True,
    ),
)
_UNKNOWN = Rule(
    frozenset(),
    "S3 answered {code} while {doing}. See the internal message for its words.",
    failure_type=FailureType.system_error,
)

_UNREACHABLE = (
    "The connection to S3 could not be made or broke while {doing}, after several attempts. Check the network, region "
    "and endpoint_url; the next sync continues from the last state."
)
_NO_CREDENTIALS = (
    "No AWS credentials were found in the environment in which the connector runs. Enter an access key or a role in "
    "credentials, or give the environment credentials of its own."
)
_NO_CREDENTIALS_FOR_ROLE = (
    "No AWS credentials were found in the environment in which the connector runs, so it cannot assume the role "
    "{role}. Give that environment credentials that may assume it, or enter an access key in credentials."
)
#: Errors without an answer: class, sentence, failure type, whether it heals. First match.
NO_ANSWER: tuple[tuple[type[Exception], str, FailureType, bool], ...] = (
    (NoCredentialsError, _NO_CREDENTIALS, FailureType.config_error, False),
    (PartialCredentialsError, _NO_CREDENTIALS, FailureType.config_error, False),
    (
        InvalidRegionError,
        "Option region is not the name of an AWS region: write it like us-east-1, or leave it empty.",
        FailureType.config_error,
        False,
    ),
    (
        ParamValidationError,
        "{bucket} cannot be the name of a bucket. Check option bucket.",
        FailureType.config_error,
        False,
    ),
    (
        SSLError,
        "The server's TLS certificate could not be verified. Check endpoint_url, and any proxy in between.",
        FailureType.config_error,
        False,
    ),
    (
        EndpointConnectionError,
        "No server answers at the address for this bucket. Check region (is it spelled right?), endpoint_url and the "
        "network; the next sync continues from the last state.",
        FailureType.transient_error,
        True,
    ),
    (ReadTimeoutError, _UNREACHABLE, FailureType.transient_error, True),
    (ConnectTimeoutError, _UNREACHABLE, FailureType.transient_error, True),
    (ConnectionClosedError, _UNREACHABLE, FailureType.transient_error, True),
    (HTTPClientError, _UNREACHABLE, FailureType.transient_error, True),
    (BotoCoreError, _UNREACHABLE, FailureType.transient_error, True),
    (OSError, _UNREACHABLE, FailureType.transient_error, True),
)

#: The same, before all others, while the role is assumed
NO_ANSWER_OF_ROLE: tuple[tuple[type[Exception], str, FailureType, bool], ...] = (
    (NoCredentialsError, _NO_CREDENTIALS_FOR_ROLE, FailureType.config_error, False),
    (PartialCredentialsError, _NO_CREDENTIALS_FOR_ROLE, FailureType.config_error, False),
    (ParamValidationError, WRONG_ROLE, FailureType.config_error, False),
)


def code_of(error: ClientError) -> str:
    """The server's code; where it gave none, the HTTP status."""
    answer: Mapping[str, Any] = error.response
    found = (answer.get("Error") or {}).get("Code") or answer.get("Code")
    return str(found or _status(error) or "an error without a code")


def _status(error: ClientError) -> int | None:
    answer: Mapping[str, Any] = error.response
    return (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode")


def _region_of(error: ClientError) -> str | None:
    answer: Mapping[str, Any] = error.response
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    return headers.get("x-amz-bucket-region") or (answer.get("Error") or {}).get("Region")


def rule_for(operation: Operation, error: ClientError) -> Rule:
    """The row for an answer: by its code, else by its status."""
    for code in (code_of(error), str(_status(error))):
        for rule in RULES:
            if rule.matches(operation, code):
                return rule
    return _UNKNOWN


def heals(operation: Operation, error: Exception) -> bool:
    """Whether trying again may help."""
    if isinstance(error, ClientError):
        return rule_for(operation, error).heals
    return next((row[3] for row in NO_ANSWER if isinstance(error, row[0])), False)


def failure(
    operation: Operation, error: Exception, *, bucket: str, key: str = "", role: str = ""
) -> AirbyteTracedException:
    """The error that the user gets to see."""
    if isinstance(error, AirbyteTracedException):
        return error
    texts = {"bucket": bucket, "key": key, "role": role, "doing": operation.value, "code": "", "region": ""}
    if isinstance(error, ClientError):
        rule = rule_for(operation, error)
        region = _region_of(error)
        texts |= {"code": code_of(error), "region": f", {region}" if region else ""}
        said = (error.response.get("Error") or {}).get("Message") or ""
        return rule.raises(
            message=rule.message.format(**texts),
            internal_message=f"{operation.value} {key}: status {_status(error)}, {code_of(error)}: {shorten(said)}",
            failure_type=rule.failure_type,
        )
    rows = (*NO_ANSWER_OF_ROLE, *NO_ANSWER) if operation is Operation.ROLE else NO_ANSWER
    _, sentence, kind, _ = next(row for row in rows if isinstance(error, row[0]))
    return AirbyteTracedException(
        message=sentence.format(**texts),
        internal_message=f"{operation.value} {key}: {type(error).__name__}: {shorten(str(error))}",
        failure_type=kind,
    )


#: What may be raised by a request or while its body is read
REQUEST_ERRORS: tuple[type[Exception], ...] = (ClientError, BotoCoreError, OSError)
