"""Slices that fail alone: when the others are still read, and what the stream's error says at the end."""

from __future__ import annotations

import time

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

#: So many slices that fail one after another with a server that does not answer well, none read in between, are an
#: outage once that has lasted for so many seconds. Fewer seconds would keep what lies behind some broken parts in a
#: row from being read, in every sync; more would wait for a server that is gone, at each of the parts that are left.
OUTAGE_AFTER = 10
OUTAGE_SECONDS = 300.0
#: So many slices that failed, none read before, are a stream of which nothing can be read.
ALL_FAILED_AFTER = 25
#: Parts that a message names, and log lines about them
NAMED = 20
_DETAILS = 3


def concerns_all(error: AirbyteTracedException) -> bool:
    """Whether an error is one of the whole stream, so that its other slices need not be tried.

    It is one that the user must fix (a wrong key, a missing right, a full disk), or one whose class says so by a true
    `concerns_all_slices`.
    """
    return error.failure_type is FailureType.config_error or bool(getattr(error, "concerns_all_slices", False))


class FailedSlices:
    """The slices of one stream that failed alone in one sync. Not safe for threads: guarded by the engine's lock."""

    def __init__(self) -> None:
        self.count = 0
        #: How many failed since a slice was last read to its end
        self.in_a_row = 0
        self._read = 0
        self._since = 0.0
        self._transient = True
        self._named: list[tuple[int, str]] = []
        self._details: list[str] = []
        self._first: AirbyteTracedException | None = None

    def __bool__(self) -> bool:
        return self.count > 0

    def read(self) -> None:
        """Counts a slice that was read to its end."""
        self._read += 1
        self.in_a_row = 0

    def add(self, index: int, name: str, error: AirbyteTracedException) -> bool:
        """Counts a slice that failed. False says that no more slices should be tried."""
        self._since = self._since if self.in_a_row else time.monotonic()
        self.count += 1
        self.in_a_row += 1
        transient = error.failure_type is FailureType.transient_error
        self._transient = self._transient and transient
        self._first = self._first or error
        if len(self._named) < NAMED:
            self._named.append((index, name))
        if len(self._details) < _DETAILS:
            self._details.append(f"{name}: {error.internal_message or error.message}")
        if not self._read and self.count >= ALL_FAILED_AFTER:
            return False
        lasted = time.monotonic() - self._since
        return not (transient and self.in_a_row >= OUTAGE_AFTER and lasted >= OUTAGE_SECONDS)

    def error(self, stream: str, tried: int, given_up: bool = False) -> AirbyteTracedException:
        """The stream's error, with the names of what failed. `tried` is the number of all slices that were begun."""
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
            exception=self._first._exception or self._first,
        )
