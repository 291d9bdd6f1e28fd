"""Airbyte source connector for Pendo."""

import source_kit  # noqa: F401 - first: it makes the CDK start faster

from source_pendo.source import SourcePendo

__all__ = ["SourcePendo"]
