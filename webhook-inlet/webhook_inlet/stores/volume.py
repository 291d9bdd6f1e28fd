"""The store on a disk of this machine: a line is durable after fdatasync.

One process at a time. What it writes itself, and what earlier processes left, is known in memory; the disk is read for
the lines only.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from webhook_inlet.lines import at_of
from webhook_inlet.store import (
    INLET_NAME,
    SEAL_BYTES,
    SEAL_SECONDS,
    Lane,
    Lines,
    NoSuchSegment,
    StoreError,
    StoreFailed,
    new_lane,
    segment_name,
)
from webhook_inlet.stores import recovery, retention, segments, volume_files
from webhook_inlet.stores.space import Space
from webhook_inlet.stores.volume_lane import CannotCut, OpenSegment, VolumeLane

logger = logging.getLogger(__name__)

#: A segment that could not be sealed is tried again after so many seconds; until then it is read as it is.
_SEAL_AGAIN = 30.0


class Volume:
    """`Store` on a disk. `root` is the folder of the volume."""

    gather_seconds = 0.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()  # held for moments, never while the disk works
        self._inlets: dict[str, dict[str, VolumeLane]] = {}
        self._live: dict[str, VolumeLane] = {}  # this process's lane of each inlet; of the writer's thread
        self._sealer = ThreadPoolExecutor(1, thread_name_prefix="sealer")
        self._seal_again = 0.0
        self._space = Space(root)
        self._failed: str | None = None
        self._lock_file: int | None = None

    def open(self) -> None:
        """Locks the volume and repairs what an earlier process left. Raises StoreFailed with a sentence."""
        try:
            if not self._root.is_dir():
                missing = [folder for folder in (self._root, *self._root.parents) if not folder.exists()]
                self._root.mkdir(parents=True)
                for folder in missing:
                    volume_files.sync_folder(folder.parent)
            self._lock_file = os.open(self._root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._take_lock(self._lock_file)
            self._space.look()
            for folder in sorted(self._root.iterdir()):
                if INLET_NAME.fullmatch(folder.name) and (folder / "lanes").is_dir():
                    self._inlets[folder.name] = recovery.recover(folder / "lanes")
        except OSError as error:
            self._unlock()
            raise StoreFailed(
                f"The volume {self._root} cannot be used: {error.strerror} ({error.filename}). The folder and all in "
                "it must be writable for the user of the process (id 1000 in the image), on a disk that is neither "
                "full nor mounted read-only."
            ) from error

    def _take_lock(self, file: int) -> None:
        """The lock ends with the process, however it ends."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._unlock()
            raise StoreFailed(
                f"Another webhook-inlet uses the volume {self._root}. Only one process may write to a volume: end the "
                "other one, or give this one a volume of its own. For several processes use a bucket as the store."
            ) from error

    def commit(self, batches: Mapping[str, Sequence[bytes]]) -> Mapping[str, StoreError]:
        """Appends and syncs. A full disk is a StoreError of its inlets, a failed sync ends the use of the volume."""
        if self._failed:
            raise StoreFailed(self._failed)
        if full := self._space.look():
            return {inlet: StoreError(full) for inlet in batches}
        refused: dict[str, StoreError] = {}
        written: list[tuple[VolumeLane, OpenSegment, Sequence[bytes], int]] = []
        for inlet, lines in batches.items():
            data = b"\n".join([*lines, b""])
            try:
                lane, segment = self._append(inlet, data)
            except volume_files.SyncFailed as error:
                raise self._fail(f"fsync of a folder failed ({error.strerror})") from error
            except FileNotFoundError as error:
                raise self._fail(f"the folder of the inlet {inlet} was removed or renamed") from error
            except OSError as error:
                refused[inlet] = StoreError(self._space.refused(error))
            else:
                written.append((lane, segment, lines, len(data)))
        for _lane, segment, _lines, _size in written:
            try:
                os.fdatasync(segment.file)
            except OSError as error:
                raise self._fail(f"fdatasync failed ({os.strerror(error.errno or 0)})") from error
            if not segment.is_in_place():
                raise self._fail(f"the file {segment.path} was removed or renamed while events were written to it")
        for lane, segment, lines, size in written:
            self._publish(lane, segment, lines, size)
        return refused

    def _append(self, inlet: str, data: bytes) -> tuple[VolumeLane, OpenSegment]:
        """Writes behind what is durable, in a new segment or a new lane where there is none. Raises OSError."""
        lane = self._live.get(inlet)
        if lane is None:
            lane = self._live[inlet] = self._make_lane(inlet)
        segment = lane.open
        if segment is None:
            segment = OpenSegment.create(lane.folder, lane.last + 1)
            with self._lock:
                lane.open = segment
        try:
            segment.append(data)
        except CannotCut:
            self._abandon(inlet, lane, segment)
            raise
        return lane, segment

    def _make_lane(self, inlet: str) -> VolumeLane:
        """A new lane. Every name up to the root is durable when it returns."""
        lanes = volume_files.make_folders(self._root, inlet, "lanes")
        while True:
            name = new_lane()
            try:
                (lanes / name).mkdir()
            except FileExistsError:  # a clock that was set back, and the same letters again
                continue
            volume_files.sync_folder(lanes)
            return VolumeLane(lanes / name)

    def _abandon(self, inlet: str, lane: VolumeLane, segment: OpenSegment) -> None:
        """Ends a segment whose refused bytes cannot be cut off: it counts up to what is durable.

        If nothing of it is durable, the lane ends before it, because no number may be skipped.
        """
        logger.warning("Segment %d of lane %s is given up: it cannot be cut", segment.number, lane.folder.name)
        if segment.size:
            self._end_segment(lane)
        else:
            del self._live[inlet]
            with self._lock:
                lane.open = None
            os.close(segment.file)

    def _publish(self, lane: VolumeLane, segment: OpenSegment, lines: Sequence[bytes], size: int) -> None:
        """Shows readers what has become durable."""
        with self._lock:
            if lane.last < segment.number:
                self._inlets.setdefault(lane.folder.parent.parent.name, {})[lane.folder.name] = lane
                lane.last, lane.removed_at = segment.number, None
            segment.size += size
            segment.lines += len(lines)
            lane.plain[segment.number] = segment.size
            lane.lines, lane.newest = segment.lines, lines[-1]
        if segment.size >= SEAL_BYTES:
            self._end_segment(lane)

    def _fail(self, what: str) -> StoreFailed:
        """After a failed sync the kernel may have dropped the pages: a second one would succeed and prove nothing."""
        self._failed = (
            f"The volume {self._root} must not be used any more: {what}. Nothing of the last batch was acknowledged. "
            "Look at the machine's disk, then start the inlet again."
        )
        return StoreFailed(self._failed)

    def maintain(self) -> None:
        """Ends segments that are old enough, and tries again to seal what could not be sealed."""
        if self._failed:
            return
        self._space.look()
        now = time.monotonic()
        for lane in self._live.values():
            if lane.open and lane.open.size and now - lane.open.began >= SEAL_SECONDS:
                self._end_segment(lane)
        if now >= self._seal_again:
            self._seal_again = now + _SEAL_AGAIN
            self._sealer.submit(self._seal_all)

    def _end_segment(self, lane: VolumeLane) -> None:
        """The open segment will not grow any more. It is sealed in the background."""
        segment = lane.open
        if segment is None:
            return
        with self._lock:
            lane.open = None
        os.close(segment.file)
        if segment.size:
            self._sealer.submit(self._seal, lane, segment.number)
        else:
            (lane.folder / segment_name(segment.number, sealed=False)).unlink(missing_ok=True)

    def _seal(self, lane: VolumeLane, number: int) -> None:
        """In the sealer's thread. Both copies exist for a moment; the plain one goes when readers know it."""
        size = lane.plain.get(number)
        if size is None:
            return
        try:
            volume_files.seal(lane.folder, number, size)
            with self._lock:
                del lane.plain[number]
            (lane.folder / segment_name(number, sealed=False)).unlink(missing_ok=True)
        except OSError as error:
            logger.warning("Segment %d of lane %s could not be sealed: %s", number, lane.folder.name, error)
        except Exception:  # nobody looks at what the thread's calls return
            logger.exception("Segment %d of lane %s could not be sealed", number, lane.folder.name)

    def _seal_all(self) -> None:
        with self._lock:
            left = [
                (lane, number)
                for lanes in self._inlets.values()
                for lane in lanes.values()
                for number in lane.plain
                if not lane.growing(number)
            ]
        for lane, number in left:
            self._seal(lane, number)

    def hurry(self) -> None:
        """Nothing: a disk answers."""

    def close(self) -> None:
        """Seals what is open and marks this process's lanes as closed. After a failure nothing is written any more."""
        if self._failed is None:
            for lane in self._live.values():
                self._end_segment(lane)
        self._sealer.shutdown()
        for lane in self._live.values() if self._failed is None else ():
            if lane.last:
                try:
                    volume_files.write_marker(lane.folder / "closed", lane.last)
                    lane.closed = True
                except OSError as error:
                    logger.warning("Lane %s could not be marked as closed: %s", lane.folder.name, error)
        self._live.clear()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def recent_keys(self, inlet: str) -> Iterator[bytes]:
        """The keys of an inlet's lines, the newest segment first. Damaged segments are skipped, with a warning."""
        for lane in sorted(self._lanes(inlet), key=self._newest, reverse=True):
            for number in range(lane.last, lane.first - 1, -1):
                try:
                    yield from reversed(segments.keys(self._data(lane, number)))
                except NoSuchSegment:
                    continue
                except segments.Damaged as error:
                    logger.warning("%s", error)

    def newest_at(self, inlet: str) -> int | None:
        """When the newest line was received, in microseconds; None if there is none."""
        return max((self._newest(lane) for lane in self._lanes(inlet)), default=0) or None

    def _newest(self, lane: VolumeLane) -> int:
        if lane.newest:
            return at_of(lane.newest) or 0
        with self._lock:
            number, size = lane.last, lane.plain.get(lane.last)
        return lane.last_at(number, size) or 0

    def lanes(self, inlet: str) -> list[Lane]:
        """The lanes of an inlet, the oldest first."""
        lanes = self._lanes(inlet)
        for lane in lanes:
            if lane.lines is None:
                lane.lines = self._count(lane)
        with self._lock:
            return [lane.listed() for lane in lanes]

    def _count(self, lane: VolumeLane) -> int:
        """The lines of an earlier process's last segment; 1 for a damaged one, so that readers ask for it and fail."""
        try:
            return self._data(lane, lane.last).count(b"\n")
        except NoSuchSegment:
            return 0
        except segments.Damaged as error:
            logger.warning("%s", error)
            return 1

    def read(self, inlet: str, lane: str, segment: int, line: int) -> Lines:
        """The durable lines behind the `line`-th. Raises NoSuchSegment, and StoreError for a damaged segment."""
        with self._lock:
            found = self._inlets.get(inlet, {}).get(lane)
            if found is None:
                raise NoSuchSegment(f"There is no lane {lane} of the inlet {inlet} (any more).")
            size, sealed = found.size_of(segment), not found.growing(segment)
        try:
            return Lines(segments.behind(found.data_of(segment, size), line), sealed)
        except OSError as error:
            raise StoreError(f"Segment {segment} of lane {lane} could not be read: {error.strerror}.") from error

    def _lanes(self, inlet: str) -> list[VolumeLane]:
        with self._lock:
            return list(self._inlets.get(inlet, {}).values())

    def _data(self, lane: VolumeLane, number: int) -> bytes:
        with self._lock:
            size = lane.size_of(number)
        return lane.data_of(number, size)

    def remove_before(self, at: int) -> int:
        """Removes old segments, and what marked lanes that were removed long ago."""
        return self._sealer.submit(self._remove_before, at).result()  # not while a segment is sealed

    def _remove_before(self, at: int) -> int:
        removed = 0
        for inlet in list(self._inlets):
            for lane in self._lanes(inlet):
                try:
                    removed += retention.remove_head(lane, at, self._lock)
                    if retention.forgotten(lane, at) and lane is not self._live.get(inlet):
                        with self._lock:
                            del self._inlets[inlet][lane.folder.name]
                        retention.remove_folder(lane)
                except OSError as error:
                    logger.warning("Old segments of lane %s could not be removed: %s", lane.folder.name, error)
        return removed

    def problem(self) -> str | None:
        """Why nothing can be stored now, in words, as of the last commit or `maintain`."""
        return self._failed or self._space.problem

    def free_bytes(self) -> int | None:
        """Free space, as of the last commit or `maintain`."""
        return self._space.free
