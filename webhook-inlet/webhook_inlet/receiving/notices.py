"""Log lines that a flood of posts cannot multiply."""

from __future__ import annotations

import logging
import time

SECONDS = 10.0

logger = logging.getLogger(__name__)


class Notices:
    """At most one line of a kind in ten seconds. The next one says how many there were."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def warn(self, inlet: str, sentence: str) -> None:
        """Logs a sentence about an inlet. Sentences are constant but for what the configuration bounds."""
        now = time.monotonic()
        at, more = self._said.get((inlet, sentence), (0.0, 0))
        if at and now - at < SECONDS:
            self._said[inlet, sentence] = (at, more + 1)
            return
        self._said[inlet, sentence] = (now, 0)
        logger.warning(
            "inlet %s: %s%s", inlet, sentence, f" ({more} more of these since the last line)" if more else ""
        )
