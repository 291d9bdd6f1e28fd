"""Two DAGs for Airflow 3: the tables of Heap as mapped tasks, and a history of Pendo as a task for each month.

The pools `heap` and `pendo` say how many tasks run at a time. The connectors are in an environment of their own, so
that their packages and Airflow's do not meet.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

from airflow.sdk import dag, task

PYTHON = Path(os.environ["ANALYTICS_PYTHON"])
EXAMPLES = Path(os.environ["ANALYTICS_EXAMPLES"])
LAKE = Path(os.environ["ANALYTICS_LAKE"])
#: Configuration and catalog of source-pendo. A history of messages of Customer.io is read the same way, by
#: source-customerio with a pool of one slot: ten requests a second are all that a workspace has.
PENDO = Path(os.environ["ANALYTICS_PENDO"])


@dag(schedule="@daily", catchup=False)
def heap_tables() -> None:
    @task(pool="heap", retries=3)
    def load(table: str) -> None:
        subprocess.run([PYTHON, EXAMPLES / "heap_to_parquet.py", LAKE, table], check=True)  # noqa: S603 - no shell

    load.expand(table=["users", "sessions", "pageviews"])


@dag(schedule=None)
def pendo_history() -> None:
    @task(pool="pendo", retries=3)
    def read(first: str, after: str) -> None:
        config = json.loads((PENDO / "config.json").read_text())
        config |= {"start_date": f"{first}T00:00:00Z", "end_date": f"{after}T00:00:00Z", "num_workers": 2}
        command = [PYTHON.with_name("source-pendo"), "read", "--catalog", PENDO / "catalog.json"]
        unfinished = LAKE / f"pendo-{first}.unfinished"
        with unfinished.open("w") as out:
            given = json.dumps(config)
            subprocess.run([*command, "--config", "/dev/stdin"], input=given, text=True, stdout=out, check=True)  # noqa: S603
        unfinished.rename(LAKE / f"pendo-{first}.ndjson")

    starts = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]
    read.expand_kwargs([{"first": first, "after": after} for first, after in itertools.pairwise(starts)])


heap_tables()
pendo_history()
