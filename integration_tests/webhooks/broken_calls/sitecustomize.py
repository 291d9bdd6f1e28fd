"""Breaks calls of the operating system in a process that is started with this folder in PYTHONPATH.

BROKEN_FDATASYNC_AFTER=3     os.fdatasync and os.fsync of a file fail with EIO after 3 calls, for ever; directories
                             are left alone
CLOCK_OFFSET=-86400          time.time, time.time_ns and datetime.now are so many seconds ahead
CLOCK_JUMP_AFTER=2           the offset holds only after so many seconds of the process
"""

import datetime
import errno
import os
import stat
import time


def _break_sync(allowed: int) -> None:
    left = [allowed]

    def broken(real):
        def sync(descriptor):
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            if not stat.S_ISDIR(os.fstat(number).st_mode):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor)

        return sync

    os.fdatasync, os.fsync = broken(os.fdatasync), broken(os.fsync)


def _move_clock(offset: float, after: float) -> None:
    began, real_time, real_datetime = time.monotonic(), time.time, datetime.datetime

    def moved() -> float:
        return real_time() + (offset if time.monotonic() - began >= after else 0)

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real_datetime)

    class Moved(real_datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz=None):
            return real_datetime.fromtimestamp(moved(), tz)

    time.time, time.time_ns, datetime.datetime = moved, lambda: int(moved() * 1e9), Moved


if "BROKEN_FDATASYNC_AFTER" in os.environ:
    _break_sync(int(os.environ["BROKEN_FDATASYNC_AFTER"]))
if "CLOCK_OFFSET" in os.environ:
    _move_clock(float(os.environ["CLOCK_OFFSET"]), float(os.environ.get("CLOCK_JUMP_AFTER", "0")))
