"""The vendor's data: one workspace, as plain rows in the vendor's field names, with the indexes that the endpoints
need.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from simulators.server import Row

DAY = 86_400
HALF_YEAR = 183 * DAY
YEAR = 365 * DAY
ACTIVITY_RETENTION = 30 * DAY
HISTORY = 300 * DAY
"""Age of the oldest regular delivery; `Workspace.start` lies this far back, at midnight UTC."""


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    campaigns: int
    newsletters: int
    newsletter_cap: int
    broadcasts: int
    transactional: int
    segments: int
    people: int
    deliveries: int
    activities: int
    suppressions: int


SIZES = {
    "tiny": Size(6, 7, 5, 3, 3, 4, 121, 300, 250, 130),
    "demo": Size(12, 52, 50, 6, 6, 8, 850, 12_000, 2_000, 1_200),
}
"""`tiny` is for unit tests; `demo` is small enough to be read at ten requests a second in about a minute."""


def _encode(row: Row) -> bytes:
    """A copy, because bytes from orjson keep its buffer of 8 KB for as long as they live (measured with 3.13)."""
    return memoryview(orjson.dumps(row)).tobytes()


class Deliveries:
    """The deliveries in order of creation, encoded once: a page is a join of ready rows."""

    def __init__(self, rows: Iterable[Row]) -> None:
        pairs = sorted(((int(row["created"]), _encode(row)) for row in rows), key=lambda pair: pair[0])
        self._created = [created for created, _ in pairs]
        self._rows = [row for _, row in pairs]

    def __len__(self) -> int:
        return len(self._rows)

    def bounds(self, start: int, end: int) -> tuple[int, int]:
        """First row and row behind the last of those created from `start` to `end`, both included."""
        return bisect_left(self._created, start), max(
            bisect_left(self._created, start), bisect_right(self._created, end)
        )

    def newest_first(self, low: int, high: int) -> list[bytes]:
        """The encoded rows of a range of positions, newest first."""
        return self._rows[low:high][::-1]

    def page(self, low: int, high: int, first: int, last: int) -> bytes:
        """Rows `first` to `last` (excluded), counted from the newest, of a range of positions: the inside of a JSON
        array.
        """
        return b",".join(self._rows[max(low, high - last) : high - first][::-1])

    def rows(self) -> Iterator[Row]:
        """Every row, oldest first."""
        return map(orjson.loads, self._rows)

    def add(self, row: Row) -> None:
        """Put a row where its creation time belongs, behind those of the same second."""
        position = bisect_right(self._created, row["created"])
        self._created.insert(position, row["created"])
        self._rows.insert(position, _encode(row))

    def update(self, change: Callable[[Row], bool]) -> int:
        """Let `change` alter rows in place (never `created`); counts those for which it says True."""
        count = 0
        for position, encoded in enumerate(self._rows):
            row = orjson.loads(encoded)
            if change(row):
                self._rows[position] = _encode(row)
                count += 1
        return count


@dataclass
class Workspace:
    """Everything that the App API can tell about one workspace.

    `lists` holds the flat lists under the names that the connectors' streams have (`topics`, `types`, ...), `children`
    the rows under a parent: kind, then parent id. `people` are the records of `POST /customers/attributes` by
    `cio_id`. `vanished` holds (list, id): still listed, but gone for every path below it, like a parent deleted a
    moment after the list was read.
    """

    seed: int
    size: Size
    now: int
    start: int
    lists: dict[str, list[Row]] = field(default_factory=dict)
    children: dict[str, dict[int, list[Row]]] = field(default_factory=dict)
    people: dict[str, Row] = field(default_factory=dict)
    members: dict[int, list[str]] = field(default_factory=dict)
    usage: dict[int, Row] = field(default_factory=dict)
    suppressions: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    ip_addresses: list[str] = field(default_factory=list)
    deliveries: Deliveries = field(default_factory=lambda: Deliveries([]))
    drafts: Deliveries = field(default_factory=lambda: Deliveries([]))
    activities: list[Row] = field(default_factory=list)
    deleted_people: set[str] = field(default_factory=set)
    vanished: set[tuple[str, int]] = field(default_factory=set)
    export_polls: dict[int, int] = field(default_factory=dict)
    late_opens: int = 0
    """Opens that the metrics of the last three days have gained since the start, per day and parent."""

    def find(self, name: str, number: int) -> Row | None:
        """The row of a flat list with this id, unless it has vanished."""
        if (name, number) in self.vanished:
            return None
        return next((row for row in self.lists[name] if row["id"] == number), None)

    def visible_activities(self) -> list[Row]:
        """Activities of the last 30 days and of the future, newest first."""
        return [row for row in self.activities if row["timestamp"] >= self.now - ACTIVITY_RETENTION]

    def sort_activities(self) -> None:
        """Restore the vendor's order after a change: by time, newest first."""
        self.activities.sort(key=lambda row: (row["timestamp"], row["id"]), reverse=True)
