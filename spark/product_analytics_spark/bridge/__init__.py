"""Streams of the HTTP connectors as Spark data sources."""
