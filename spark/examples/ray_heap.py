"""The rows of a table of Heap's dumps as a dataset of Ray, at most CONCURRENCY files at a time.

HEAP_OPTIONS='{"bucket": "heap-rs3-acme-prod"}' python ray_heap.py TABLE FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray

CONCURRENCY = 4


def dataset(options: dict[str, Any], table: str) -> ray.data.Dataset:
    from product_analytics_spark.heap.reading import plan, table_columns
    from source_heap.config import HeapConfig

    config = HeapConfig.parse(options)
    schema = table_columns(config, table)

    def rows(part: pa.Table) -> Iterator[pa.Table]:
        # a worker imports this package before the connector's
        from product_analytics_spark.heap.reading import FilePart, read
        from source_heap.config import HeapConfig

        for batch in read(HeapConfig.parse(options), table, schema, [FilePart(**part.to_pylist()[0])]):
            yield pa.Table.from_batches([batch])

    parts = ray.data.from_items([asdict(part) for part in plan(config, table)])
    return parts.map_batches(rows, batch_size=1, batch_format="pyarrow", concurrency=CONCURRENCY)


if __name__ == "__main__":
    table, folder = sys.argv[1:]
    dataset(json.loads(os.environ["HEAP_OPTIONS"]), table).write_parquet(folder)
