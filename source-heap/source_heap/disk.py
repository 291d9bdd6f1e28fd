"""What is said where a file of a dump, or what was found in it, could not be stored."""

from __future__ import annotations

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import disk

_KEPT = "files of a dump lie while they are read, two of the largest at a time"


def no_room(error: Exception) -> AirbyteTracedException:
    """The config_error for something that could not be stored."""
    return disk.no_room(error, _KEPT)
