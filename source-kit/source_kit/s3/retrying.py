"""Retries requests to S3 and STS as long as their errors may heal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

from source_kit import activity
from source_kit.http.retry import RetryPolicy
from source_kit.s3.errors import REQUEST_ERRORS, code_of, rule_for
from source_kit.s3.rules import IncompleteAnswer, Operation

logger = logging.getLogger("airbyte")

#: Attempts at one request. An attempt that brings a download forward is not counted.
ATTEMPTS = 5
#: Attempts in `check`, whose user is waiting
CHECK_ATTEMPTS = 2
#: The waits between attempts
POLICY = RetryPolicy()

_T = TypeVar("_T")


def retried(
    request: Callable[[], _T],
    operation: Operation,
    attempts: int,
    what: str,
    renew: Callable[[Exception], bool] = lambda error: False,
) -> _T:
    """The result of `request`. Raises its last error when no attempt is left or the error cannot heal.

    `renew` may fetch fresh credentials for an error and return True: then the request is tried at once, one time.
    `what` names the request in the log.
    """
    renewed = False
    attempt = 0
    while True:
        attempt += 1
        try:
            return request()
        except REQUEST_ERRORS as error:
            if not renewed and renew(error):
                renewed = True
                continue
            if attempt >= attempts or not rule_for(operation, error).heals:
                raise
            why = f"{what} failed ({_short(error)})"
        seconds = POLICY.backoff(attempt)
        logger.info(f"{why}; attempt {attempt + 1} follows in {seconds:.1f} s")
        activity.current().wait(seconds, why)


def _short(error: Exception) -> str:
    if isinstance(error, ClientError):
        return code_of(error)
    return str(error) if isinstance(error, IncompleteAnswer) else type(error).__name__
