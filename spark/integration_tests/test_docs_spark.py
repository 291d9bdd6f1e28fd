"""The Python of docs/spark.md does what the page says, and so do the examples that need no other scheduler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import yaml
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.replay import replay
from simulators.heap.scenarios import Step, scenario
from simulators.pendo import PendoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "spark.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "spark" / "examples"
#: Blocks that a test of this module runs
RUN = {"quick start", "stream", "live rows", "latest row", "pendo", "pendo stream", "files"}
_BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)


def _code(name: str) -> str:
    assert name in RUN
    (code,) = [block["code"] for block in _BLOCK.finditer(PAGE) if block["mark"] == f"test: {name}"]
    return code


def _run(name: str, lake: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """The names that exist after a block, whose files are in a folder of the test."""
    names = dict(known)
    exec(_code(name).replace('"/lake/', f'"{lake}/'), names)  # noqa: S102 - the page's own
    return names


def test_every_block_of_python_is_run_or_says_why_not() -> None:
    marks = [block["mark"] or "" for block in _BLOCK.finditer(PAGE)]

    assert {mark.removeprefix("test: ") for mark in marks if mark.startswith("test: ")} == RUN
    assert [mark for mark in marks if not mark.startswith(("test: ", "not run here: "))] == []


def test_the_quick_start_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "quickstart.py").write_text(_code("quick start"), encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name != "PYSPARK_PYTHON"}
    done = subprocess.run(
        [sys.executable, "quickstart.py"],
        cwd=tmp_path,
        env=env | {"SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    rows = len(scenario("resync_in_the_middle")[-1].live["sessions"].rows)
    assert done.stdout.splitlines()[-1] == f"{rows} sessions"
    assert list((tmp_path / "sessions").glob("*.parquet"))


def test_a_streamed_folder_has_the_live_rows_behind_every_step(
    spark: SparkSession, bucket: Any, tmp_path: Path
) -> None:
    """Through full exports without rows, too."""
    for step in scenario("empty_resync", bucket=bucket.server.bucket):
        bucket.server.apply(step)
        names = _run("stream", tmp_path, {"spark": spark, "options": bucket.options()})
        live = _run("live rows", tmp_path, names)["live"]("sessions")

        assert _keys(live) == _truth(step), step.note


def test_a_batch_that_is_repeated_leaves_every_row_once(spark: SparkSession, bucket: Any, tmp_path: Path) -> None:
    """As after a failure between the sink's work and Spark's note of it. A full export is in that batch."""
    first, second, *_ = scenario("resync_in_the_middle", bucket=bucket.server.bucket)
    known = {"spark": spark, "options": bucket.options()}
    for step in (first, second):
        bucket.server.apply(step)
        names = _run("stream", tmp_path, known)
    commits = tmp_path / "heap" / "_checkpoints" / "sessions" / "commits"
    last = max(int(file.name) for file in commits.iterdir() if file.name.isdigit())
    for file in commits.glob(f"*{last}*"):  # with the file of its checksum
        file.unlink()

    names = _run("stream", tmp_path, known)
    live = _run("live rows", tmp_path, names)["live"]("sessions")

    assert _keys(live) == _truth(second)


def test_the_latest_row_of_a_user_is_the_one_that_counts(spark: SparkSession, bucket: Any, tmp_path: Path) -> None:
    steps = scenario("several_new_dumps", bucket=bucket.server.bucket)
    for step in steps:
        bucket.server.apply(step)
    latest = {row["user_id"]: row for row in steps[-1].live["users"].latest(mode="stitch")}
    assert len(latest) < len(steps[-1].live["users"].rows)

    users = _run("latest row", tmp_path, {"spark": spark, "options": bucket.options()})["users"].collect()

    assert len(users) == len(latest)
    for row in users:
        truth = latest[row["user_id"]]
        assert {name: row[name] for name in truth if isinstance(row[name], str)} == {
            name: value for name, value in truth.items() if isinstance(row[name], str)
        }


def test_the_planner_names_the_files_of_live_rows_only(bucket: Any, tmp_path: Path) -> None:
    """For the Avro reader of Spark, which is not here."""
    for step in scenario("resync_in_the_middle", bucket=bucket.server.bucket):
        bucket.server.apply(step)
    code = _code("files").replace('"pageviews"', '"sessions"')
    code = code.replace('{"bucket": "heap-rs3-acme-prod"}', json.dumps(_connector(bucket)))
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102

    assert sorted(names["files"]) == sorted(
        {f"s3a://{bucket.server.bucket}/{row.file}" for row in step.live["sessions"].rows}
    )


@pytest.fixture
def pendo() -> Iterator[PendoSimulator]:
    with PendoSimulator(seed=1, size="tiny") as simulator:
        yield simulator


def test_the_recipes_of_pendo_give_all_events(spark: SparkSession, pendo: PendoSimulator, tmp_path: Path) -> None:
    truth = pendo.truth("page_events", period="day", since="2026-03-10")
    known = {"spark": _Located(spark, api_url=pendo.url), "key": pendo.api_key}
    _run("pendo", tmp_path, known)
    _run("pendo stream", tmp_path, known)

    batch = spark.read.parquet(str(tmp_path / "pendo" / "page_events"))
    streamed = spark.read.parquet(str(tmp_path / "pendo" / "events"))
    assert batch.count() == batch.select("record_id").distinct().count() == len(truth)
    assert streamed.select("record_id").distinct().count() == len(truth)
    assert streamed.select("batch").distinct().count() > 1


class _Located:
    """A session whose loads read from a simulator."""

    def __init__(self, spark: SparkSession, **options: str) -> None:
        self._spark, self._options = spark, options

    @property
    def read(self) -> Any:
        return self._spark.read.options(**self._options)

    @property
    def readStream(self) -> Any:
        return self._spark.readStream.options(**self._options)


def test_each_pod_of_the_job_for_kubernetes_writes_its_table(bucket: Any, tmp_path: Path) -> None:
    """With the command of the container, once for each index."""
    job = yaml.safe_load((EXAMPLES / "heap-tables.yaml").read_text(encoding="utf-8"))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    python, script, folder, *tables = container["command"]
    assert python == "python"
    assert job["completions"] == len(tables)
    dumps = demo_dumps(Size.TINY, bucket=bucket.server.bucket)
    for dump in dumps:
        bucket.server.put(dump.objects())
    (option,) = container["env"]
    env = {option["name"]: json.dumps(json.loads(option["value"]) | _connector(bucket))}
    for number, table in enumerate(tables):
        arguments = [sys.executable, EXAMPLES / script, tmp_path, *tables]
        process = {**os.environ, **env, "JOB_COMPLETION_INDEX": str(number)}
        subprocess.run(arguments, env=process, check=True, timeout=120)

        written = pq.read_table(tmp_path / f"{table}.parquet")
        assert written.num_rows == len(replay(dumps)[table].rows)
    assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}


def _keys(rows: DataFrame) -> list[tuple[int, int]]:
    return sorted((row["event_id"], row["_heap_dump_id"]) for row in rows.select("event_id", "_heap_dump_id").collect())


def _truth(step: Step) -> list[tuple[int, int]]:
    return sorted((row.values["event_id"], row.dump_id) for row in step.live["sessions"].rows)


def _connector(bucket: Any) -> dict[str, Any]:
    """The connector's configuration for a bucket."""
    options = bucket.options()
    keys = {name: options.pop(name) for name in list(options) if name.startswith("aws_")}
    return {**options, "credentials": {"auth_type": "keys", **keys}}
