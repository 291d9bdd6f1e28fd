"""The log that webhook-inlet keeps: lanes of numbered segments of NDJSON lines, over HTTP or in a bucket.

A reader keeps a position in each lane: the number of a segment, and of the lines of it that were read. Within a lane
numbers only grow, and a number is taken only after the one before it was durable; so no clock decides what was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_kit.errors import system_error

#: The number of a segment, and how many of its lines were read. Behind a segment that will not grow: the next one, 0.
Position = tuple[int, int]
#: Segments of a lane that are requested at the same time, and about the bytes that they may take
SEGMENTS_AHEAD = 8
BYTES_AHEAD = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lane:
    """The log of one inlet in one process. Segments have the numbers `first` to `last`, the last one `lines` lines.

    A lane whose segments were all removed has `first == last + 1` and `lines == 0`. `lines` is None if the store cannot
    tell without reading (a bucket, where no segment grows).
    """

    name: str
    first: int
    last: int
    lines: int | None

    @property
    def end(self) -> Position:
        """The position behind all that the listing had."""
        return (self.last + 1, 0) if self.lines is None or self.first > self.last else (self.last, self.lines)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a segment behind a position. `sealed`: the segment will not grow (False if the store does not say)."""

    data: bytes
    sealed: bool


class WebhookLog(Protocol):
    """Where the log is. Errors are AirbyteTracedExceptions with a sentence."""

    def lanes(self) -> list[Lane]:
        """All lanes of the inlet."""

    def read(self, lane: str, segment: int, line: int) -> Lines | None:
        """The lines behind the `line`-th of a segment; None if the store does not have the segment."""

    def newest(self) -> datetime | None:
        """About when the newest event of the lanes that were listed last was received; None if there is none."""

    def close(self) -> None:
        """Closes the connections."""


@dataclass(frozen=True, slots=True)
class SegmentPart:
    """Whole lines of one segment: those behind the `line`-th. `after` is the position behind them."""

    segment: int
    line: int
    data: bytes
    after: Position


@dataclass(frozen=True, slots=True)
class LaneRead:
    """What a sync reads of one lane: from `start` to the end that was listed. `lost` segments before were removed."""

    lane: Lane
    start: Position
    lost: int = 0

    def __str__(self) -> str:
        return f"lane {self.lane.name}"


def positions_of(state: Mapping[str, Any]) -> dict[str, Position] | None:
    """The positions in a state; None for an empty one. Raises ValueError for a state of another shape."""
    if not state:
        return None
    lanes = state.get("lanes")
    if set(state) != {"lanes"} or not isinstance(lanes, dict):
        raise ValueError
    found = {}
    for name, position in lanes.items():
        match position:
            case [int() as segment, int() as line] if bool not in map(type, position) and segment > 0 and line >= 0:
                found[name] = (segment, line)
            case _:
                raise ValueError
    return found


def plan(lane: Lane, position: Position | None, first_sync: bool) -> LaneRead:
    """What to read of a lane. `position` is that of the state, None for a lane that is not in it.

    A position behind the end of the lane, whose log was restored from an older copy, becomes that end.
    In the first sync of all, a lane begins with the oldest segment that is left. Later, an unknown lane is younger than
    the last sync, so all its segments must be there.
    """
    if position is None:
        start = (lane.first, 0) if first_sync else (1, 0)
    else:
        start = position if position <= lane.end or position == (lane.last + 1, 0) else lane.end
    return LaneRead(lane, start, max(0, lane.first - start[0]))


def removed(read: LaneRead, count: int) -> AirbyteTracedException:
    """The error for segments that retention removed before they were read."""
    return system_error(
        f"Retention removed {count} {'segment' if count == 1 else 'segments'} of {read} of the webhook log before they "
        "were read to their end. What they held cannot be read any more. To read on from what is left, refresh the "
        "stream and retain its records; do not clear it, because its table may have events that the log has no more. "
        "So that it does not happen again, sync more often, or raise retention_days of the inlet.",
        f"{read}: the position is {list(read.start)}, the oldest segment was {read.lane.first}",
    )


def hole(read: LaneRead, segment: int) -> AirbyteTracedException:
    """The error for a segment that is missing although later ones exist."""
    return system_error(
        f"Segment {segment} of {read} of the webhook log is missing, although later ones exist. It was deleted, or the "
        "store lost it. The lane was read up to it. Restore the segment from a copy; if there is none, set the "
        f"position of the lane in the state of the stream to [{segment + 1}, 0] to read on behind it.",
        f"{read}: no segment {segment} among {read.lane.first} to {read.lane.last}",
    )


def parts(log: WebhookLog, read: LaneRead, executor: Executor) -> Iterator[SegmentPart]:
    """The lines of a lane, a part a segment, in order. Segments are requested ahead, a few at a time.

    Ends at the end that was listed, so that a sync ends although events keep coming. Raises `removed` and `hole`.
    """
    lane, (segment, line) = read.lane, read.start
    if read.lost:
        raise removed(read, read.lost)
    requested: deque[Future[Lines | None]] = deque()
    try:
        while segment <= lane.last:
            if not requested:
                requested.append(executor.submit(log.read, lane.name, segment, line))
            lines = requested.popleft().result()
            if lines is None:
                lines = _looked_again(log, read, segment, line)
            ahead = max(1, min(SEGMENTS_AHEAD, BYTES_AHEAD // max(1, len(lines.data))))
            for following in range(segment + 1 + len(requested), min(lane.last, segment + ahead) + 1):
                requested.append(executor.submit(log.read, lane.name, following, 0))
            part = _part(lane, segment, line, lines)
            del lines
            yield part
            del part  # frees it before the next is taken
            segment, line = segment + 1, 0
    finally:
        for future in requested:
            future.cancel()


def _part(lane: Lane, segment: int, line: int, lines: Lines) -> SegmentPart:
    """What of a segment is read: all, but of the last one only the lines that were listed."""
    if segment < lane.last:
        return SegmentPart(segment, line, lines.data, (segment + 1, 0))
    data = lines.data
    count = data.count(b"\n")
    if lane.lines is not None and line + count > lane.lines:
        data = data[: end_of_lines(data, lane.lines - line)]
    elif lines.sealed or lane.lines is None:
        return SegmentPart(segment, line, data, (segment + 1, 0))
    return SegmentPart(segment, line, data, (segment, line + data.count(b"\n")))


def end_of_lines(data: bytes, count: int) -> int:
    """Where the first `count` lines end; the end of the data if it has fewer."""
    end = 0
    for _ in range(count):
        end = data.find(b"\n", end) + 1
        if not end:
            return len(data)
    return end


def _looked_again(log: WebhookLog, read: LaneRead, segment: int, line: int) -> Lines:
    """The lines of a segment that was missing: retention may have removed it since the lanes were listed."""
    now = next((lane for lane in log.lanes() if lane.name == read.lane.name), None)
    first = read.lane.last + 1 if now is None else now.first
    if first > segment:
        raise removed(read, first - segment)
    lines = log.read(read.lane.name, segment, line)
    if lines is None:
        raise hole(read, segment)
    return lines
