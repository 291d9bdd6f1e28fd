"""What Spark makes of a read without partitions: one task, with a partition of its own."""

from __future__ import annotations

from typing import Any

from pyspark.sql.datasource import InputPartition


def has_nothing_to_read(partition: Any) -> bool:
    """Whether a partition is none of the reader's. It is None in Spark 4.0, a bare `InputPartition` in 4.3 (tried).

    The reader's own class does not decide: where Spark pickles classes by value, that of a task is another one than the
    reader's, and a task must not take its rows for none.
    """
    return partition is None or type(partition) is InputPartition
