"""Pendo as an Airbyte source.

`SourcePendo` is imported on first use: the command answers signals first and prepares the import of the CDK.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_pendo.source import SourcePendo

__all__ = ["SourcePendo"]


def __getattr__(name: str) -> object:
    if name != "SourcePendo":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from source_pendo.source import SourcePendo

    return SourcePendo
