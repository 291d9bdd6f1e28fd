"""Writes one lane of a bucket: a number is taken only when it is certain that the one before was stored."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from webhook_inlet import s3, segments
from webhook_inlet.bucket_objects import Objects
from webhook_inlet.s3 import Meaning
from webhook_inlet.store import Lane, StoreError, new_lane, segment_name

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
#: Keys of refused lines that are remembered
_MOST_REPEATED = 50_000


@dataclass(slots=True)
class Pending:
    """An object that is being written.

    `unclear`: some try may have stored it. `refused`: its senders were told that it is not stored.
    """

    number: int
    packed: bytes
    lines: int
    newest: bytes
    unclear: bool = False
    refused: bool = False


class LaneWriter:
    """This process's lane of an inlet. Used by one thread at a time."""

    def __init__(self, objects: Objects, inlet: str) -> None:
        self._objects = objects
        self.inlet = inlet
        self.lane = new_lane()
        self.last = 0
        #: As readers are told; replaced as a whole, because they look from other threads
        self.shown: Lane | None = None
        self.newest = b""  # the last line
        self.pending: Pending | None = None
        self._repeated: dict[bytes, None] = {}  # keys that are stored although their senders were refused

    def commit(self, lines: Sequence[bytes], until: float) -> None:
        """Stores lines as one object. Raises StoreError; nothing is repeated after `until` (time.monotonic).

        An object whose fate is unclear stays pending and goes first the next time: its lines may be stored although
        their senders were refused. When these repeat them, they are not stored once more.
        """
        if self.pending:
            self.settle(until)
        if self._repeated:
            lines = [line for line in lines if not self._repeated.keys() & segments.keys(line)]
            if not lines:
                return
        packed = segments.compress(b"\n".join([*lines, b""]))
        self.pending = Pending(self.last + 1, packed, len(lines), lines[-1])
        self.settle(until)

    def settle(self, until: float) -> None:
        """Writes what is pending until that is certain. Raises StoreError."""
        pause = _FIRST_PAUSE
        while pending := self.pending:
            try:
                self._try(pending)
            except _NotYet as trouble:
                if trouble.final or time.monotonic() + pause >= until:
                    if not pending.unclear:
                        self.pending = None
                    pending.refused = True
                    raise StoreError(str(trouble)) from trouble
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _try(self, pending: Pending) -> None:
        """One PUT, and what its answer means. Raises _NotYet."""
        objects = self._objects
        key = objects.key(self.inlet, self.lane, segment_name(pending.number, sealed=True))
        conditional = objects.conditional
        try:
            objects.put_new(key, pending.packed)
        except s3.REQUEST_ERRORS as error:
            match s3.meaning_of(error):
                case Meaning.TAKEN:
                    self._compare(key, pending)
                case Meaning.NO_CONDITIONS if conditional:
                    logger.warning(
                        "The server of the bucket %s does not know If-None-Match, so objects are written without it. "
                        "Names of lanes are random, so nothing is overwritten",
                        objects.config.bucket,
                    )
                    objects.conditional = False
                case meaning:
                    pending.unclear = pending.unclear or meaning is Meaning.UNCLEAR
                    final = meaning in (Meaning.REFUSED, Meaning.NO_CONDITIONS)
                    raise _NotYet(s3.words_of(error, objects.config), final) from error
        else:
            self._stored(pending)

    def _compare(self, key: str, pending: Pending) -> None:
        """The name is in use: by an earlier try of ours, whose answer was lost, or by another process."""
        try:
            there = self._objects.get(key)
        except StoreError as error:
            pending.unclear = True
            raise _NotYet(str(error), final=False) from error
        if there == pending.packed:
            self._stored(pending)
        elif there is None:
            raise _NotYet(f"Object {pending.number} of lane {self.lane} is there and is not.", final=False)
        else:
            logger.warning(
                "Another process writes the lane %s of the inlet %s; a new one begins", self.lane, self.inlet
            )
            self.lane, self.last = new_lane(), 0
            pending.number, pending.unclear = 1, False

    def _stored(self, pending: Pending) -> None:
        self.last, self.newest = pending.number, pending.newest
        self.shown = Lane(self.lane, 1, pending.number, pending.lines, closed=False)
        self.pending = None
        if pending.refused:
            keys = segments.keys(segments.decompress(pending.packed, "What was written"))
            self._repeated.update(dict.fromkeys(keys))
            for key in list(itertools.islice(self._repeated, max(0, len(self._repeated) - _MOST_REPEATED))):
                del self._repeated[key]


class _NotYet(Exception):
    """A try did not store the object for certain. `final`: the next one would not, either."""

    def __init__(self, words: str, final: bool) -> None:
        super().__init__(words)
        self.final = final
