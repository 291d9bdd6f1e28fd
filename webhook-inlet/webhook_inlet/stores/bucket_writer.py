"""Writes one lane of a bucket: a number is taken only when it is certain that the one before was stored."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from webhook_inlet.store import Lane, StoreError, new_lane, segment_name
from webhook_inlet.stores import s3, segments
from webhook_inlet.stores.bucket_objects import Objects
from webhook_inlet.stores.s3 import Meaning

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0


@dataclass(slots=True)
class Pending:
    """An object that is being written. `unclear`: some try may have stored it."""

    number: int
    packed: bytes
    lines: int
    newest: bytes
    unclear: bool = False


class LaneWriter:
    """This process's lane of an inlet. Used by one thread at a time.

    `troubled` gets the words of each try that failed. `ending` is set when the process ends.
    """

    def __init__(self, objects: Objects, inlet: str, troubled: Callable[[str], None], ending: threading.Event) -> None:
        self._objects = objects
        self._troubled = troubled
        self._ending = ending
        self.inlet = inlet
        self.lane = new_lane()
        self.last = 0
        #: The lane as readers see it; replaced as a whole, because other threads read it
        self.shown: Lane | None = None
        self.newest = b""  # the last line
        self.pending: Pending | None = None

    def commit(self, lines: Sequence[bytes], until: float) -> None:
        """Stores lines as one object. Raises StoreError if it is not stored for certain.

        Nothing is begun again after `until` (time.monotonic), unless it is unclear whether the object was stored: then
        it is tried until that is known, or until the process ends. Meanwhile the senders are refused, and what they
        post again is recognized, so it is not stored twice.
        """
        if self.pending:
            raise StoreError("The inlet is being stopped, and it is not known whether its last events were stored.")
        packed = segments.compress(b"\n".join([*lines, b""]))
        self.pending = Pending(self.last + 1, packed, len(lines), lines[-1])
        pause = _FIRST_PAUSE
        while pending := self.pending:
            try:
                self._try(pending)
            except _NotYet as trouble:
                self._troubled(str(trouble))
                is_late = trouble.final or time.monotonic() + pause >= until
                if is_late and not pending.unclear:
                    self.pending = None
                    raise StoreError(str(trouble)) from trouble
                if self._ending.wait(pause):
                    raise StoreError(str(trouble)) from trouble
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


class _NotYet(Exception):
    """A try did not store the object for certain. `final`: the next one would not, either."""

    def __init__(self, words: str, final: bool) -> None:
        super().__init__(words)
        self.final = final
