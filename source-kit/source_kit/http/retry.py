"""Retries: the policy, the wait before each attempt, `Retry-After`."""

from __future__ import annotations

import email.utils
import logging
import random
import re
from dataclasses import dataclass
from datetime import datetime

from source_kit import activity
from source_kit.convert import utc_now
from source_kit.errors import Action, ErrorRule, shorten
from source_kit.http.body import Response


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request is tried. Waits double from `base_seconds` to `cap_seconds`.

    `tries` is the number of attempts after errors with `Action.RETRY`. `throttled_seconds` limits the sum of the waits
    for a rate limit, with or without `Retry-After`.
    """

    tries: int = 8
    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    throttled_seconds: float = 1800.0

    def backoff(self, failed: int) -> float:
        """Seconds to wait after the attempt with this number, with up to a fifth of jitter, to spread the workers."""
        seconds = min(self.cap_seconds, self.base_seconds * 2.0 ** (failed - 1))
        return seconds * (1.0 + 0.2 * random.random())  # noqa: S311 - jitter, no secret


RETRY_POLICY = RetryPolicy()
#: For `check`, whose user waits for an answer
CHECK_RETRY_POLICY = RetryPolicy(tries=2, base_seconds=0.5, throttled_seconds=0.0)


class Attempts:
    """Counts the attempts of one request and waits between them."""

    def __init__(self, policy: RetryPolicy, what: str, logger: logging.Logger) -> None:
        self._policy = policy
        self._what = what
        self._logger = logger
        self._failed = 0
        self._throttled = 0
        self._waited = 0.0

    def again_or_raise(self, rule: ErrorRule, response: Response | None, detail: str) -> None:
        """Waits before the next attempt. Raises the rule's error if there is none."""
        if rule.action is Action.THROTTLED:
            seconds = self._throttled_wait(response)
        elif rule.action is Action.RETRY:
            seconds = self._retry_wait(rule, response)
        else:
            seconds = None
        status = "no answer" if response is None else f"status {response.status}"
        if seconds is None:
            raise rule.raises(
                message=rule.message,
                internal_message=f"{self._what}: {status}: {shorten(detail)}",
                failure_type=rule.failure_type,
            )
        self._logger.info(f"{self._what}: {status}; trying again in {seconds:.1f} s ({shorten(detail, 120)})")
        activity.current().wait(seconds, f"{self._what}: {status}")

    def _retry_wait(self, rule: ErrorRule, response: Response | None) -> float | None:
        self._failed += 1
        if self._failed >= self._policy.tries:
            return None
        seconds = max(rule.wait, self._policy.backoff(self._failed))
        asked = retry_after(response) or 0.0
        if asked > seconds and self._waited + asked <= self._policy.throttled_seconds:
            self._waited += asked
            return asked
        return seconds

    def _throttled_wait(self, response: Response | None) -> float | None:
        self._throttled += 1
        # a server that asks for no wait would be asked in a tight loop
        seconds = retry_after(response) or self._policy.backoff(self._throttled + 1)
        self._waited += seconds
        return None if self._waited > self._policy.throttled_seconds else seconds


def retry_after(response: Response | None) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or an HTTP date. None if it is absent or unreadable."""
    text = "" if response is None else response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    return max(0.0, (at - utc_now()).total_seconds()) if (at := http_date(text)) else None


def http_date(text: str) -> datetime | None:
    """The instant of an HTTP date; None if it is none or has no zone."""
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo else None
