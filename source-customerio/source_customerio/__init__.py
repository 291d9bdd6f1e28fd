"""Customer.io as an Airbyte source.

`SourceCustomerio` is imported on first use, so that the command answers signals before the CDK is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_customerio.source import SourceCustomerio

__all__ = ["SourceCustomerio"]


def __getattr__(name: str) -> object:
    if name == "SourceCustomerio":
        import source_kit  # noqa: F401 - first: it makes the CDK start faster

        from source_customerio.source import SourceCustomerio

        return SourceCustomerio
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
