"""The memory of a process and of its children. Linux only."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Self


class PeakMemory:
    """Samples the resident memory of a process and its descendants while the context is open; `peak` is in bytes."""

    def __init__(self, pid: int, every_seconds: float = 0.05) -> None:
        self.peak = 0
        self._pid = pid
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.is_set():
            self.peak = max(self.peak, resident_bytes(self._pid))
            self._ended.wait(self._every_seconds)


def resident_bytes(pid: int) -> int:
    """Resident bytes of a process and its descendants, memory that they share counted in each; 0 once it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, IndexError):  # it, or one of its threads, has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(resident_bytes, children))
