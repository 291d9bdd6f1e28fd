"""The keys of what was stored lately: exact, bounded, in memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

#: Keys of all inlets together that are remembered at least
WINDOW_KEYS = 500_000
_GENERATIONS = 4


class KeyWindow:
    """Remembers at least the last `size` keys, and a quarter more (three quarters for a while after a start).

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

    def add_older(self, digests: Iterable[bytes]) -> None:
        """Remembers keys that are older than all others, for as long as there is room for them."""
        if len(self._old) < _GENERATIONS:
            self._old.append(set(digests))


def read_keys(keys: dict[str, Iterator[bytes]], size: int, seconds: float) -> list[bytes]:
    """Digests of what is stored, the newest first; `keys` by inlet, in the same order.

    By number, not by files or age: a copy of an event may come long after it. The inlets take turns, so that a busy one
    does not take the place of a quiet one. It ends after `size` keys or `seconds`; what was not read stays in `keys`.
    """
    until = time.monotonic() + seconds
    found: list[bytes] = []
    while keys and len(found) < size and time.monotonic() < until:
        for inlet, iterator in list(keys.items()):
            turn = [KeyWindow.digest(inlet, key) for key in islice(iterator, 2000)]
            found += turn
            if not turn:
                del keys[inlet]
    return found
