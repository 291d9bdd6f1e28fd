"""Rows without a column of the primary key are emitted, and counted in a warning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit_toys import ToySource, ToyStream, catalog, read
from source_kit.stream import Checkpoint, SliceItem
from test_kit.messages import records


class Keyless(ToyStream):
    """Three rows a slice, one without `id` and one with null there."""

    key = ("id", "slice")

    def read_slice(self, slice_: int) -> Iterator[SliceItem]:
        yield [{"id": f"{slice_}", "slice": slice_}, {"slice": slice_}, {"id": None, "slice": slice_}]
        yield Checkpoint(self.update(slice_, self.rows))


def test_they_arrive_and_one_warning_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    stream = Keyless("s", slices=2)
    messages = read(ToySource(stream), catalog(stream))
    assert len(records(messages)) == 6
    assert caplog.text.count("Stream s: 4 rows have no id, a column of the primary key.") == 1
    assert "no slice" not in caplog.text
