"""Slices that fail alone: whether the others are still read, and what the stream's error says at the end."""

from __future__ import annotations

import time

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

#: So many slices in a row that failed with a transient error are an outage when that has lasted for so many seconds.
#: With fewer seconds, some broken parts in a row would keep the parts behind them from being read, in every sync. With
#: more seconds, a sync would wait for a server that is gone, at each of the parts that are left.
OUTAGE_AFTER = 10
OUTAGE_SECONDS = 300.0
#: When so many slices failed and none was read, nothing of the stream can be read.
ALL_FAILED_AFTER = 25
#: Parts that a message names, and log lines about them
NAMED = 20
_DETAILS = 3


def concerns_all(error: AirbyteTracedException) -> bool:
    """Whether an error is one of the whole stream, so that its other slices need not be tried.

    True for what the user must fix (a wrong key, a missing right, a full disk), and for an exception class that has a
    true `concerns_all_slices`.
    """
    return error.failure_type is FailureType.config_error or bool(getattr(error, "concerns_all_slices", False))


class FailedSlices:
    """The slices of one stream that failed alone in one sync."""

    def __init__(self) -> None:
        self.count = 0
        #: How many failed since a slice was last read to its end
        self.in_a_row = 0
        self._read = 0
        self._failing_since = 0.0
        self._transient = True
        self._named: list[tuple[int, str]] = []
        self._details: list[str] = []
        self._first: AirbyteTracedException | None = None
        self._first_raised: BaseException | None = None

    def __bool__(self) -> bool:
        return self.count > 0

    def count_read(self) -> None:
        """Counts a slice that was read to its end."""
        self._read += 1
        self.in_a_row = 0

    def add(self, index: int, name: str, error: AirbyteTracedException, raised: BaseException) -> bool:
        """Counts a slice that failed. False says that no more slices should be tried.

        `error` is what is shown of the exception that was `raised`; both are the same where it has a sentence.
        """
        self._failing_since = self._failing_since if self.in_a_row else time.monotonic()
        self.count += 1
        self.in_a_row += 1
        transient = error.failure_type is FailureType.transient_error
        self._transient = self._transient and transient
        if self._first is None:
            self._first, self._first_raised = error, raised
        if len(self._named) < NAMED:
            self._named.append((index, name))
        if len(self._details) < _DETAILS:
            self._details.append(f"{name}: {error.internal_message or error.message}")
        if not self._read and self.count >= ALL_FAILED_AFTER:
            return False
        lasted = time.monotonic() - self._failing_since
        return not (transient and self.in_a_row >= OUTAGE_AFTER and lasted >= OUTAGE_SECONDS)

    def error(self, stream: str, tried: int, given_up: bool = False) -> AirbyteTracedException:
        """The stream's error, with the names of what failed. `tried` is the number of all slices that were started."""
        assert self._first is not None  # noqa: S101 - asked for only when something failed
        if tried == 1:
            return self._first
        names = ", ".join(name for _, name in sorted(self._named)) + (", ..." if self.count > NAMED else "")
        if not self._read:
            message = f"{self._first.message} All {self.count} parts of {stream} that were tried failed: {names}."
        elif given_up:
            message = (
                f"{self.count} of the first {tried} parts of {stream} could not be read: {names}. So many failed one "
                f"after another that the rest was not tried. The next sync tries again. {self._first.message}"
            )
        else:
            message = (
                f"{self.count} of the {tried} parts of {stream} could not be read: {names}. The others were read, and "
                f"the next sync tries these again. {self._first.message}"
            )
        return AirbyteTracedException(
            message=message,
            internal_message="; ".join(self._details),
            failure_type=FailureType.transient_error if self._transient else FailureType.system_error,
            exception=self._first_raised,
        )
