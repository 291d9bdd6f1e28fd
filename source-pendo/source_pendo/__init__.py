"""Airbyte source connector for Pendo.

`SourcePendo` is imported on first use, so that the command answers signals before the CDK is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_pendo.source import SourcePendo

__all__ = ["SourcePendo"]


def __getattr__(name: str) -> object:
    if name == "SourcePendo":
        import source_kit  # noqa: F401 - first: it makes the CDK start faster

        from source_pendo.source import SourcePendo

        return SourcePendo
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
