"""The keys of what was stored lately: exact, bounded, in memory."""

from __future__ import annotations

from hashlib import blake2b


class KeyWindow:
    """Remembers at least the last `size` keys, and at most twice as many: 91 MB for a million (measured).

    Exact digests, no Bloom filter: a false positive would be a lost event. Two generations, because taking single keys
    off the front of a dict gets slower and slower.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    @staticmethod
    def digest(key: bytes) -> bytes:
        """The 16 bytes that stand for a key."""
        return blake2b(key, digest_size=16).digest()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._new or digest in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, digest: bytes) -> None:
        """Remembers a key, and forgets the oldest half when there are too many."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, set()
        self._new.add(digest)
