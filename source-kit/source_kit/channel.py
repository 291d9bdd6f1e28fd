"""The one way from the workers to stdout: ordered, bounded, never silent."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from airbyte_cdk.models import AirbyteMessage, AirbyteStateMessage, AirbyteStreamState

from source_kit.limits import IN_FLIGHT_BYTES
from source_kit.waiting import Stopped

#: About what a message without records takes
_MESSAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """`count` RECORD messages of one stream, encoded, one a line."""

    stream: str
    lines: bytes
    count: int


#: `str` is a line that is encoded already, such as a log line of the CDK's formatter.
ChannelItem: TypeAlias = Batch | AirbyteMessage | str


class Channel:
    """A queue in which records wait for room and every other message does not, though all take room.

    Since all travel in one order, a STATE that is put behind its records is written behind them. Who puts other
    messages in number waits for room before, where it holds no lock.
    """

    def __init__(self, in_flight_bytes: int = IN_FLIGHT_BYTES) -> None:
        self._items: deque[ChannelItem] = deque()
        self._limit = in_flight_bytes
        self._held = 0
        self._closed = False
        self._ended = False
        self._changed = threading.Condition()

    def put(self, item: ChannelItem) -> None:
        """Adds an item; a batch waits until there is room. Raises Stopped when nobody reads any more."""
        with self._changed:
            if isinstance(item, Batch):
                self._wait_for_room()
            if self._closed:
                raise Stopped
            self._held += _size(item)
            self._items.append(item)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Waits until a batch would be let in. Raises Stopped when nobody reads any more."""
        with self._changed:
            self._wait_for_room()
            if self._closed:
                raise Stopped

    def _wait_for_room(self) -> None:
        while self._held >= self._limit and not self._closed:
            self._changed.wait()

    def get(self, timeout: float) -> ChannelItem | None:
        """The next item, or None after `timeout` seconds without one, at once when no more will come."""
        with self._changed:
            if not self._items and not self._ended:
                self._changed.wait(timeout)
            if not self._items:
                return None
            item = self._items.popleft()
            self._held -= _size(item)
            self._changed.notify_all()
            return item

    @property
    def empty(self) -> bool:
        """Whether the next `get` would wait."""
        return not self._items

    @property
    def drained(self) -> bool:
        """Whether the last item was taken and no more will come."""
        return self._ended and not self._items

    def end(self) -> None:
        """Says that no more items will come, which spares the reader its last wait."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wakes all who wait for room; what they wanted to add is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(item: ChannelItem) -> int:
    """About the bytes that an item holds, the same at every call; a STATE may name ten thousand parents."""
    match item:
        case Batch(lines=lines):
            return len(lines)
        case str():
            return len(item)
        case AirbyteMessage(state=AirbyteStateMessage(stream=AirbyteStreamState(stream_state=state))):
            return _MESSAGE_BYTES + len(repr(state.__dict__))
        case _:
            return _MESSAGE_BYTES
