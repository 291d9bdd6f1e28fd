"""How often a request is tried, and the pauses in between."""

from __future__ import annotations

import logging

from source_kit import activity
from source_kit.http.retry import RetryPolicy

logger = logging.getLogger("airbyte")

#: Attempts at one request; a file that goes on arriving may break as often as it likes.
ATTEMPTS = 5
#: For `check`: an answer now is worth more than one that waited.
CHECK_ATTEMPTS = 2
POLICY = RetryPolicy()


def wait(attempt: int, why: str) -> None:
    """The pause behind a failed attempt: half a second, then twice as long each time."""
    seconds = POLICY.backoff(attempt)
    logger.info(f"{why}; attempt {attempt + 1} follows in {seconds:.1f} s")
    activity.current().wait(seconds, why)
