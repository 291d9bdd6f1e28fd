"""A full refresh reads everything, unless it resumes one that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator

from kit_toys import ToySource, ToyStream, catalog, read
from source_kit.cdk.state_keys import UNFINISHED
from source_kit.stream import SliceItem
from test_kit.catalogs import stream_state
from test_kit.messages import records, states


class FailsAtSliceTwo(ToyStream):
    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        if slice_ == 2:
            message = "broken"
            raise ValueError(message)
        yield from super().read_slice(slice_)


def test_the_state_of_an_incremental_sync_does_not_shorten_a_full_refresh() -> None:
    stream = ToyStream("s")
    everything = catalog(stream, mode="full_refresh")
    messages = read(ToySource(stream), everything, [stream_state("s", {"slice": 3, "row": 0})])
    assert {record["id"] for record in records(messages)} == stream.truth
    assert stream.started_with == {}


def test_an_interrupted_full_refresh_resumes() -> None:
    broken = FailsAtSliceTwo("s")
    interrupted = states(read(ToySource(broken), catalog(broken, mode="full_refresh")))
    assert interrupted[-1] == {"slice": 2, "row": 0, UNFINISHED: True}
    healed = ToyStream("s")
    state = stream_state("s", interrupted[-1])
    messages = read(ToySource(healed), catalog(healed, mode="full_refresh"), [state])
    assert {record["slice"] for record in records(messages)} == {2, 3}
    assert healed.started_with == {"slice": 2, "row": 0}, "the marker is the engine's, not the stream's"


def test_after_a_finished_full_refresh_the_next_reads_everything() -> None:
    stream = ToyStream("s")
    everything = catalog(stream, mode="full_refresh")
    finished = states(read(ToySource(stream), everything))
    assert all(UNFINISHED in state for state in finished[:-1])
    assert UNFINISHED not in finished[-1]
    again = read(ToySource(stream), everything, [stream_state("s", finished[-1])])
    assert {record["id"] for record in records(again)} == stream.truth


def test_an_incremental_sync_continues_from_a_full_refresh() -> None:
    stream = ToyStream("s")
    finished = states(read(ToySource(stream), catalog(stream, mode="full_refresh")))[-1]
    assert records(read(ToySource(stream), catalog(stream), [stream_state("s", finished)])) == []


def test_states_of_incremental_syncs_carry_no_marker() -> None:
    stream = FailsAtSliceTwo("s")
    assert all(UNFINISHED not in state for state in states(read(ToySource(stream), catalog(stream))))


def test_keys_of_the_cdk_do_not_reach_a_stream() -> None:
    stream = ToyStream("s")
    read(ToySource(stream), catalog(stream), [stream_state("s", {"__ab_no_cursor_state_message": True})])
    assert stream.started_with == {}
