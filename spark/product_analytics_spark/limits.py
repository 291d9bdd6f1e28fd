"""What Spark has from 4.2 on for the limits of a stream's batches, with every Spark from 4.0 on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.streaming.datasource import ReadLimit, SupportsTriggerAvailableNow
else:
    try:
        from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
    except ImportError:  # before 4.2 (read in the sources of 4.0.5 and 4.3.0)

        class SupportsTriggerAvailableNow:
            """Spark 4.0 and 4.1 know no limits: `availableNow` is one batch there."""


def read_limit(most: int | None) -> ReadLimit:
    """A limit of a batch, None for no limit. Spark counts files; what they are is the reader's own matter."""
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxFiles

    return ReadAllAvailable() if most is None else ReadMaxFiles(most)


__all__ = ["SupportsTriggerAvailableNow", "read_limit"]
