"""Temporary files, and the error if there is no room for them."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import IO

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.errors import config_error


def store(spool: IO[bytes], piece: bytes) -> None:
    """Adds a piece to a temporary file. An empty piece ends it: writes what is buffered and goes to the beginning.

    Raises a config_error if there is no room.
    """
    try:
        if piece:
            spool.write(piece)
        else:
            spool.seek(0)
    except OSError as error:
        raise no_room(error) from error


def no_room(error: Exception) -> AirbyteTracedException:
    """The config_error for a download that could not be stored."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    what = "No space is left in" if full else "Nothing can be written to"
    try:
        directory = tempfile.gettempdir()
    except OSError:  # none is usable
        directory = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - only named
    return config_error(
        f"{what} the temporary directory {directory}, where downloads are kept until they are read. Give "
        "the connector a larger one (for a container, a larger /tmp) and run the sync again.",
        f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}",
    )
