"""Pendo and Customer.io through a Spark session: rows, requests at a time and a second, streams that are stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark
import pytest
from product_analytics_spark.bridge.reading import ChosenStream
from simulators.customerio import CustomerioSimulator, Options
from simulators.faults import Fault
from simulators.pendo import PendoSimulator
from simulators.server import LoggedRequest
from source_customerio import SourceCustomerio
from source_customerio.config import Config as CustomerioConfig
from source_kit.convert import utc_now
from source_pendo import SourcePendo
from source_pendo.config import Config as PendoConfig
from test_kit.columns import differences
from test_kit.slices import read_together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Whether Spark asks for a part of what there is, and knows `availableNow` as more than one batch
HAS_LIMITS = tuple(map(int, pyspark.__version__.split(".")[:2])) >= (4, 2)
#: The simulated present is in March; Spark's workers see the real one
DAYS = {"start_date": "2026-03-01", "end_date": "2026-03-20"}


@pytest.fixture
def pendo() -> Iterator[PendoSimulator]:
    with PendoSimulator(seed=1, size="tiny") as sim:
        yield sim
    assert sim.errors == []


@pytest.fixture
def customerio() -> Iterator[CustomerioSimulator]:
    """A workspace that permits ten requests a second."""
    with CustomerioSimulator(options=Options()) as sim:
        yield sim
    assert sim.errors == []


def of_pendo(sim: PendoSimulator, name: str) -> ChosenStream:
    """The stream as the connector reads it."""
    return ChosenStream(SourcePendo, PendoConfig.parse({"api_key": sim.api_key, "api_url": sim.url, **DAYS}), name)


def of_customerio(sim: CustomerioSimulator, name: str, start_date: str) -> ChosenStream:
    """The stream as the connector reads it."""
    given = {"app_api_key": sim.api_key, "api_url": sim.url, "start_date": start_date}
    return ChosenStream(SourceCustomerio, CustomerioConfig.parse(given), name)


def assert_rows_of(chosen: ChosenStream, found: Iterable[dict[str, Any]]) -> None:
    """The rows are the connector's, whatever the time at which they were read."""
    rows = [{**row, "read_at": None} if "read_at" in row else row for row in found]
    records = [{**row, "read_at": None} if "read_at" in row else row for row in read_together(chosen.opened, utc_now())]
    assert differences(records, rows, chosen.opened().get_json_schema()) == ([], []), chosen.name


def rows_in(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame."""
    return frame.toArrow().to_pylist()


def in_a_second(requests: Iterable[LoggedRequest]) -> int:
    """The most requests that began within any second."""
    begun = sorted(request.started for request in requests)
    return max(sum(first <= other < first + 1 for other in begun) for first in begun)


def at_a_time(requests: Iterable[LoggedRequest]) -> int:
    """The most requests that were open at the same time."""
    whole = [(request.started, request.ended or request.started) for request in requests]
    return max(sum(begun <= at < ended for begun, ended in whole) for at, _ in whole)


@pytest.mark.parametrize(("name", "partitions"), [("page_events", 4), ("guide_events", 4), ("visitors", 1)])
def test_a_stream_of_pendo_has_the_connectors_rows_and_no_more_requests_at_a_time_than_partitions(
    spark: SparkSession, pendo: PendoSimulator, name: str, partitions: int
) -> None:
    pendo.faults.add(Fault("delay", times=30, seconds=0.05))
    frame = spark.read.format("pendo").options(api_key=pendo.api_key, api_url=pendo.url, **DAYS).load(name)
    assert frame.rdd.getNumPartitions() == partitions
    pendo.requests.clear()
    found = rows_in(frame)
    assert at_a_time(pendo.requests) <= min(partitions, 2)  # two cores
    assert_rows_of(of_pendo(pendo, name), found)


def test_several_readers_of_deliveries_share_the_requests_a_second_and_none_is_refused(
    spark: SparkSession, customerio: CustomerioSimulator
) -> None:
    """Thirty windows, by two readers that run at the same time, one query behind the other."""
    load = spark.read.format("customerio").options(app_api_key=customerio.api_key, api_url=customerio.url)
    frame = load.options(concurrency="2", start_date="2024-07-01").load("messages")
    found = rows_in(frame)
    again = frame.count()
    requests = list(customerio.requests)
    assert len(requests) >= 60
    assert in_a_second(requests) <= 10
    assert {request.status for request in requests} == {200}
    assert again == len(found)
    assert_rows_of(of_customerio(customerio, "messages", "2024-07-01"), found)


@pytest.mark.parametrize("name", ["campaign_actions", "customers"])
def test_a_stream_of_customer_io_that_is_read_whole_has_the_connectors_rows(
    spark: SparkSession, customerio: CustomerioSimulator, name: str
) -> None:
    """Also where the vendor limits the rate because of somebody else's requests."""
    start = customerio.start_date
    load = spark.read.format("customerio").options(app_api_key=customerio.api_key, api_url=customerio.url)
    frame = load.options(concurrency="3", start_date=start).load(name)
    assert frame.rdd.getNumPartitions() == 1
    customerio.faults.add(Fault("status", status=429, skip=2, times=2))
    found = rows_in(frame)
    assert [request.status for request in customerio.requests].count(429) == 2
    assert_rows_of(of_customerio(customerio, name, start), found)


class Stream:
    """A query over a stream into Parquet, batch by batch, which can be stopped by a failure of its sink."""

    def __init__(self, frame: DataFrame, folder: Path) -> None:
        self.frame, self.folder = frame, folder
        self.batches: list[int] = []

    def run(self, fail_at: int | None = None) -> None:
        """To the end of a round. The sink fails at a batch before it has written it."""

        def write(batch: DataFrame, number: int) -> None:
            if number == fail_at:
                raise RuntimeError("the sink is full")
            batch.write.mode("overwrite").parquet(str(self.folder / f"rows/batch={number}"))
            self.batches.append(number)

        writer = self.frame.writeStream.foreachBatch(write).trigger(availableNow=True)
        query = writer.option("checkpointLocation", str(self.folder / "checkpoint")).start()
        query.awaitTermination()

    def rows(self) -> list[dict[str, Any]]:
        """What the sink holds."""
        frame = self.frame.sparkSession.read.schema(self.frame.schema).parquet(str(self.folder / "rows"))
        return rows_in(frame.drop("batch"))

    def state(self) -> dict[str, Any]:
        """The state in the last offset that was planned."""
        last = max((self.folder / "checkpoint/offsets").glob("[0-9]*"), key=lambda path: int(path.name))
        offset = json.loads(last.read_text().splitlines()[-1])
        state: dict[str, Any] = json.loads(offset["state"])
        return state


@pytest.mark.oldest
@pytest.mark.parametrize("kind", ["pendo", "customerio"])
def test_a_stream_whose_sink_fails_goes_on_and_holds_every_row(
    spark: SparkSession, pendo: PendoSimulator, customerio: CustomerioSimulator, tmp_path: Path, kind: str
) -> None:
    """A batch whose sink failed is read again. Then the rest is read, and one more round.

    Before Spark 4.2 a batch is a whole round.
    """
    if kind == "pendo":
        given, limit = {"api_key": pendo.api_key, "api_url": pendo.url, **DAYS}, "8"
        chosen, key = of_pendo(pendo, "page_events"), "record_id"
    else:
        start = customerio.start_date
        given, limit = {"app_api_key": customerio.api_key, "api_url": customerio.url, "start_date": start}, "2"
        given |= {"messages_lookback_days": "1"}
        chosen, key = of_customerio(customerio, "messages", start), "id"
    given |= {"maxSlicesPerTrigger": limit} if HAS_LIMITS else {}
    stream = Stream(spark.readStream.format(kind).options(**given).load(chosen.name), tmp_path)
    with pytest.raises(Exception, match="the sink is full"):
        stream.run(fail_at=1 if HAS_LIMITS else 0)
    assert stream.batches == ([0] if HAS_LIMITS else [])
    assert (stream.state() == {}) is HAS_LIMITS
    stream.run()
    assert stream.batches[:3] == ([0, 1, 2] if HAS_LIMITS else [0])
    found = stream.rows()
    held = {row[key]: row for row in found}
    assert_rows_of(chosen, held.values())
    assert len(found) - len(held) < 0.1 * len(held)  # no more than the lookback is there twice
    assert stream.state() != {}
