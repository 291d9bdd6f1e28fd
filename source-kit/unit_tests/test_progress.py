"""Which checkpoints may be emitted, without threads: each test ends slices in its own order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, FailureType, StreamDescriptor
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st
from kit_toys import IndependentStream, ToyStream
from source_kit import progress as module
from source_kit.cdk.state_keys import UNFINISHED
from source_kit.progress import ALL_FAILED_AFTER, Progress

REFUSED = AirbyteTracedException(
    message="Refused.", internal_message="status 403", failure_type=FailureType.system_error
)


class Counting(ToyStream):
    """Counts how often a checkpoint is merged; its state is the last update."""

    merged = 0

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        self.merged += 1
        return super().merge_state(state, update)


class Rarely(ToyStream):
    state_interval = 3600.0


def progress_of(
    stream: ToyStream | None = None, state: Mapping[str, Any] | None = None, full_refresh: bool = False
) -> Progress:
    return Progress(stream or ToyStream("s"), StreamDescriptor(name="s"), state or {}, full_refresh)


def emitted(message: AirbyteMessage | None) -> dict[str, Any] | None:
    """The state in a STATE message; None without a message."""
    if message is None:
        return None
    assert message.state is not None
    assert message.state.stream is not None
    assert message.state.stream.stream_state is not None
    return dict(message.state.stream.stream_state.__dict__)


def read_slice(progress: Progress, index: int) -> list[dict[str, Any] | None]:
    """The states that are emitted for one checkpoint, then for the end of the slice."""
    return [
        emitted(progress.add_checkpoint(index, progress.stream.update(index, progress.stream.rows))),  # type: ignore[attr-defined]
        emitted(progress.end_slice(index)),
    ]


def fail_slice(progress: Progress, index: int) -> dict[str, Any] | None:
    return emitted(progress.fail_slice(index, str(index), REFUSED, REFUSED))


def started(progress: Progress, count: int) -> Progress:
    assert [progress.start_slice() for _ in range(count)] == [*range(count)]
    return progress


def test_slices_that_end_out_of_order_move_the_state_when_the_first_of_them_ends() -> None:
    progress = started(progress_of(), 3)
    assert read_slice(progress, 2) == [None, None]
    assert read_slice(progress, 1) == [None, None]
    assert read_slice(progress, 0) == [{"slice": 1, "row": 0}, {"slice": 3, "row": 0}]


def test_the_first_open_slice_moves_the_state_before_it_ends() -> None:
    progress = started(progress_of(), 2)
    assert emitted(progress.add_checkpoint(0, {"slice": 0, "row": 5})) == {"slice": 0, "row": 5}
    assert emitted(progress.add_checkpoint(1, {"slice": 1, "row": 5})) is None
    assert emitted(progress.end_slice(0)) == {"slice": 1, "row": 5}


@given(order=st.permutations(range(6)))
def test_each_checkpoint_is_merged_once_in_any_order_of_the_ends(order: list[int]) -> None:
    stream = Counting("s")
    progress = started(progress_of(stream), 6)
    open_slices = {*range(6)}
    for index in order:
        checkpointed = emitted(progress.add_checkpoint(index, {"slice": index + 1}))
        assert checkpointed == ({"slice": index + 1} if index == min(open_slices) else None)
        open_slices.discard(index)
        ended = emitted(progress.end_slice(index))
        if ended is not None:
            assert ended["slice"] <= min([*open_slices, 5]) + 1
    assert progress.state == {"slice": 6}
    assert stream.merged == 6


def test_the_state_never_passes_a_slice_that_failed_alone() -> None:
    progress = started(progress_of(), 4)
    assert read_slice(progress, 0)[0] == {"slice": 1, "row": 0}
    assert read_slice(progress, 2) == [None, None]
    assert fail_slice(progress, 1) is None
    assert read_slice(progress, 3) == [None, None]
    assert progress.error is None, "the others are still read"
    progress.finish()
    assert isinstance(progress.error, AirbyteTracedException)
    assert str(progress.error.message).startswith("1 of the 4 parts of s could not be read: 1.")
    assert progress.state == {"slice": 1, "row": 0}
    assert progress.last_state() is None, "it was emitted before"


def test_the_checkpoints_of_a_slice_before_it_failed_count() -> None:
    progress = started(progress_of(Rarely("s")), 3)
    read_slice(progress, 0)
    progress.add_checkpoint(1, {"slice": 1, "row": 5})
    fail_slice(progress, 1)
    read_slice(progress, 2)
    assert emitted(progress.last_state()) == {"slice": 1, "row": 5}


def test_the_state_stays_before_the_first_of_several_failed_slices() -> None:
    progress = started(progress_of(), 4)
    fail_slice(progress, 2)
    read_slice(progress, 0)
    fail_slice(progress, 1)
    read_slice(progress, 3)
    assert progress.state == {"slice": 1, "row": 0}


def test_independent_slices_move_the_state_at_once_and_past_a_failed_one() -> None:
    progress = started(progress_of(IndependentStream("s", rows=20)), 3)
    assert read_slice(progress, 2)[0] == {"read": {"2": 20}}
    assert fail_slice(progress, 0) is None
    assert read_slice(progress, 1)[0] == {"read": {"2": 20, "1": 20}}
    progress.finish()
    assert progress.error is not None


def test_slices_that_all_fail_end_the_stream() -> None:
    progress = started(progress_of(IndependentStream("s")), ALL_FAILED_AFTER)
    for index in range(ALL_FAILED_AFTER):
        assert progress.error is None
        fail_slice(progress, index)
    assert isinstance(progress.error, AirbyteTracedException)
    assert "All 25 parts of s that were tried failed" in str(progress.error.message)


def test_the_stream_knows_how_many_slices_failed_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, counts = IndependentStream("s"), list[int]()
    monkeypatch.setattr(stream, "slices_failed", counts.append)
    progress = started(progress_of(stream), 3)
    fail_slice(progress, 0)
    fail_slice(progress, 1)
    progress.end_slice(2)
    assert counts == [1, 2, 0]


def test_every_state_of_a_full_refresh_but_the_last_is_marked_unfinished() -> None:
    progress = started(progress_of(full_refresh=True), 1)
    assert read_slice(progress, 0)[0] == {"slice": 1, "row": 0, UNFINISHED: True}
    assert emitted(progress.final_state()) == {"slice": 1, "row": 0}
    assert UNFINISHED not in progress.state


def test_a_full_refresh_that_fails_keeps_its_mark() -> None:
    progress = started(progress_of(Rarely("s"), full_refresh=True), 2)
    read_slice(progress, 0)
    progress.add_checkpoint(1, {"slice": 1, "row": 5})
    progress.fail(ValueError())
    assert emitted(progress.last_state()) == {"slice": 1, "row": 5, UNFINISHED: True}


def test_a_stream_without_a_state_ends_with_the_mark_of_the_cdk() -> None:
    assert emitted(progress_of().final_state()) == {"__ab_no_cursor_state_message": True}


def test_a_stream_without_checkpoints_keeps_the_state_from_the_start() -> None:
    assert emitted(progress_of(state={"slice": 7}).final_state()) == {"slice": 7}


def test_the_slices_that_start_before_an_earlier_one_has_ended_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICES_AHEAD", 3)
    progress = started(progress_of(), 3)
    progress.end_slice(1)
    assert not progress.may_start_slice
    progress.end_slice(0)
    assert progress.may_start_slice
    assert started(progress_of(IndependentStream("s")), 3).may_start_slice


@pytest.mark.parametrize("update", [{"slice": object()}, {"slice": {1}}])
def test_a_state_that_is_not_json_fails_the_stream_and_is_not_tried_again(update: dict[str, Any]) -> None:
    progress = started(progress_of(), 1)
    with pytest.raises(TypeError):
        progress.add_checkpoint(0, update)
    assert isinstance(progress.error, TypeError)
    assert progress.last_state() is None


def test_the_first_error_of_a_stream_counts() -> None:
    progress = progress_of()
    first = ValueError()
    progress.fail(first)
    progress.fail(KeyError())
    assert progress.error is first
