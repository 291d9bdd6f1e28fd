"""What waits has a limit: slices that start early, states that nobody reads, errors."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from airbyte_cdk.models import StreamDescriptor
from kit_toys import ParallelStream, ToySource, ToyStream, catalog, read
from source_kit import progress
from source_kit.activity import Stopped
from source_kit.output import Channel, state_message
from source_kit.stream import Checkpoint, SliceItem
from test_kit.messages import errors, records, states


def test_few_slices_start_while_the_first_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SLICES_AHEAD", 10)

    class Slow(ParallelStream):
        started = 0

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            self.started += 1
            if slice_ == 0:
                before = -1
                while before != self.started:
                    before = self.started
                    time.sleep(0.1)
                assert self.started == 10
            yield from super().read_slice(slice_)

    stream = Slow("s", slices=40, rows=2)
    messages = read(ToySource(stream), catalog(stream))
    assert {row["id"] for row in records(messages)} == stream.truth
    assert states(messages)[-1] == {"slice": 40, "row": 0}


@pytest.mark.slow
def test_a_thread_that_puts_states_waits_for_a_reader() -> None:
    channel = Channel(in_flight_bytes=100_000)
    state = {"parents": {str(n): n for n in range(500)}}
    put: list[int] = []

    def work() -> None:
        try:
            for number in range(1000):
                channel.wait_for_room()
                channel.put(state_message(StreamDescriptor(name="s"), state))
                put.append(number)
        except Stopped:
            return

    worker = threading.Thread(target=work)
    worker.start()
    before = -1
    while before != len(put):
        before = len(put)
        time.sleep(0.1)
    assert 1 < len(put) < 30
    held = len(put)
    for _ in range(held):
        assert channel.get(1) is not None
    time.sleep(0.1)
    assert len(put) > held
    channel.close()
    worker.join(5)
    assert not worker.is_alive()


class Page(list[Any]):
    """A list that can have weak references."""


def test_the_error_of_a_page_does_not_hold_the_page() -> None:
    pages: list[weakref.ref[Page]] = []
    alive: list[bool] = []

    class Broken(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            page = Page([1])
            pages.append(weakref.ref(page))
            try:
                yield [{"id": page[7]}]
            except IndexError as error:
                msg = "row 7"
                raise ValueError(msg) from error

    class Later(ToyStream):
        def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
            alive.extend(page() is not None for page in pages)

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield Checkpoint({"slice": slice_})

    broken, later = Broken("broken"), Later("later")
    messages = read(ToySource(broken, later, workers=1), catalog(broken, later))
    (error,) = errors(messages)
    assert "row 7" in error["internal_message"]
    assert "read_slice" in error["stack_trace"]
    assert alive == [False]
