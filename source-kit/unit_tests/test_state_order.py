"""A STATE covers only records that were written before it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit_toys import IndependentStream, ParallelStream, ToySource, ToyStream, catalog, read
from source_kit.stream import BatchStream, SliceItem
from test_kit.messages import Message, states, statuses

KINDS = (ToyStream, ParallelStream, IndependentStream)


def assert_states_cover_only_what_was_written(messages: list[Message], streams: list[ToyStream]) -> None:
    written: dict[str, set[str]] = {stream.name: set() for stream in streams}
    since_state: dict[str, int] = dict.fromkeys(written, 0)
    by_name = {stream.name: stream for stream in streams}
    for message in messages:
        if message["type"] == "RECORD":
            name = message["record"]["stream"]
            written[name].add(message["record"]["data"]["id"])
            since_state[name] += 1
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            assert by_name[name].covered(message["state"]["stream"]["stream_state"]) <= written[name]
            assert message["state"]["sourceStats"]["recordCount"] == since_state[name]
            since_state[name] = 0
    assert all(count == 0 for count in since_state.values()), "records after the last state"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    slices=st.integers(0, 8),
    rows=st.integers(1, 12),
    batch=st.integers(1, 5),
    workers=st.integers(1, 5),
    mode=st.sampled_from(["incremental", "full_refresh"]),
)
def test_no_state_overtakes_a_record_that_it_covers(
    kinds: list[type[ToyStream]], slices: int, rows: int, batch: int, workers: int, mode: str
) -> None:
    streams = [kind(f"stream_{n}", slices=slices, rows=rows, batch=batch, jitter=0.001) for n, kind in enumerate(kinds)]
    messages = read(ToySource(*streams, workers=workers), catalog(*streams, mode=mode))
    assert_states_cover_only_what_was_written(messages, streams)
    for stream in streams:
        assert statuses(messages, stream.name) == ["STARTED", *(["RUNNING"] if slices else []), "COMPLETE"]
        if slices:
            assert stream.covered(states(messages, stream.name)[-1]) == stream.truth


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_only_one_worker_at_a_time_looks_for_slices(kind: type[ToyStream]) -> None:
    """When a slice ends, another worker may still look for the next one."""
    stream = kind("s", slices=60, rows=2, batch=1, jitter=0.004)
    messages = read(ToySource(stream, workers=5), catalog(stream))
    assert statuses(messages, "s")[-1] == "COMPLETE"
    assert stream.covered(states(messages, "s")[-1]) == stream.truth


@pytest.mark.parametrize("kind", KINDS)
def test_records_come_after_running_and_the_last_state_before_complete(kind: type[ToyStream]) -> None:
    stream = kind("s", slices=12, rows=4, batch=1)
    messages = read(ToySource(stream, workers=4), catalog(stream))
    order = [
        message["trace"]["stream_status"]["status"] if message["type"] == "TRACE" else message["type"]
        for message in messages
    ]
    assert order[:3] == ["STARTED", "RUNNING", "RECORD"]
    assert order[-2:] == ["STATE", "COMPLETE"]
    assert order.count("RECORD") == 48


def test_the_state_of_a_slice_waits_for_every_earlier_slice() -> None:
    class FirstSliceIsSlow(ParallelStream):
        def __init__(self) -> None:
            super().__init__("s", slices=5, rows=1)
            self.others = threading.Semaphore(0)

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            for _ in range(self.count - 1 if slice_ == 0 else 0):
                self.others.acquire(timeout=10)
            yield from super().read_slice(slice_)
            self.others.release()

    stream = FirstSliceIsSlow()
    messages = [m for m in read(ToySource(stream, workers=2), catalog(stream)) if m["type"] in ("RECORD", "STATE")]
    assert [message["record"]["data"]["slice"] for message in messages[:5]] == [1, 2, 3, 4, 0]
    assert [state["slice"] for state in states(messages)] == [1, 5, 5]


def test_an_independent_slice_moves_its_state_while_an_earlier_one_is_read() -> None:
    class FirstSliceWaits(IndependentStream):
        others = threading.Event()

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            if slice_ == 0:
                self.others.wait(10)
            yield from super().read_slice(slice_)
            if slice_ == 2:
                self.others.set()

    stream = FirstSliceWaits("s", slices=3, rows=1)
    emitted = states(read(ToySource(stream, workers=2), catalog(stream)))
    assert emitted[0] == {"read": {"1": 1}}
    assert emitted[-1] == {"read": {"0": 1, "1": 1, "2": 1}}


def test_a_state_is_written_as_it_was_when_the_checkpoint_came() -> None:
    """`merge_state` of IndependentStream changes a nested dict while earlier messages wait for the writer."""
    stream = IndependentStream("s", slices=6, rows=10, batch=1)
    source = ToySource(stream, workers=1)
    assert [sum(state["read"].values()) for state in states(read(source, catalog(stream)))] == [*range(1, 61), 60]


def test_states_keep_the_interval_and_the_last_one_is_emitted() -> None:
    class Rarely(ToyStream):
        state_interval = 3600.0

    stream = Rarely("s", slices=50, rows=1)
    emitted = states(read(ToySource(stream), catalog(stream)))
    assert [state["slice"] for state in emitted] == [1, 50]


def test_a_stream_without_checkpoints_ends_with_its_final_state() -> None:
    class AtTheEnd(ToyStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield [{"id": "1"}]

        def final_state(self) -> Mapping[str, Any]:
            return {"slice": 99}

    stream = AtTheEnd("s")
    assert states(read(ToySource(stream), catalog(stream))) == [{"slice": 99}]


def test_a_stream_without_a_state_emits_the_state_of_the_cdk() -> None:
    class Stateless(BatchStream):
        name = "s"
        primary_key = None

        def slices(self) -> list[int]:
            return [1]

        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            yield [{"id": 1}]

    messages = read(ToySource(Stateless()), catalog("s", mode="full_refresh"))
    assert states(messages) == [{"__ab_no_cursor_state_message": True}]
    assert statuses(messages, "s") == ["STARTED", "RUNNING", "COMPLETE"]


def test_many_streams_are_read_by_few_workers_and_by_one() -> None:
    for workers in (0, 1, 3):
        streams = [kind(f"{kind.__name__}_{n}", slices=3, rows=2) for n in range(4) for kind in KINDS]
        messages = read(ToySource(*streams, workers=workers), catalog(*streams))
        assert_states_cover_only_what_was_written(messages, streams)
        assert all(statuses(messages, stream.name)[-1] == "COMPLETE" for stream in streams)
