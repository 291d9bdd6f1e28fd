"""A destination in memory: upserts by primary key, and states that count once read to the end of the line."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]


class Ledger:
    """What the destination holds between syncs: rows by stream and key, and the last state of every stream.

    A stream that is overwritten loses its rows when a sync of it begins anew, except where its state says that a full
    refresh was broken off: then the platform goes on with the same generation.
    """

    def __init__(self, catalog: Mapping[str, Any]) -> None:
        self.catalog = catalog
        self.rows: dict[str, dict[tuple[str, ...], Row]] = defaultdict(dict)
        self.states: dict[str, Row] = {}
        self._keys = {
            item["stream"]["name"]: [part[0] for part in item["stream"].get("source_defined_primary_key") or []]
            for item in catalog["streams"]
        }
        self._overwritten = [
            item["stream"]["name"] for item in catalog["streams"] if item["destination_sync_mode"] == "overwrite"
        ]

    def begin(self) -> list[Row]:
        """Begin a sync; the states to start it with."""
        for name in self._overwritten:
            blob = self.states.get(name, {}).get("stream", {}).get("stream_state", {})
            if not blob.get("__ab_full_refresh_unfinished"):
                self.rows[name].clear()
                self.states.pop(name, None)
        return list(self.states.values())

    def load(self, lines: Iterable[bytes], *, uncovered: bool = True) -> int:
        """Take whole lines; returns the records among them.

        With `uncovered` rows count as soon as they are read. Without, a row counts when a state of its stream follows,
        and what no state follows is lost, as in a destination that dies with its buffers: the next sync must bring it
        again. Asserts that each state counts exactly the records that were written since the one before.
        """
        waiting: dict[str, list[Row]] = defaultdict(list)
        total = 0
        for line in lines:
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                waiting[record["stream"]].append(record["data"])
                total += 1
            elif message["type"] == "STATE":
                state = message["state"]
                name = state["stream"]["stream_descriptor"]["name"]
                rows = waiting.pop(name, [])
                assert state["sourceStats"]["recordCount"] == len(rows), (name, state["sourceStats"], len(rows))
                self._store(name, rows)
                self.states[name] = state
            else:
                assert message["type"] in {"LOG", "TRACE"}, message
        if uncovered:
            for name, rows in waiting.items():
                self._store(name, rows)
        return total

    def held(self, stream: str) -> Iterable[Row]:
        """The rows of a stream."""
        return self.rows[stream].values()

    def _store(self, name: str, rows: Iterable[Row]) -> None:
        keys = self._keys[name]
        held = self.rows[name]
        for row in rows:
            key = tuple(json.dumps(row.get(part)) for part in keys) if keys else (json.dumps(row, sort_keys=True),)
            held[key] = row
