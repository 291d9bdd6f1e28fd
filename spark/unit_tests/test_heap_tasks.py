"""What a task of the format `heap` reads, as it arrives in a Python worker."""

from __future__ import annotations

import subprocess
import sys

import product_analytics_spark.heap.stream as stream
from product_analytics_spark.heap.reading import FilePart
from product_analytics_spark.heap.stream import Files, parts_of
from pyspark import cloudpickle
from pyspark.sql.datasource import InputPartition

PARTS = [FilePart(1, 1, f"sync_1/sessions/part-{number}.avro", number) for number in range(5)]
WORKER = """
import sys, product_analytics_spark
from pyspark import cloudpickle
from product_analytics_spark.heap.stream import parts_of
print([part.index for part in parts_of(cloudpickle.loads(sys.stdin.buffer.read()))])
"""


def test_files_are_divided_among_tasks() -> None:
    assert [[part.index for part in task.parts] for task in Files.divided(PARTS, 2)] == [[0, 1], [2, 3], [4]]
    assert Files.divided([], 2) == []


def test_a_task_without_files_reads_nothing() -> None:
    assert list(parts_of(InputPartition(None))) == []


def test_a_task_whose_class_was_pickled_by_value_has_its_files() -> None:
    """As where a cluster has the package in the driver's notebook only: no row may be lost in silence."""
    cloudpickle.register_pickle_by_value(stream)
    try:
        task = cloudpickle.dumps(Files(PARTS))
    finally:
        cloudpickle.unregister_pickle_by_value(stream)
    worker = subprocess.run([sys.executable, "-c", WORKER], input=task, capture_output=True, check=True)
    assert worker.stdout.decode().strip() == "[0, 1, 2, 3, 4]"
