"""The last line of a failure, before Spark's own trailer, is the connector's sentence, wherever it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from simulators.customerio import CustomerioSimulator
from simulators.heap.s3_server import error_fault
from simulators.heap.scenarios import scenario

pytestmark = pytest.mark.oldest
WRONG_KEY = "Customer.io did not accept the key. It is mistyped or revoked"


@pytest.fixture
def customerio() -> Iterator[CustomerioSimulator]:
    """A workspace."""
    with CustomerioSimulator() as simulator:
        yield simulator


@pytest.fixture
def story(bucket: Any) -> Any:
    """A bucket with tables."""
    for step in scenario("resync_in_the_middle", bucket=bucket.server.bucket):
        bucket.server.apply(step)
    return bucket


def last_line(fails: Callable[[], object]) -> str:
    """The sentence of a failure: the line behind which there is Spark's trailer only. No line quotes a cause."""
    with pytest.raises(Exception, match=r"product_analytics_spark\.errors\.ConnectorError") as caught:
        fails()
    before, _, text = str(caught.value).rpartition("ConnectorError: ")
    _, sentence, *trailer = [line.strip() for line in text.split("\n") if line.strip()]
    assert trailer == [] or trailer[0].startswith("SQLSTATE: "), trailer
    assert "AirbyteTracedException" not in before + text
    assert "The above exception" not in before + text
    return sentence


def test_what_the_driver_can_find_fails_at_load(spark: Any, story: Any) -> None:
    def load(**options: str) -> Callable[[], object]:
        return lambda: spark.read.format("heap").options(**story.options(**options)).load()

    assert last_line(load(table="users", colums="a")).startswith("Option colums is not known. The options are: ")
    assert last_line(load()).startswith("Option table is missing: ")
    assert last_line(load(table="users", config='{"start_date":')) == (
        "Option config is not a JSON object: write the connector's options as one, or leave it out."
    )
    assert "contains the table nobody." in last_line(load(table="nobody"))
    story.server.faults.add(error_fault(403, "AccessDenied", times=-1))
    assert last_line(load(table="users")).startswith("Listing the manifests in the bucket ")


def test_a_file_that_is_refused_on_an_executor_is_named(spark: Any, story: Any) -> None:
    sessions = story.read(spark, "sessions")
    story.server.faults.add(error_fault(403, "AccessDenied", r"\.avro", times=-1))
    assert "was refused, though listing works." in last_line(sessions.collect)


def test_a_wrong_key_fails_on_the_driver(spark: Any, customerio: CustomerioSimulator) -> None:
    load = spark.read.format("customerio").options(app_api_key="wrong", api_url=customerio.url).load("segments")
    assert last_line(load.collect).startswith(WRONG_KEY)
    assert {request.path for request in customerio.requests} == {"/v1/segments"}


def test_a_stream_fails_with_the_sentence_too(spark: Any, customerio: CustomerioSimulator, tmp_path: Path) -> None:
    def run(stream: str) -> Callable[[], object]:
        options = {"app_api_key": "wrong", "api_url": customerio.url}
        load = spark.readStream.format("customerio").options(**options).load(stream).writeStream.format("noop")
        writer = load.option("checkpointLocation", str(tmp_path / stream)).trigger(availableNow=True)
        return lambda: writer.start().awaitTermination(120)

    assert last_line(run("messages")).startswith(WRONG_KEY)
    assert "segments" in last_line(run("segments")), "a stream without slices, which no reader can be made for"
