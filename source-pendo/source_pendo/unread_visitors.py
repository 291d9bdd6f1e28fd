"""Visitors whose history could not be read: counted, kept in the state for the next sync, reported at the end."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_pendo.record_ids import digest

#: The most that a state holds, which must stay small
_KEPT: Final = 10
#: After this many failures in a row, ask whether Pendo answers at all
_IN_A_ROW: Final = 10
_MARK_DIGITS: Final = 16
#: The years 2000 to 2099, in epoch milliseconds
_CENTURY: Final = range(946_684_800_000, 4_102_444_800_000)


class UnreadVisitors:
    """Visitors who must be read from an earlier time on than all others. Thread-safe.

    A state holds them as `{"3f2a9c01d4e5b687": 1772341200000}`: a hash of the id, because ids name people, and the
    first millisecond that was not read.
    """

    def __init__(self, before: Any = None) -> None:
        """Raises ValueError if `before` is neither such an object nor None."""
        if before is not None and not (isinstance(before, dict) and all(map(is_time, before.values()))):
            raise ValueError
        self._lock = threading.Lock()
        self._since: dict[str, int] = dict(before or {})
        self._failed: dict[str, AirbyteTracedException] = {}
        self._in_a_row = 0

    def since(self, visitor_id: str) -> int | None:
        """Since when a visitor has not been read, in epoch milliseconds; None if earlier syncs read all."""
        return self._since.get(_mark(visitor_id)) if self._since else None

    def add(self, visitor_id: str, since: int, error: AirbyteTracedException) -> bool:
        """Keep a visitor who could not be read. Returns whether it is time to ask if Pendo answers for anybody."""
        mark = _mark(visitor_id)
        with self._lock:
            self._failed[mark] = error
            self._since[mark] = min(since, self._since.get(mark, since))
            self._in_a_row += 1
            return self._in_a_row % _IN_A_ROW == 0

    def done(self, visitor_id: str) -> None:
        """Forget a visitor who was read to the end or does not exist anymore."""
        with self._lock:
            self._in_a_row = 0
            if self._since:
                self._since.pop(_mark(visitor_id), None)

    @property
    def count(self) -> int:
        """How many could not be read in this sync."""
        return len(self._failed)

    def in_state(self, *, failed_only: bool) -> Mapping[str, int] | None:
        """What a state holds of them; None if they are too many for it.

        `failed_only` drops visitors of earlier syncs who did not come up in this one.
        """
        with self._lock:
            marks = {mark: at for mark, at in self._since.items() if not failed_only or mark in self._failed}
        return marks if len(marks) <= _KEPT else None

    def error(self, *, nobody_answered: bool) -> AirbyteTracedException:
        """The error of the stream: how many are missing, or, if nobody was answered, why the first one failed.

        It names no id. The addresses in Pendo's errors do, so they are masked.
        """
        with self._lock:
            first = next(iter(self._failed.values()))
        message = (
            f"Pendo failed to give the history of {self.count} visitors; all others were read. The next sync asks for "
            "these again; report it to Pendo if it happens again and again."
        )
        return AirbyteTracedException(
            message=first.message if nobody_answered else message,
            internal_message=re.sub(r"/visitor/[^/\s]+/", "/visitor/<id>/", str(first.internal_message)),
            failure_type=first.failure_type,
        )


def is_time(value: Any) -> TypeGuard[int]:
    """Whether a value of a state is an instant of this century, in epoch milliseconds."""
    return isinstance(value, int) and value in _CENTURY


def _mark(visitor_id: str) -> str:
    return digest(visitor_id.encode("utf-8", "surrogatepass"))[:_MARK_DIGITS]
