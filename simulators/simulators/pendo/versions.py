"""Versions of guides: `GET guide/{id}/history`.

Documented: the list has all versions of a guide, newest first, and one edit often makes several versions. Inferred: a
version is the guide as it was, and the newest one is the guide as it is. Whether a version has an id of its own is not
known, so a switch decides (`own_version_ids`).
"""

from __future__ import annotations

import random

from simulators.pendo.periods import DAY_MS
from simulators.server import Row

OWN_IDS = ("", "id", "stableVersionId")


class GuideVersions:
    """The versions of all guides, made at the first request for them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._versions: dict[str, list[Row]] = {}

    def edited(self, before: Row, after: Row, copies: int = 2) -> None:
        """Note an edit of a guide: `copies` versions with equal times. `before` is the guide as it was."""
        self._of(before).extend({**after} for _ in range(copies))

    def newest_first(self, guide: Row, own_ids: str) -> list[Row]:
        """All versions of a guide. `own_ids` is one of `OWN_IDS`: the member that differs from version to version."""
        versions = [
            {**version, own_ids: f"{guide['id']}-v{number}"} if own_ids else version
            for number, version in enumerate(self._of(guide), 1)
        ]
        return versions[::-1]

    def _of(self, guide: Row) -> list[Row]:
        """The versions of a guide, oldest first."""
        if guide["id"] not in self._versions:
            self._versions[guide["id"]] = self._made(guide)
        return self._versions[guide["id"]]

    def _made(self, guide: Row) -> list[Row]:
        rng = random.Random(f"{self._seed}/versions/{guide['id']}")
        edits = [(guide["lastUpdatedAt"], guide["name"])]
        while len(edits) < 1 + rng.randrange(1, 4):
            at = edits[-1][0] - rng.randrange(1, 20 * DAY_MS)
            edits.append((max(at, guide["createdAt"]), f"{guide['name']} (draft {len(edits)})"))
        versions = []
        for at, name in reversed(edits):
            # One edit makes one version, two at the same time, or two a second apart.
            times = rng.choice(((at,), (at, at), (max(at - 1000, guide["createdAt"]), at)))
            versions += [{**guide, "name": name, "lastUpdatedAt": time} for time in times]
        return versions
