"""The data of one workspace: rows with the vendor's field names, and the indexes that the endpoints need."""

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
"""`Workspace.start` is the UTC midnight this many seconds before now. The oldest delivery is one second older."""


@dataclass(frozen=True)
class Size:
    """Numbers of rows."""

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
    longest_campaign: int = 23
    """Actions of the first campaign."""
    people_an_object: int = 10
    unusual: bool = True
    """Whether there is what few workspaces have: unknown types, 30 days without deliveries, activities dated ahead."""


SIZES = {
    "tiny": Size(6, 7, 5, 3, 3, 4, 121, 300, 250, 130),
    "demo": Size(6, 6, 5, 3, 3, 4, 400, 5_000, 600, 300, longest_campaign=6, people_an_object=40, unusual=False),
}
"""`tiny` is for unit tests. `demo` can be read in less than half a minute at ten requests a second."""


def _encode(row: Row) -> bytes:
    """Encode a row. The copy is needed, because bytes from orjson keep 8 KB each (measured with Python 3.13)."""
    return memoryview(orjson.dumps(row)).tobytes()


class Deliveries:
    """Deliveries in the order of creation. Each is encoded once, so a page only joins encoded rows."""

    def __init__(self, rows: Iterable[Row]) -> None:
        pairs = sorted(((int(row["created"]), _encode(row)) for row in rows), key=lambda pair: pair[0])
        self._created = [created for created, _ in pairs]
        self._rows = [row for _, row in pairs]

    def __len__(self) -> int:
        return len(self._rows)

    def bounds(self, start: int, end: int) -> tuple[int, int]:
        """Positions of the first row created from `start` to `end` (included) and of the row after the last one."""
        return bisect_left(self._created, start), max(
            bisect_left(self._created, start), bisect_right(self._created, end)
        )

    def newest_first(self, low: int, high: int) -> list[bytes]:
        """The encoded rows at positions `low` to before `high`, newest first."""
        return self._rows[low:high][::-1]

    def page(self, low: int, high: int, first: int, last: int) -> list[bytes]:
        """The encoded rows `first` to `last` - 1, newest first.

        They are counted from the newest of the rows at positions `low` to before `high`.
        """
        return self._rows[max(low, high - last) : high - first][::-1]

    def rows(self) -> Iterator[Row]:
        """All rows, oldest first."""
        return map(orjson.loads, self._rows)

    def add(self, row: Row) -> None:
        """Insert a row by its creation time, after the rows of the same second."""
        position = bisect_right(self._created, row["created"])
        self._created.insert(position, row["created"])
        self._rows.insert(position, _encode(row))

    def update(self, change: Callable[[Row], bool]) -> int:
        """Call `change` for each row.

        It may change the row, but not `created`, and returns whether it did. Counts changes.
        """
        count = 0
        for position, encoded in enumerate(self._rows):
            row = orjson.loads(encoded)
            if change(row):
                self._rows[position] = _encode(row)
                count += 1
        return count


@dataclass(frozen=True)
class Preferences:
    """The topics that a person chose, and what applies to the person with the topics' defaults; by topic."""

    chosen: dict[str, bool]
    computed: dict[str, bool]
    changed: int | None


@dataclass(frozen=True)
class Relationship:
    """A person who belongs to an object, with the relationship's own attributes."""

    object_type_id: str
    cio_object_id: str
    cio_id: str
    attributes: dict[str, str]
    timestamps: dict[str, int]


@dataclass
class Workspace:
    """All data of one workspace.

    `lists` has the flat lists by the connector's stream names (`topics`, `types`, ...). `children` has the rows under a
    parent, by kind and parent id. `people` has the records of `POST /customers/attributes` by `cio_id`. `vanished` has
    pairs of list and id: the list still has the row, but every path below it is 404, as if the parent was deleted after
    the list was read.
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
    sender_usage: dict[int, Row] = field(default_factory=dict)
    suppressions: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    ip_addresses: list[str] = field(default_factory=list)
    deliveries: Deliveries = field(default_factory=lambda: Deliveries([]))
    drafts: Deliveries = field(default_factory=lambda: Deliveries([]))
    activities: list[Row] = field(default_factory=list)
    deleted_people: set[str] = field(default_factory=set)
    preferences: dict[str, Preferences] = field(default_factory=dict)
    """What people chose of the topics, by `cio_id`. Who has none, or a malformed text, is not in it."""
    objects: dict[tuple[str, str], Row] = field(default_factory=dict)
    """Objects by type and `cio_object_id`, as `GET /objects/{type}/{id}/attributes` answers them."""
    relationships: list[Relationship] = field(default_factory=list)
    identified_by: tuple[str, ...] = ("id", "email")
    """The identifiers of people that this workspace uses beside `cio_id`: of `id`, `email` and `phone`."""
    object_field: str = ""
    """The one field that every object has for a search, `object_id` or `cio_object_id`. Empty: both."""
    vanished: set[tuple[str, int]] = field(default_factory=set)
    export_polls: dict[int, int] = field(default_factory=dict)
    late_opens: int = 0
    """Opens added to the metrics, for each parent on each of the last three days (mutation `grow_metrics`)."""

    def find(self, name: str, number: int) -> Row | None:
        """The row of a flat list with this id, None if there is none or it has vanished."""
        if (name, number) in self.vanished:
            return None
        return next((row for row in self.lists[name] if row["id"] == number), None)

    def visible_activities(self) -> list[Row]:
        """Activities of the last 30 days and of the future, newest first."""
        return [row for row in self.activities if row["timestamp"] >= self.now - ACTIVITY_RETENTION]

    def sort_activities(self) -> None:
        """Sort after a change: by time, newest first."""
        self.activities.sort(key=lambda row: (row["timestamp"], row["id"]), reverse=True)
