"""What one stream found that another one of the same sync needs too, kept in temporary files.

Reading and adding must not happen at the same time: the reader is a stream that reads after the one that adds.
"""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import orjson
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.disk import store
from source_kit.http.body import SPOOL_MEMORY_BYTES

_LENGTH_BYTES = 4


class Parts:
    """Values of JSON in the order in which they were added, compressed. Not safe for threads."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._read = False

    def add(self, value: Any) -> None:
        """Adds a value. Raises a config_error if there is no room."""
        data = zlib.compress(orjson.dumps(value), 1)
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115 - see clear
        if self._read:
            self._file.seek(0, os.SEEK_END)  # a reader may have stopped in the middle
            self._read = False
        store(self._file, len(data).to_bytes(_LENGTH_BYTES) + data)

    def __iter__(self) -> Iterator[Any]:
        """All values from the first one on. Raises a config_error if what was buffered has no room."""
        if (file := self._file) is not None:
            self._read = True
            store(file, b"")
            while head := file.read(_LENGTH_BYTES):
                yield orjson.loads(zlib.decompress(file.read(int.from_bytes(head))))

    def clear(self) -> None:
        """Forgets all values and frees the room."""
        if self._file is not None:
            self._file.close()
            self._file, self._read = None, False


@dataclass
class FoundPeople:
    """The people of the workspace: a search for all of them, and the preferences in the profiles that were read.

    `ids` are pairs of the number of a batch and the ids in it, all batches of the workspace once the search has
    `ended`. `preferences` are pairs of the number of a batch and what `preferences_of` made of its profiles; `read`
    are the numbers of these batches.
    """

    ids: Parts = field(default_factory=Parts)
    ended: bool = False
    preferences: Parts = field(default_factory=Parts)
    read: set[int] = field(default_factory=set)
    _keeping: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, number: int, preferences: list[Any]) -> None:
        """Keeps the preferences of a batch. Safe for threads.

        Where there is no room, all are forgotten, and the topics' stream reads them again.
        """
        with self._keeping:
            try:
                self.preferences.add([number, preferences])
            except AirbyteTracedException:
                self.preferences.clear()
                self.read.clear()
            else:
                self.read.add(number)

    def clear(self) -> None:
        """Frees the room."""
        with self._keeping:
            self.ids.clear()
            self.preferences.clear()


@dataclass
class FoundObjects:
    """The objects that searches found.

    `pages` are triples: the type, the name of the stream that searched, and pairs of `object_id` and `cio_object_id`,
    either of which may be null. `whole` has the stream that searched a type to its end, by type; where none did, a
    stream uses its own pages.
    """

    pages: Parts = field(default_factory=Parts)
    whole: dict[str, str] = field(default_factory=dict)
