"""Whether a volume has room left, known before a write fails."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

#: No line is taken when less is free: room for the compressed copies, the markers and the file system itself
RESERVE_BYTES = 64 * 1024 * 1024
RESERVE_SHARE = 0.05
RESERVE_FILES = 1000
_LOOK_SECONDS = 1.0
#: A refused write keeps the store unready for so long; the next one may succeed
_REFUSED_SECONDS = 5.0


class Space:
    """The free space of the volume with the folder `root`, looked at once a second at most."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._looked = float("-inf")
        self._refused: tuple[float, str] | None = None
        self._full: str | None = None
        self.free: int | None = None
        self.problem: str | None = None

    def look(self) -> str | None:
        """Why nothing may be written now, in words; None if it may. A write that was refused is no reason to stop."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._full = self._judge()
            if self._refused and now - self._refused[0] >= _REFUSED_SECONDS:
                self._refused = None
            self.problem = self._full or (self._refused[1] if self._refused else None)
        return self._full

    def _judge(self) -> str | None:
        try:
            found = os.statvfs(self._root)
        except OSError as error:
            return f"The volume {self._root} cannot be reached ({error.strerror}). Look at the machine's disk."
        self.free = found.f_bavail * found.f_frsize
        size = found.f_blocks * found.f_frsize
        if self.free < min(RESERVE_BYTES, RESERVE_SHARE * size):
            return (
                f"The volume {self._root} is full ({self.free >> 20} of {size >> 20} MiB free). Make it larger or "
                "lower retention_days; events are refused until then, and their senders repeat them."
            )
        if found.f_files and found.f_favail < min(RESERVE_FILES, RESERVE_SHARE * found.f_files):
            return (
                f"The volume {self._root} has no room for more files ({found.f_favail} inodes left). Lower "
                "retention_days or take a file system with more inodes; events are refused until then."
            )
        return None

    def refused(self, error: OSError) -> str:
        """A write failed: the sentence for it, which is also the `problem` for a while."""
        why = os.strerror(error.errno or errno.EIO)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            words = f"The volume {self._root} is full ({why}). Make it larger or lower retention_days."
        else:
            words = f"The volume {self._root} refused a write ({why}). Look at the machine's disk."
        self._refused, self.problem = (time.monotonic(), words), words
        return words
