"""Airbyte's test kits call `read` of the source and may close it in the middle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalogSerializer, SyncMode, Type
from airbyte_cdk.test.catalog_builder import CatalogBuilder
from airbyte_cdk.test.entrypoint_wrapper import discover, read
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from kit_toys import ParallelStream, ToySource, ToyStream, catalog, sleep_visibly
from source_kit.stream import SliceItem

LOGGER = logging.getLogger("airbyte.toy")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]


def wait_for_no_readers() -> None:
    until = time.monotonic() + 120
    while readers() and time.monotonic() < until:
        time.sleep(0.01)
    assert readers() == []


def test_airbytes_test_kit_reads_records_and_states() -> None:
    stream = ToyStream("s", slices=2, rows=3)
    configured = CatalogBuilder().with_stream("s", SyncMode.incremental).build()
    output = read(ToySource(stream), {}, configured)
    assert {message.record.data["id"] for message in output.records} == stream.truth
    assert output.most_recent_state.stream_state.__dict__ == {"slice": 2, "row": 0}
    assert [status.value for status in output.get_stream_statuses("s")] == ["STARTED", "RUNNING", "COMPLETE"]
    assert output.state_messages[-2].state.sourceStats.recordCount == 3.0


def test_discover_shows_keys_cursors_and_modes() -> None:
    (found,) = discover(ToySource(ToyStream("s")), {}).catalog.catalog.streams
    assert (found.name, found.source_defined_primary_key, found.default_cursor_field) == ("s", [["id"]], ["slice"])
    assert [mode.value for mode in found.supported_sync_modes] == ["full_refresh", "incremental"]
    assert found.is_resumable


def test_a_failed_stream_raises_after_the_last_message() -> None:
    class Broken(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            raise ValueError

    good, bad = ToyStream("good"), Broken("bad")
    configured = ConfiguredAirbyteCatalogSerializer.load(catalog(good, bad))
    seen: list[AirbyteMessage] = []
    messages = ToySource(good, bad).read(LOGGER, {}, configured, [])
    with pytest.raises(AirbyteTracedException, match="These streams did not sync successfully: bad"):
        seen.extend(message for message in messages)
    assert sum(message.type is Type.RECORD for message in seen) == len(good.truth)


@pytest.mark.slow
def test_closing_the_read_ends_the_workers() -> None:
    stream = ParallelStream("s", slices=200, rows=50, batch=1)
    messages = ToySource(stream).read(LOGGER, {}, ConfiguredAirbyteCatalogSerializer.load(catalog(stream)), [])
    first = next(message for message in messages if message.type is Type.RECORD)
    assert first.record.stream == "s"
    messages.close()
    wait_for_no_readers()


def test_closing_the_read_ends_the_waits() -> None:
    class Waits(ParallelStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield [{"id": "1"}]
            sleep_visibly(3600)

    stream = Waits("s")
    messages = ToySource(stream).read(LOGGER, {}, ConfiguredAirbyteCatalogSerializer.load(catalog(stream)), [])
    next(message for message in messages if message.type is Type.RECORD)
    messages.close()
    wait_for_no_readers()
