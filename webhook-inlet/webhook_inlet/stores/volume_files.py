"""Files of a volume, made, sealed and read so that a power cut leaves a whole one or none."""

from __future__ import annotations

import os
from pathlib import Path

from backports import zstd

from webhook_inlet.store import ZSTD_LEVEL, segment_name
from webhook_inlet.stores import segments

_CHUNK = 1024 * 1024
#: Segments hold what people did: not for everybody on the machine to read
FILE_MODE = 0o640
#: Ends the name of a file that is not whole yet
TEMPORARY = ".tmp"


class SyncFailed(OSError):
    """What was written may be lost although the kernel calls it clean; another sync would prove nothing."""


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: those that were made, and those that were renamed. Raises SyncFailed."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    except OSError as error:
        raise SyncFailed(error.errno, os.strerror(error.errno or 0), str(folder)) from error
    finally:
        os.close(number)


def make_folders(root: Path, *names: str) -> Path:
    """Makes folders below `root` where they are missing. Their names are durable, also if another process made them."""
    folder = root
    for name in names:
        below = folder / name
        below.mkdir(exist_ok=True)
        sync_folder(folder)
        folder = below
    return folder


def write_marker(path: Path, last: int) -> None:
    """A file with a number, whole or not there at all."""
    temporary = path.with_name(path.name + TEMPORARY)
    with temporary.open("w") as file:
        file.write(f"{last}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def read_marker(path: Path) -> int | None:
    """The number in a marker; None if there is no marker, or no number in it."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdecimal() else None


def write_all(file: int, data: bytes) -> None:
    """Writes all of it: a disk that gets full takes a part first and refuses the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def seal(folder: Path, number: int, size: int) -> None:
    """Makes the compressed copy of the first `size` bytes of a segment. The plain file stays.

    Raises OSError; then there is no copy, or a whole one whose name may not be durable.
    """
    target = folder / segment_name(number, sealed=True)
    temporary = target.with_name(target.name + TEMPORARY)
    try:
        with (folder / segment_name(number, sealed=False)).open("rb") as plain, temporary.open("wb") as packed:
            os.fchmod(packed.fileno(), FILE_MODE)
            packer = zstd.ZstdCompressor(ZSTD_LEVEL)
            left = size
            while left and (data := plain.read(min(left, _CHUNK))):
                packed.write(packer.compress(data))
                left -= len(data)
            packed.write(packer.flush())
            packed.flush()
            os.fsync(packed.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(target)
    sync_folder(folder)


def read_plain(folder: Path, number: int, size: int) -> bytes | None:
    """The first `size` bytes of a segment that is not compressed; None if there is none (any more)."""
    try:
        with (folder / segment_name(number, sealed=False)).open("rb", buffering=0) as file:
            return file.read(size)
    except FileNotFoundError:
        return None


def read_sealed(folder: Path, number: int) -> bytes | None:
    """The lines of a compressed segment; None if there is none (any more). Raises Damaged."""
    try:
        packed = (folder / segment_name(number, sealed=True)).read_bytes()
    except FileNotFoundError:
        return None
    return segments.decompress(packed, f"Segment {number} of lane {folder.name}")
