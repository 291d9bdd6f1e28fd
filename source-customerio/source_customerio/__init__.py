"""Customer.io as an Airbyte source.

`SourceCustomerio` is imported on first use: the command answers signals first and prepares the import of the CDK.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_customerio.source import SourceCustomerio

__all__ = ["SourceCustomerio"]


def __getattr__(name: str) -> object:
    if name != "SourceCustomerio":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from source_customerio.source import SourceCustomerio

    return SourceCustomerio
