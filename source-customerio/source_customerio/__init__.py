"""Customer.io as an Airbyte source."""

import source_kit  # noqa: F401 - first: it makes the CDK start faster

from source_customerio.source import SourceCustomerio

__all__ = ["SourceCustomerio"]
