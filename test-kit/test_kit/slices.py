"""Whether the slices of a stream may be read apart, in other processes: the rows both ways."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_kit.stream import BatchStream


def read_together(
    opened: Callable[[], BatchStream], now: datetime, state: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows of a stream by one instance that reads all slices."""
    stream = _started(opened, now, state)
    rows = [row for slice_ in stream.slices() for row in _rows(stream, slice_)]
    stream.finish()
    stream.close()
    return rows


def read_apart(
    opened: Callable[[], BatchStream], now: datetime, state: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows of a stream, each pickled slice read by an instance of its own, on which only `start` was called.

    One that must be read whole is read by one instance.
    """
    planner = _started(opened, now, state)
    if planner.whole:
        planner.close()
        return read_together(opened, now, state)
    pickled = [pickle.dumps(slice_) for slice_ in planner.slices()]
    planner.close()
    rows = []
    for text in pickled:
        stream = _started(opened, now, state)
        rows += _rows(stream, pickle.loads(text))  # noqa: S301 - written above
        stream.finish()
        stream.close()
    return rows


def _started(opened: Callable[[], BatchStream], now: datetime, state: Mapping[str, Any] | None) -> BatchStream:
    stream = opened()
    stream.start(state or {}, not state, now)
    return stream


def _rows(stream: BatchStream, slice_: Any) -> list[dict[str, Any]]:
    from source_kit.output import rows_of  # only now: the CDK's import takes a second

    return [row for item in stream.read_slice(slice_) for row in rows_of(item)]
