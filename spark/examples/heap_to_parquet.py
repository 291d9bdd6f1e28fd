"""Writes the live rows of a table of Heap's dumps to a Parquet file, without Spark.

    HEAP_OPTIONS='{"bucket": "heap-rs3-acme-prod"}' python heap_to_parquet.py FOLDER TABLE [TABLE ...]

HEAP_OPTIONS are the connector's options as JSON. Of several tables it writes the one whose number, from 0, is in
JOB_COMPLETION_INDEX, which Kubernetes sets in the pods of an Indexed Job. The file has its name once it is whole.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from product_analytics_spark.heap.reading import plan, read, table_columns
from source_heap.config import HeapConfig


def write(options: dict[str, object], table: str, folder: Path) -> None:
    """Replaces FOLDER/TABLE.parquet."""
    config = HeapConfig.parse(options)
    schema = table_columns(config, table)
    batches = iter(read(config, table, schema, plan(config, table)))
    file = folder / f"{table}.parquet"
    unfinished = file.with_suffix(".unfinished")
    with pq.ParquetWriter(unfinished, schema) as writer:
        while group := list(islice(batches, 16)):
            writer.write_table(pa.Table.from_batches(group, schema))
    unfinished.rename(file)


if __name__ == "__main__":
    folder, *tables = sys.argv[1:]
    number = int(os.environ.get("JOB_COMPLETION_INDEX", "0"))
    write(json.loads(os.environ["HEAP_OPTIONS"]), tables[number], Path(folder))
