"""One lane of a volume: which segments there are, and the one that is written."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from webhook_inlet.store import Lane, NoSuchSegment, segment_name
from webhook_inlet.stores import segments, volume_files


@dataclass(slots=True)
class OpenSegment:
    """A segment that grows. `size` and `lines` are what is durable."""

    number: int
    file: int
    path: Path
    size: int = 0
    lines: int = 0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def create(cls, folder: Path, number: int) -> OpenSegment:
        """A new file. Its name is durable before anything is."""
        path = folder / segment_name(number, sealed=False)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, volume_files.FILE_MODE)
        try:
            volume_files.sync_folder(folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return cls(number, file, path)

    def is_in_place(self) -> bool:
        """Whether the name still leads to the file. A file that was removed takes writes and syncs as before."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.file))
        except FileNotFoundError:
            return False

    def append(self, data: bytes) -> None:
        """Writes behind what is durable. Raises OSError, with the file as it was."""
        try:
            volume_files.write_all(self.file, data)
        except OSError as error:
            try:
                os.ftruncate(self.file, self.size)
            except OSError as second:
                raise CannotCut(error.errno, str(second)) from error
            raise


class CannotCut(OSError):
    """A refused write left bytes in the file that could not be cut off again."""


@dataclass(slots=True)
class VolumeLane:
    """What is known of a lane without looking at the disk. Changed under the volume's lock.

    `plain` holds the durable bytes of the segments that are not compressed (yet); only `open` still grows.
    """

    folder: Path
    first: int = 1
    last: int = 0
    plain: dict[int, int] = field(default_factory=dict)
    open: OpenSegment | None = None
    closed: bool = False
    lines: int | None = None  # of the last segment; None until it was counted
    removed_at: float | None = None  # when retention took every segment, epoch seconds
    newest: bytes | None = None  # the last line, of a lane of this process
    head_at: tuple[int, int] | None = None  # when the last line of a segment came that retention once looked at

    def growing(self, number: int) -> bool:
        """Whether more lines may come to a segment."""
        return self.open is not None and self.open.number == number

    def size_of(self, number: int) -> int | None:
        """The durable bytes of a plain segment, None for a sealed one. Raises NoSuchSegment."""
        if not self.first <= number <= self.last:
            raise NoSuchSegment(f"Lane {self.folder.name} has the segments {self.first} to {self.last}, not {number}.")
        return self.plain.get(number)

    def data_of(self, number: int, size: int | None) -> bytes:
        """The durable lines of a segment. Raises NoSuchSegment, Damaged. Needs no lock: a plain file may be gone."""
        data = volume_files.read_plain(self.folder, number, size) if size is not None else None
        if data is None:
            data = volume_files.read_sealed(self.folder, number)
        if data is None:
            raise NoSuchSegment(f"Segment {number} of lane {self.folder.name} was removed.")
        return data

    def last_at(self, number: int, size: int | None) -> int | None:
        """When the last line of a segment came, in microseconds; None if that cannot be read."""
        try:
            return segments.last_at(self.data_of(number, size))
        except (NoSuchSegment, segments.Damaged):
            return None

    def listed(self) -> Lane:
        """As `/log` lists it. `lines` must have been counted."""
        return Lane(self.folder.name, self.first, self.last, self.lines or 0, self.closed)
