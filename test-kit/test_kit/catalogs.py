"""Configured catalogs and states, as the platform writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def configured(
    catalog: Mapping[str, Any], streams: Sequence[str] = (), *, full_refresh: bool = False, mode: str | None = None
) -> Row:
    """A configured catalog of these streams of a discovered one, or of all; incremental where they can be.

    `mode` is the destination's, by default `append_dedup` for a stream that is read incrementally and `overwrite` for
    any other. Fails if a stream is not in the catalog.
    """
    offered = {stream["name"]: stream for stream in catalog["streams"]}
    missing = set(streams) - set(offered)
    assert not missing, f"not in the catalog: {sorted(missing)}"
    chosen = [offered[name] for name in streams or offered]
    return {
        "streams": [
            configured_stream(stream, not full_refresh and "incremental" in stream["supported_sync_modes"], mode)
            for stream in chosen
        ]
    }


def configured_stream(stream: Mapping[str, Any] | str, incremental: bool = True, mode: str | None = "append") -> Row:
    """One stream of a configured catalog. A stream that is given by its name alone has no declared fields."""
    if isinstance(stream, str):
        modes = ["full_refresh", "incremental"]
        stream = {"name": stream, "json_schema": {"type": "object"}, "supported_sync_modes": modes}
    return {
        "stream": dict(stream),
        "sync_mode": "incremental" if incremental else "full_refresh",
        "destination_sync_mode": mode or ("append_dedup" if incremental else "overwrite"),
        "cursor_field": stream.get("default_cursor_field", []),
        "primary_key": stream.get("source_defined_primary_key", []),
    }


def stream_state(name: str, state: Any) -> Row:
    """The state of a stream, as the platform hands it to the next sync."""
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}}


def stream_states(states: Mapping[str, Mapping[str, Any]] | None) -> list[Row] | None:
    """The states of several streams; None where there are none, as in a first sync."""
    return [stream_state(name, state) for name, state in states.items()] if states else None


def primary_key(stream: Mapping[str, Any]) -> list[str]:
    """The names of the columns of a stream's key; empty where it has none."""
    return [path[0] for path in stream.get("source_defined_primary_key") or []]


def key_of(row: Mapping[str, Any], key: Sequence[str]) -> str:
    """A row's key as one text; the whole row where the stream has none."""
    return json.dumps([row.get(part) for part in key] if key else row, sort_keys=True)


def incremental_streams(catalog: Mapping[str, Any]) -> list[str]:
    """The names of the streams that have a cursor."""
    return [stream["name"] for stream in catalog["streams"] if "incremental" in stream["supported_sync_modes"]]
