"""Removes what is older than the retention time from a volume: whole segments, from the head of a lane."""

from __future__ import annotations

import threading
import time

from webhook_inlet.store import segment_name
from webhook_inlet.stores import volume_files
from webhook_inlet.stores.volume_lane import VolumeLane


def remove_head(lane: VolumeLane, at: int, lock: threading.Lock) -> int:
    """Removes segments whose last line is older than `at`, up to the first that is younger or not sealed yet.

    From the head, so that no hole appears wherever it ends. Before the last one goes, a marker says that the lane was
    there: else a reader could not know what it missed.
    """
    removed = 0
    while lane.first <= lane.last and lane.first not in lane.plain:
        number = lane.first
        if _at(lane, number) >= at:
            break
        if number == lane.last:
            volume_files.write_marker(lane.folder / "removed", number)
        (lane.folder / segment_name(number, sealed=True)).unlink(missing_ok=True)
        removed += 1
        with lock:
            lane.first = number + 1
            if lane.first > lane.last:
                lane.lines, lane.removed_at = 0, time.time()
    if removed:
        volume_files.sync_folder(lane.folder)
    return removed


def _at(lane: VolumeLane, number: int) -> int:
    """When the last line of a sealed segment came; of a damaged one, when its file was written."""
    if lane.head_at and lane.head_at[0] == number:
        return lane.head_at[1]
    at = lane.last_at(number, None)
    if at is None:
        path = lane.folder / segment_name(number, sealed=True)
        at = int(path.stat().st_mtime * 1e6) if path.exists() else 0
    lane.head_at = (number, at)
    return at


def forgotten(lane: VolumeLane, at: int) -> bool:
    """Whether a lane without segments was listed for long enough: its last one was removed before `at`."""
    return lane.removed_at is not None and lane.first > lane.last and lane.removed_at * 1e6 < at


def remove_folder(lane: VolumeLane) -> None:
    """Removes a lane of which only markers are left, `removed` last: without it the lane never was."""
    for name in ("closed", "removed"):
        (lane.folder / name).unlink(missing_ok=True)
    lane.folder.rmdir()
