"""Which objects the lists of one sync held, so that streams that walk the same lists share one walk."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from source_kit import activity
from source_kit.raw_rows import RawRows
from source_kit.stream import Rows

AnyRows = TypeVar("AnyRows", bound=Rows)


class ListedObject(NamedTuple):
    """The id of an object as the vendor wrote it, None where it wrote none, and the value of its time of creation."""

    id: Any
    created: Any


class Listed:
    """The objects of each list, by a name of the list: its path with its parameters. Ids and times, no rows.

    A list is known when somebody has read it to its end: the stream of its rows, or the first stream below it that
    needed it. Safe for threads.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[ListedObject]] = {}
        self._looked: dict[str, float] = {}
        self._turns: dict[str, threading.Lock] = {}

    def noting(self, name: str, pages: Iterator[AnyRows], created: str) -> Iterator[AnyRows]:
        """The pages of a list as they come; after the last one, the list is known. `created` is a column."""
        found: list[ListedObject] = []
        for rows in pages:
            if isinstance(rows, RawRows):
                found += map(ListedObject, rows.columns["id"], rows.columns[created])
            else:
                found += [ListedObject(row.get("id"), row.get(created)) for row in rows]
            yield rows
        self._known[name] = found

    def objects(
        self, name: str, pages: Callable[[], Iterator[Rows]], looked_since: float | None = None
    ) -> list[ListedObject]:
        """The objects of a list, which is read if it is not known.

        With `looked_since`, by `time.monotonic`, it is read again unless a call with it did so since then. `pages`
        reads it through `noting`. Of several threads one reads it, and the others wait.
        """
        with self._turn(name):
            looked = self._looked.get(name, -math.inf)
            if name not in self._known or (looked_since is not None and looked < looked_since):
                began = time.monotonic()
                for _ in pages():
                    pass
                if looked_since is not None:
                    self._looked[name] = began
            return self._known[name]

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """Waits until no other thread is in this block for this list. Raises Stopped when the sync ends."""
        lock, here = self._turns.setdefault(name, threading.Lock()), activity.current()
        with here.doing(f"waiting for another stream that lists {name}"):
            while not lock.acquire(timeout=0.1):
                if here.stop.is_set():
                    raise activity.Stopped
        try:
            yield
        finally:
            lock.release()
