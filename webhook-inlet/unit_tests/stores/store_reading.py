"""Reads the log of an inlet from its store, as `/log` does for a reader."""

from __future__ import annotations

from webhook_inlet.store import Store


def read_all(store: Store, inlet: str = "prod") -> list[bytes]:
    """Every line: lane by lane, segment by segment."""
    return [
        line
        for lane in store.lanes(inlet)
        for number in range(lane.first, lane.last + 1)
        for line in store.read(inlet, lane.lane, number, 0).data.splitlines()
    ]
