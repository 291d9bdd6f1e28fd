"""Spark reads Heap's tables from a real S3 server, with the rights that Heap's policy needs and no more."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from s3_servers import CephServer, read_policy
from simulators.heap.scenarios import scenario
from simulators.heap.stores import S3Store

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".cache/spark-venv/bin/python"
#: The column that identifies a row of a table, unless it is event_id
IDS = {"users": "user_id", "user_migrations": "from_user_id"}
#: Prints the ids of the rows of each table
JOB = """
import json, sys
from product_analytics_spark import register
from test_kit.spark import local_session

options = json.loads(sys.argv[1])
with local_session("local[2]", {"spark.log.level": "ERROR"}) as spark:
    register(spark)
    for table, column in json.loads(sys.argv[2]).items():
        rows = spark.read.format("heap").options(**options).load(table).select(column).collect()
        print(json.dumps([table, [row[0] for row in rows]]))
"""


@pytest.mark.ceph
@pytest.mark.spark
def test_spark_reads_every_table_of_a_bucket_with_the_rights_of_heaps_policy(ceph: CephServer) -> None:
    if not PYTHON.exists():
        pytest.skip("The environment of Spark is not installed: make spark-env")
    bucket = ceph.new_bucket()
    for step in scenario("resync_in_the_middle", bucket=bucket):
        step.apply(S3Store(ceph.client(), bucket))
    _, keys = ceph.new_user(read_policy(bucket))
    options = {
        "bucket": bucket,
        "endpoint_url": ceph.endpoint,
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
    }
    ids = {table: IDS.get(table, "event_id") for table in step.live}

    done = subprocess.run(
        [str(PYTHON), "-c", JOB, json.dumps(options), json.dumps(ids)],
        stdout=subprocess.PIPE,
        timeout=240,
        check=True,
    )

    found = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"["))
    truth = {table: [row.values[ids[table]] for row in step.live[table].rows] for table in step.live}
    assert {table: Counter(rows) for table, rows in found.items()} == {
        table: Counter(rows) for table, rows in truth.items()
    }
    assert sum(map(len, found.values())) > 0
