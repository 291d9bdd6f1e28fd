"""When a slice fails alone, the others are read, the stream ends INCOMPLETE, and the state stays before the slice."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from kit_toys import IndependentStream, ParallelStream, ToySource, ToyStream, catalog, read
from source_kit import progress
from source_kit.errors import Throttled, config_error
from source_kit.progress import ALL_FAILED_AFTER, OUTAGE_AFTER
from source_kit.stream import SliceItem
from test_kit.catalogs import stream_state
from test_kit.messages import Message, errors, records, states, statuses


class Ordered(ToyStream):
    slices_fail_alone = True


class OrderedInParallel(ParallelStream):
    slices_fail_alone = True


KINDS = (IndependentStream, Ordered, OrderedInParallel)


def failure(kind: FailureType, message: str = "The server refused it.") -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message="status 4xx", failure_type=kind)


def refused() -> Exception:
    return failure(FailureType.system_error)


def broken() -> Exception:
    return failure(FailureType.transient_error)


def breaking(
    kind: type[ToyStream], bad: set[int], error: Callable[[], BaseException] = refused, slices: int = 12
) -> ToyStream:
    """A stream of which some slices fail after their first batch."""

    class Breaking(kind):  # type: ignore[misc, valid-type]
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            self.tried.append(slice_)
            items = super().read_slice(slice_)
            if slice_ in bad:
                yield next(items)
                raise error()
            yield from items

    stream = Breaking("s", slices=slices, rows=4, batch=2)
    stream.tried = []
    return stream


def rows_of_slices(messages: list[Message]) -> set[int]:
    """The slices whose rows were all emitted."""
    counts: dict[int, set[str]] = {}
    for row in records(messages):
        counts.setdefault(row["slice"], set()).add(row["id"])
    return {slice_ for slice_, ids in counts.items() if len(ids) == 4}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [refused, broken, ValueError])
def test_the_other_slices_are_read_and_the_error_names_the_failed_ones(
    kind: type[ToyStream], error: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    stream = breaking(kind, {3, 7}, error)
    messages = read(ToySource(stream), catalog(stream))
    assert rows_of_slices(messages) == {*range(12)} - {3, 7}
    assert statuses(messages, "s") == ["STARTED", "RUNNING", "INCOMPLETE"]
    (found,) = errors(messages)
    assert found["message"].startswith("2 of the 12 parts of s could not be read: 3, 7. The others were read,")
    assert found["failure_type"] == ("transient_error" if error is broken else "system_error")
    assert "Stream s: 3 could not be read: " in caplog.text


@pytest.mark.slow
def test_the_errors_of_slices_are_not_kept_with_the_documents_that_they_hold() -> None:
    alive: list[weakref.ref[Exception]] = []

    def with_document() -> Exception:
        error = refused()
        alive.append(weakref.ref(error))
        return error

    def finish() -> None:
        gc.collect()
        kept.append(sum(reference() is not None for reference in alive))

    kept: list[int] = []
    stream = breaking(Ordered, {1, 3, 5, 7}, with_document)
    stream.finish = finish  # type: ignore[method-assign]  # called when all slices were tried
    read(ToySource(stream), catalog(stream))
    assert (len(alive), kept) == (4, [1])


def test_an_error_that_was_caught_while_slices_were_looked_for_costs_its_own_slice_only() -> None:
    class Looking(IndependentStream):
        def slices(self) -> Iterator[int | Exception]:
            for slice_ in super().slices():
                try:
                    if slice_ == 1:
                        raise refused()
                    found: int | Exception = slice_
                except AirbyteTracedException as error:
                    found = error
                yield found

        def read_slice(self, slice_: int | Exception) -> Iterator[SliceItem]:
            if isinstance(slice_, Exception):
                raise slice_
            yield from super().read_slice(slice_)

    stream = Looking("s", slices=4, rows=2)
    messages = read(ToySource(stream), catalog(stream))
    assert {row["slice"] for row in records(messages)} == {0, 2, 3}
    assert len(errors(messages)) == 1


class Unreadable(Exception):
    """An exception that cannot even be looked at."""

    @property
    def reason(self) -> str:
        raise ValueError


@pytest.mark.parametrize("kind", [*KINDS, ParallelStream])
def test_an_exception_that_cannot_be_looked_at_is_a_failure_too(kind: type[ToyStream]) -> None:
    stream = breaking(kind, {11}, Unreadable)
    messages = read(ToySource(stream), catalog(stream))
    assert statuses(messages, "s")[-1] == "INCOMPLETE"


@pytest.mark.parametrize("kind", [Ordered, OrderedInParallel])
def test_the_state_stays_before_a_failed_slice_and_the_next_sync_reads_it(kind: type[ToyStream]) -> None:
    stream = breaking(kind, {3})
    messages = read(ToySource(stream), catalog(stream))
    last = states(messages)[-1]
    assert last["slice"] == 3
    healed = breaking(kind, set())
    again = read(ToySource(healed), catalog(healed), [stream_state("s", last)])
    assert {row["id"] for row in records(messages) + records(again)} == healed.truth
    assert statuses(again, "s")[-1] == "COMPLETE"


def test_only_the_failed_independent_slice_keeps_its_old_state() -> None:
    stream = breaking(IndependentStream, {3})
    messages = read(ToySource(stream), catalog(stream))
    read_rows = states(messages)[-1]["read"]
    assert read_rows.pop("3", 0) < 4
    assert read_rows == {str(slice_): 4 for slice_ in range(12) if slice_ != 3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [
        lambda: config_error("The key is wrong."),
        lambda: Throttled(message="Too fast.", failure_type=FailureType.transient_error),
        lambda: SystemExit(0),
    ],
    ids=["wrong key", "throttled", "exit"],
)
def test_an_error_of_the_whole_stream_ends_it_at_once(
    kind: type[ToyStream], error: Callable[[], BaseException]
) -> None:
    stream = breaking(kind, {2}, error, slices=500)
    messages = read(ToySource(stream, workers=1), catalog(stream))
    assert stream.tried == [0, 1, 2]
    assert statuses(messages, "s")[-1] == "INCOMPLETE"
    assert "could not be read" not in errors(messages)[0]["message"]


@pytest.mark.parametrize(
    ("error", "seconds", "tried"),
    [(refused, 0, ALL_FAILED_AFTER), (broken, 300, ALL_FAILED_AFTER), (broken, 0, OUTAGE_AFTER)],
)
def test_a_stream_without_a_readable_slice_ends_soon(
    error: Callable[[], Exception], seconds: float, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "OUTAGE_SECONDS", seconds)
    stream = breaking(IndependentStream, {*range(500)}, error, slices=500)
    messages = read(ToySource(stream, workers=1), catalog(stream))
    assert len(stream.tried) == tried
    (found,) = errors(messages)
    assert found["message"].startswith(f"The server refused it. All {tried} parts of s that were tried failed:")


def test_an_outage_in_the_middle_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OUTAGE_SECONDS", 0)
    outage = breaking(IndependentStream, {*range(5, 500)}, broken, slices=500)
    messages = read(ToySource(outage, workers=1), catalog(outage))
    assert len(outage.tried) == 5 + OUTAGE_AFTER
    assert "one after another that the rest was not tried" in errors(messages)[0]["message"]
    assert errors(messages)[0]["failure_type"] == "transient_error"


@pytest.mark.parametrize("error", [refused, broken])
def test_slices_after_many_broken_ones_are_read(error: Callable[[], Exception]) -> None:
    stream = breaking(IndependentStream, {*range(5, 90)}, error, slices=100)
    messages = read(ToySource(stream, workers=1), catalog(stream))
    assert rows_of_slices(messages) == {*range(5), *range(90, 100)}
    message = errors(messages)[0]["message"]
    assert message.startswith("85 of the 100 parts of s could not be read: 5, 6, ")
    assert len(message) < 500, "the names are bounded"


def test_by_default_a_failed_slice_ends_its_stream() -> None:
    stream = breaking(ToyStream, {2})
    messages = read(ToySource(stream), catalog(stream))
    assert rows_of_slices(messages) == {0, 1}
    assert [found["message"] for found in errors(messages)] == ["The server refused it."]


def test_a_state_that_cannot_be_merged_ends_the_stream() -> None:
    class Careless(IndependentStream):
        tried = 0

        def merge_state(self, state: Any, update: Any) -> dict[str, Any]:
            self.tried += 1
            raise ValueError

    stream = Careless("s", slices=50)
    messages = read(ToySource(stream, workers=1), catalog(stream))
    assert stream.tried == 1
    assert statuses(messages, "s")[-1] == "INCOMPLETE"


def test_finish_is_called_after_slices_failed() -> None:
    called = threading.Event()

    class Reporting(IndependentStream):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            if slice_ == 1:
                raise refused()
            yield from super().read_slice(slice_)

        def finish(self) -> None:
            called.set()

    stream = Reporting("s")
    read(ToySource(stream), catalog(stream))
    assert called.is_set()


def test_a_state_that_cannot_be_merged_when_a_slice_fails_ends_the_stream() -> None:
    class Careless(OrderedInParallel):
        def read_slice(self, slice_: int) -> Iterator[SliceItem]:
            if slice_ == 0:
                others.wait(10)
                raise refused()
            yield from super().read_slice(slice_)
            others.set()

        def merge_state(self, state: Any, update: Any) -> dict[str, Any]:
            raise ValueError

    others = threading.Event()
    stream = Careless("s", slices=50)
    messages = read(ToySource(stream, workers=2), catalog(stream))
    assert statuses(messages, "s")[-1] == "INCOMPLETE"
    assert states(messages) == []
