"""A destination in memory that upserts by primary key and keeps the states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from test_kit.catalogs import key_of, primary_key
from test_kit.messages import message_of

Row = dict[str, Any]


class Destination:
    """What a destination holds between syncs: rows by stream and key, and the last state of every stream.

    A stream in the mode `overwrite` loses its rows when a sync of it starts, except where its state says that a full
    refresh was interrupted: then the platform continues the same generation.
    """

    def __init__(self, catalog: Mapping[str, Any]) -> None:
        self.catalog = catalog
        self.rows: dict[str, dict[str, Row]] = defaultdict(dict)
        self.states: dict[str, Row] = {}
        self._keys = {item["stream"]["name"]: primary_key(item["stream"]) for item in catalog["streams"]}
        self._overwritten = [
            item["stream"]["name"] for item in catalog["streams"] if item["destination_sync_mode"] == "overwrite"
        ]

    def begin(self) -> list[Row]:
        """Start a sync; returns the states that the connector gets."""
        for name in self._overwritten:
            blob = self.states.get(name, {}).get("stream", {}).get("stream_state", {})
            if not blob.get("__ab_full_refresh_unfinished"):
                self.rows[name].clear()
                self.states.pop(name, None)
        return list(self.states.values())

    def load(self, lines: Iterable[bytes], *, uncovered: bool = True) -> int:
        """Take whole lines; returns the number of records among them.

        With `uncovered` a row is stored as soon as it is read. Without, it is stored when a state of its stream
        follows; rows that no state follows are lost, as in a destination that dies with its buffers, and the next sync
        must bring them again. Asserts that each state counts exactly the records since the one before.
        """
        waiting: dict[str, list[Row]] = defaultdict(list)
        total = 0
        for line in lines:
            message = message_of(line)
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
        self.rows[name].update((key_of(row, self._keys[name]), row) for row in rows)


def upserted(key: Sequence[str], *syncs: Iterable[Row]) -> list[Row]:
    """The rows that a destination holds after some syncs: of those with the same key the last one."""
    return list({key_of(row, key): row for rows in syncs for row in rows}.values())
