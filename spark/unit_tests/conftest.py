"""The package comes first: it lets connectors be imported where the CDK's own dependencies are not installed."""

import product_analytics_spark  # noqa: F401
