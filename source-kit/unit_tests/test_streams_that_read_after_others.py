"""A stream may name others of the same sync that end before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from kit_toys import ParallelStream, ToySource, ToyStream, catalog, read
from test_kit.messages import Message, errors, records


class First(ParallelStream):
    ended = False

    def finish(self) -> None:
        self.ended = True


class Later(ParallelStream):
    """Reads after `first`, and notes whether that had ended."""

    reads_after = frozenset({"first"})

    def __init__(self, first: First) -> None:
        super().__init__("later")
        self.first = first
        self.found_it_ended = False

    def slices(self) -> Iterable[Any]:
        self.found_it_ended = self.first.ended
        yield from super().slices()


def ids(messages: list[Message], stream: str) -> set[str]:
    return {row["id"] for row in records(messages, stream)}


@pytest.mark.parametrize("workers", [1, 3])
def test_it_starts_when_they_have_ended_whatever_the_order_of_the_catalog(workers: int) -> None:
    first, other = First("first", slices=6), ToyStream("other")
    later = Later(first)
    source = ToySource(later, first, other, workers=workers)

    messages = read(source, catalog(*source.toys))

    assert later.found_it_ended
    assert ids(messages, "later") == later.truth
    assert ids(messages, "first") == first.truth
    assert ids(messages, "other") == other.truth


def test_it_starts_when_they_have_failed() -> None:
    class Failing(First):
        def start(self, *args: Any) -> None:
            raise ValueError("no")

    later = Later(first := Failing("first"))
    source = ToySource(later, first)

    messages = read(source, catalog(*source.toys))

    assert [error["stream_descriptor"]["name"] for error in errors(messages)] == ["first"]
    assert ids(messages, "later") == later.truth


def test_it_starts_at_once_where_the_sync_does_not_read_them() -> None:
    later = Later(First("first"))
    source = ToySource(later)

    messages = read(source, catalog(*source.toys))

    assert ids(messages, "later") == later.truth
