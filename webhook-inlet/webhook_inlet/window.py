"""The keys of what was stored lately: exact, bounded, in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import islice

#: Keys of all inlets together that are remembered at least
WINDOW_KEYS = 500_000
_GENERATIONS = 4


class KeyWindow:
    """Remembers at least the last `size` keys, and at most a quarter more: about 60 MB for 500,000 (measured).

    Exact digests, no Bloom filter: a false positive would be a lost event. Generations, because taking single keys off
    the front of a dict gets slower and slower.
    """

    def __init__(self, size: int) -> None:
        self._part = -(-size // _GENERATIONS)
        self._new: set[bytes] = set()
        self._old: list[set[bytes]] = []  # the newest first

    @staticmethod
    def digest(inlet: str, key: bytes) -> bytes:
        """The 16 bytes that stand for a key of an inlet. `key` as it stands in a line (JSON text without quotes)."""
        return blake2b(b"%b\n%b" % (inlet.encode(), key), digest_size=16).digest()

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._new:
            return True
        for old in self._old:  # noqa: SIM110 - a generator would cost as much as all the look-ups
            if digest in old:
                return True
        return False

    def __len__(self) -> int:
        return len(self._new) + sum(map(len, self._old))

    def add(self, digest: bytes) -> None:
        """Remembers a key, and forgets the oldest ones when there are too many."""
        if len(self._new) >= self._part:
            self._old = [self._new, *self._old[: _GENERATIONS - 1]]
            self._new = set()
        self._new.add(digest)


def rebuild(window: KeyWindow, keys: Mapping[str, Iterator[bytes]], size: int, seconds: float) -> int:
    """Fills the window from what is stored: `keys` by inlet, the newest first. Returns how many were read.

    By number, not by files or age: a copy of an event may come long after it. The inlets take turns, so that a busy one
    does not take the place of a quiet one. It ends after `size` keys or `seconds`; what is missing then is stored
    twice, and the primary key of the readers collapses it.
    """
    until = time.monotonic() + seconds
    found: list[bytes] = []
    waiting = dict(keys)
    while waiting and len(found) < size and time.monotonic() < until:
        for inlet, iterator in list(waiting.items()):
            turn = [KeyWindow.digest(inlet, key) for key in islice(iterator, 2000)]
            found += turn
            if not turn:
                del waiting[inlet]
    for digest in reversed(found):
        window.add(digest)
    return len(found)
