"""Reads a stream in rounds, for streaming queries: which slices lie between two offsets. Without Spark.

A round is what one incremental sync reads. Its slices follow from the state before it and from the time at which it
began. So an offset within a round is `{"state": ..., "sync_start": ..., "done": 3, "slices": "..."}`: the state before
the round, when it began, how many slices are done, and a digest of all of them. Behind a round it is `{"state": ...,
"read_to": ..., "slices": "..."}`. The digest shows whether the options are still those that the slices follow from.

The state behind a round is what the stream says of the ends of its slices without reading them, so it is never ahead of
the rows. Each round reads again what a sync reads again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeAlias

from source_kit.convert import parse_instant, utc_now
from source_kit.errors import config_error
from source_kit.http.stream import BatchHttpStream
from source_kit.stream import BatchStream

from product_analytics_spark.bridge.reading import Chain, ChosenStream, chains, probed

Offset: TypeAlias = dict[str, str | int]

BEGINNING: Offset = {"state": "{}", "read_to": ""}


def require_rounds(chosen: ChosenStream) -> None:
    """Raises a config_error for a stream whose state only reading tells."""
    source = chosen.source()
    with closing(chosen.opened()) as stream:
        if _has_rounds(stream):
            return
    able = sorted(found.name for found in source.all_streams(chosen.config) if _has_rounds(found))
    raise config_error(
        f"The stream {chosen.name} cannot be read by readStream, because only a reading to its end tells where the "
        "next one begins. Use spark.read, and merge by the primary key. These streams can be read by readStream: "
        f"{', '.join(able)}."
    )


def present(chosen: ChosenStream) -> datetime:
    """Now, by the vendor's clock if this machine's is ahead: a state in the vendor's future would hide rows.

    Sends the stream's smallest request. Raises its error, since only an answer shows the vendor's clock.
    """
    now = utc_now()
    stream, error = probed(chosen, patient=True)
    if error is not None:
        raise error
    assert isinstance(stream, BatchHttpStream)  # noqa: S101 - all streams with rounds are
    return stream.client.connection.cursor_ceiling(now)


def begun(offset: Offset, now: datetime) -> Offset:
    """The offset of a new round behind a whole one."""
    return {"state": offset["state"], "sync_start": now.isoformat(), "done": 0}


def latest(chosen: ChosenStream, start: Offset, most: int | None) -> Offset:
    """The offset behind the next slices of a round, at most `most` of them."""
    with closing(chosen.opened()) as stream:
        state, at, done = _state(start), str(start["sync_start"]), _done(start)
        slices = _slices(stream, state, at)
        _require(_is_of(start, slices))
        stop = len(slices) if most is None else min(len(slices), done + most)
        if stop < len(slices):
            return {"state": _text(state), "sync_start": at, "done": stop, "slices": _digest(slices)}
        for slice_ in slices:
            if (update := stream.end_of(slice_)) is not None:
                state = stream.merge_state(state, update)
        if (final := stream.final_state()) is not None:
            state = stream.merge_state(state, final)
        return {"state": _text(state), "read_to": at, "slices": _digest(slices)}


def parts(chosen: ChosenStream, readers: int, start: Offset, end: Offset) -> list[Chain]:
    """The chains with all rows between two offsets; more than that if a round was given up within."""
    at = str(end.get("sync_start") or end["read_to"])
    same_round = start.get("sync_start") == at
    with closing(chosen.opened(readers)) as stream:
        state = _state(start)
        slices = _slices(stream, state, at)
        _require(not same_round or _is_of(start, slices))
        # Before Spark 4.2 a round goes on from `start`, while its end was found from the beginning.
        _require(_is_of(end, slices) or (is_complete(end) and _is_of(end, _slices(stream, {}, at))))
        chosen_ones = slices[_done(start) if same_round else 0 : _done(end) or None]
    return chains(chosen_ones, readers, Chain((), 1, parse_instant(at), state, counted=True))


def is_complete(offset: Offset) -> bool:
    """Whether an offset is behind a round, so that the next one begins a new round."""
    return "read_to" in offset


def _has_rounds(stream: Any) -> bool:
    return isinstance(stream, BatchStream) and not stream.whole and type(stream).end_of is not BatchStream.end_of


def _slices(stream: BatchStream, state: Mapping[str, Any], at: str) -> list[Any]:
    stream.start(state, not state, parse_instant(at))
    return list(stream.slices())


def _digest(slices: list[Any]) -> str:
    return sha256(repr(slices).encode()).hexdigest()


def _is_of(offset: Offset, slices: list[Any]) -> bool:
    """Whether an offset is of the round with these slices. One at which a round begins is of any."""
    return offset.get("slices", digest := _digest(slices)) == digest


def _require(same: bool) -> None:
    """Raises a config_error where the slices are not those of the offset: rows between them would be lost."""
    if not same:
        raise config_error(
            "The options were changed while the query was within a round, so its checkpoint does not fit: restore "
            "them (for example num_workers, start_date, end_date and the lookback), or start with a new checkpoint."
        )


def _state(offset: Offset) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(str(offset["state"]))
    return state


def _done(offset: Offset) -> int:
    return int(offset.get("done", 0))


def _text(state: Mapping[str, Any]) -> str:
    return json.dumps(state, sort_keys=True)
