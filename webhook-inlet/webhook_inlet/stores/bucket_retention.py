"""Removes what is older than the retention time from a bucket: objects, from the head of a lane."""

from __future__ import annotations

from webhook_inlet.store import SEGMENT_NAME
from webhook_inlet.stores.bucket_objects import Listed, Objects


def remove_head(objects: Objects, inlet: str, lane: str, at: int, own: bool) -> int:
    """Removes the objects that were written before `at`, one after the other up to the first that is younger.

    An object is written once, when its last line comes, so the server's time of it is the time of that line; no object
    needs to be read. One request each and in order: whatever stops it, no hole appears. Before the last object goes, a
    marker says that the lane was there. Raises StoreError, and what requests raise.
    """
    removed = 0
    held: Listed | None = None  # one behind, to know which is the last
    markers: dict[str, float] = {}
    for entry in objects.listed(inlet, lane):
        if not SEGMENT_NAME.fullmatch(entry.name):
            markers[entry.name] = entry.modified
            continue
        if held:
            objects.delete(objects.key(inlet, lane, held.name))
            removed += 1
            held = None
        if entry.modified * 1e6 >= at:
            return removed
        held = entry
    if held:
        objects.put_marker(objects.key(inlet, lane, "removed"), int(held.name[:12]))
        objects.delete(objects.key(inlet, lane, held.name))
        return removed + 1
    if not own and "removed" in markers and markers["removed"] * 1e6 < at:
        for name in ("closed", "removed"):
            objects.delete(objects.key(inlet, lane, name))
    return removed
