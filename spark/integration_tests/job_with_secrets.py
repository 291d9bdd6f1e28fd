"""Loads with every kind of secret, in a Spark of its own that logs as much as it can. `test_secrets` looks for them.

Arguments: a folder for the event log and the checkpoint, then a JSON object with the options of the loads.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from product_analytics_spark import register
from pyspark.sql import DataFrame, SparkSession
from test_kit.spark import local_session


def say(text: object) -> None:
    """Writes a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def session(folder: Path) -> SparkSession:
    """A session of one core with an event log, at the log level INFO."""
    spark = local_session(
        "local[1]",
        {
            "spark.eventLog.compress": "false",
            "spark.eventLog.dir": (folder / "events").as_uri(),
            "spark.eventLog.enabled": "true",
            "spark.local.dir": str(folder / "local"),
            "spark.sql.shuffle.partitions": "1",
        },
    )
    spark.sparkContext.setLogLevel("INFO")
    register(spark)
    return spark


def show(load: DataFrame, name: str) -> None:
    """Prints the plan in every form, and the number of rows."""
    for mode in ("simple", "extended", "codegen", "cost", "formatted"):
        load.explain(mode=mode)
    say(load._jdf.queryExecution().toString())
    say(f"rows of {name}: {load.count()}")


def fail(load: DataFrame, name: str) -> None:
    """Prints how a load fails."""
    try:
        load.collect()
    except Exception as error:
        say(f"failure of {name}: {error}")


def main(folder: Path, options: dict[str, Any]) -> None:
    """All loads, one after the other."""
    (folder / "events").mkdir()
    spark = session(folder)
    heap, customerio = options["heap"], options["customerio"]
    sessions = spark.read.format("heap").options(**heap).load("sessions")
    show(sessions, "options")
    sessions.createOrReplaceTempView("sessions")
    spark.sql("DESCRIBE EXTENDED sessions").show(truncate=False)
    show(spark.read.format("heap").option("config", json.dumps(options["config"])).load("sessions"), "config")
    given = ", ".join(f"{name} '{value}'" for name, value in {**heap, "table": "sessions"}.items())
    spark.sql(f"CREATE TEMPORARY VIEW view_of_sessions USING heap OPTIONS ({given})")
    show(spark.sql("SELECT * FROM view_of_sessions"), "view")
    fail(spark.read.format("heap").options(**heap).load("users"), "users")
    show(spark.read.format("customerio").options(**customerio).load("segments"), "segments")
    stream = spark.readStream.format("heap").options(**heap).load("sessions").writeStream
    query = (
        stream.format("noop")
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination(120)
    query.explain(extended=True)
    say(f"rows of stream: {sum(progress.numInputRows for progress in query.recentProgress)}")
    say(query.recentProgress)
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
