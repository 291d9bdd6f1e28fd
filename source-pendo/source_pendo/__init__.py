"""Airbyte source connector for Pendo."""

from source_pendo.source import SourcePendo

__all__ = ["SourcePendo"]
