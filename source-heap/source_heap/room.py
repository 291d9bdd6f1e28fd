"""What is said where the temporary folder is full or cannot be written to."""

from __future__ import annotations

import tempfile

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


def no_room(error: Exception) -> AirbyteTracedException:
    """The error for something that could not be stored."""
    try:
        folder = tempfile.gettempdir()
    except OSError:
        folder = "/tmp"  # noqa: S108 - named to the user, where there is no temporary folder at all
    return AirbyteTracedException(
        message=(
            f"A file of the dump could not be stored in {folder}. Give the connector more space for "
            "temporary files: room for two of the dump's largest files."
        ),
        internal_message=f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}",
        failure_type=FailureType.system_error,
    )
