"""Turns errors of S3 and STS into errors for the user, by the rows of `s3_rules`.

Some servers omit the documented `Error` element (observed: Ceph's STS), so the code is searched in several places and
may be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, ParamValidationError
from source_kit.errors import shorten

from source_heap.network import fault_of
from source_heap.s3_rules import NO_ANSWER, NO_STS_THERE, OPTIONS, RULES, UNKNOWN, WRONG_ROLE, NoAnswer, Operation, Rule


def code_of(error: ClientError) -> str:
    """The server's error code, or the HTTP status if there is none."""
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
    """The row for an answer: the first one for its code, otherwise the first one for its status."""
    text = text_of(error)
    for code in (code_of(error), str(_status(error))):
        for rule in RULES:
            if rule.matches(operation, code, text):
                return rule
    return UNKNOWN


def text_of(error: ClientError) -> str:
    """The server's message."""
    return str((error.response.get("Error") or {}).get("Message") or "")


def heals(operation: Operation, error: Exception) -> bool:
    """Whether another attempt may succeed."""
    if isinstance(error, ClientError):
        return rule_for(operation, error).heals
    fault = fault_of(error)
    return fault.heals if fault else _row(error)[3]


def _row(error: Exception) -> NoAnswer:
    return next(row for row in NO_ANSWER if isinstance(error, row[0]))


def failure(
    operation: Operation, error: Exception, *, bucket: str, key: str = "", role: str = "", source: str = OPTIONS
) -> AirbyteTracedException:
    """The error for the user. `source` says where the credentials came from."""
    if isinstance(error, AirbyteTracedException):
        return error
    texts = {"bucket": bucket, "key": key, "role": role, "doing": operation.value, "source": source}
    if isinstance(error, ClientError):
        rule = rule_for(operation, error)
        region = _region_of(error)
        texts |= {"code": code_of(error), "region": f", {region}" if region else ""}
        detail = f"status {_status(error)}, {code_of(error)}: {shorten(text_of(error))}"
        return rule.raises(
            message=rule.message.format(**texts),
            internal_message=f"{operation.value} {key}: {detail}",
            failure_type=rule.failure_type,
        )
    if fault := fault_of(error):
        message, kind = fault.message, fault.failure_type
    elif operation is Operation.ROLE and isinstance(error, ParamValidationError):
        message, kind = WRONG_ROLE.format(**texts), FailureType.config_error
    elif operation is Operation.ROLE and isinstance(error, EndpointConnectionError):
        message, kind = NO_STS_THERE.format(**texts), FailureType.transient_error
    else:
        _, sentence, kind, _ = _row(error)
        message = sentence.format(**texts)
    return AirbyteTracedException(
        message=message,
        internal_message=f"{operation.value} {key}: {type(error).__name__}: {shorten(str(error))}",
        failure_type=kind,
    )


#: What a request, or reading its body, may raise
REQUEST_ERRORS: tuple[type[Exception], ...] = (ClientError, BotoCoreError, OSError)
