"""What a volume holds when a process starts: cut at the last whole line, sealed, and without leftovers."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from webhook_inlet.store import LANE_NAME, SEGMENT_NAME, segment_name
from webhook_inlet.stores import retention, segments, volume_files
from webhook_inlet.stores.volume_lane import VolumeLane

logger = logging.getLogger(__name__)


def recover(lanes: Path) -> dict[str, VolumeLane]:
    """The lanes of an inlet. Raises OSError if the disk refuses."""
    found: dict[str, VolumeLane] = {}
    for folder in sorted(lanes.iterdir()):
        if LANE_NAME.fullmatch(folder.name) and folder.is_dir() and (lane := _lane(folder)):
            found[folder.name] = lane
    return found


def _lane(folder: Path) -> VolumeLane | None:
    """A lane of an earlier process; None if nothing was ever stored in it."""
    first, last, plain = _numbers(folder)
    lane = VolumeLane(folder, first, last, closed=(folder / "closed").exists())
    for number in sorted(plain):
        if (folder / segment_name(number, sealed=True)).exists():  # it was whole before it got this name
            (folder / segment_name(number, sealed=False)).unlink()
        else:
            _repair(lane, number)
    removed = folder / "removed"
    if lane.first <= lane.last:
        removed.unlink(missing_ok=True)  # its lane went on after it was written
        return lane
    gone = volume_files.read_marker(removed)
    if gone is None:
        with suppress(OSError):  # something else lies in it
            retention.remove_folder(lane)
        return None
    lane.first, lane.last, lane.removed_at = gone + 1, gone, removed.stat().st_mtime
    return lane


def _numbers(folder: Path) -> tuple[int, int, list[int]]:
    """The first and the last segment, and those that are not sealed. Removes files that were never finished."""
    first, last, plain = 0, 0, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(volume_files.TEMPORARY):
                Path(entry).unlink()
            elif name := SEGMENT_NAME.fullmatch(entry.name):
                number = int(name["number"])
                first, last = min(first or number, number), max(last, number)
                if not name["sealed"]:
                    plain.append(number)
    return first or 1, last, plain


def _repair(lane: VolumeLane, number: int) -> None:
    """Cuts and seals a segment that an earlier process left open. One without a line was never acknowledged."""
    path = lane.folder / segment_name(number, sealed=False)
    data = path.read_bytes()
    size = segments.durable_end(data)
    if size == 0 and number == lane.last:
        path.unlink()
        lane.last -= 1
        return
    with path.open("rb+") as file:
        file.truncate(size)
        os.fdatasync(file.fileno())
    if size < len(data):
        logger.info("Segment %d of lane %s ended within a line, which was cut off", number, lane.folder.name)
    try:
        volume_files.seal(lane.folder, number, size)
    except OSError as error:  # a full disk: it can be read as it is, and is sealed later
        logger.warning("Segment %d of lane %s could not be sealed: %s", number, lane.folder.name, error)
        lane.plain[number] = size
    else:
        path.unlink()
