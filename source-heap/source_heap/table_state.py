"""How far a table was read, and how Airbyte stores that."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from source_heap.added_columns import CURSOR

#: Dumps that the state lists one by one. Older ones count as read if their manifests are older than the last listing.
#: At some 26 bytes each a state has about 1.5 KB, and 2 KB while late dumps are read.
RECENT_DUMPS = 48
STATE_VERSION = 1


class UnreadableState(ValueError):
    """A state that this connector cannot have written. The text is a clause that says why."""


@dataclass(frozen=True, slots=True)
class DumpOfTable:
    """A dump that contains the table. `mark` changes with each delivery of the dump."""

    dump_id: int
    mark: str
    incremental: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A dump of which the first `files` files were read."""

    dump_id: int
    mark: str
    files: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a state keeps of a listing: the newest LastModified in it, and a mark of the manifests around that time."""

    newest: datetime
    mark: str


@dataclass(frozen=True, slots=True)
class TableState:
    """How far a table was read.

    `dump_id` is the highest dump of which a file was read. Every dump up to `floor` counts as read if its manifest was
    in the listing that was `seen`. `recent` are the dumps above it that were read or do not contain the table, each
    with the mark of its delivery; and late ones below it, until all of these are read. `replaces` is the generation
    whose deletions are still to be emitted. `seen` is None in states of release 0.1. Dumps below `base` are dead: it
    is the generation, unless no full dump was there to start one. Then it is 0 until a full dump comes late, whose rows
    join the generation.
    """

    bucket: str
    dump_id: int
    generation: int
    floor: int
    recent: Mapping[int, str] = field(default_factory=dict)
    reading: Reading | None = None
    replaces: int | None = None
    seen: Seen | None = None
    base: int = 0

    def is_read(self, dump: DumpOfTable, late: Container[int] = ()) -> bool:
        """Whether this delivery of the dump was read completely. Up to the floor, all are that are not late."""
        if dump.dump_id <= self.floor and dump.dump_id not in late:
            return True
        return self.recent.get(dump.dump_id) == dump.mark

    def after_files(self, dump: DumpOfTable, files: int) -> TableState:
        """The state after the first `files` files of a dump."""
        reading = Reading(dump.dump_id, dump.mark, files)
        return replace(self, dump_id=max(self.dump_id, dump.dump_id), reading=reading)

    def after(self, dump: DumpOfTable) -> TableState:
        """The state after a complete dump."""
        ended = self.reading is not None and self.reading.dump_id == dump.dump_id
        if dump.dump_id <= self.floor:
            passed = replace(self, recent={**self.recent, dump.dump_id: dump.mark})
        else:
            passed = self.passing({dump.dump_id: dump.mark})
        reading = None if ended else self.reading
        return replace(passed, dump_id=max(self.dump_id, dump.dump_id), reading=reading)

    def passing(self, marks: Mapping[int, str]) -> TableState:
        """The state after these deliveries of dumps, which were read or do not contain the table.

        No unread dump may be below them, unless it is late: the oldest entries beyond RECENT_DUMPS raise the floor.
        """
        late = {dump_id: mark for dump_id, mark in self.recent.items() if dump_id <= self.floor}
        above = sorted(item for item in {**self.recent, **marks}.items() if item[0] > self.floor)
        dropped = [dump_id for dump_id, _ in above[:-RECENT_DUMPS]]
        return replace(self, floor=max([self.floor, *dropped]), recent=late | dict(above[-RECENT_DUMPS:]))

    def having_seen(self, seen: Seen | None) -> TableState:
        """The state when all late dumps of a listing are read."""
        above = {dump_id: mark for dump_id, mark in self.recent.items() if dump_id > self.floor}
        return replace(self, recent=above, seen=seen or self.seen)

    def without_replaced(self) -> TableState:
        """The state after the deletions of the replaced generation were emitted."""
        return replace(self, replaces=None)

    def to_json(self, cursor: str = CURSOR) -> dict[str, Any]:
        """The state as Airbyte stores it, with the cursor under the name of its field."""
        return {
            cursor: self.dump_id,
            "v": STATE_VERSION,
            "bucket": self.bucket,
            "generation": self.generation,
            "floor": self.floor,
            "recent": {str(dump_id): mark for dump_id, mark in self.recent.items()},
            "reading": asdict(self.reading) if self.reading else None,
            "replaces": self.replaces,
            "listed": _written(self.seen.newest) if self.seen else None,
            "listed_mark": self.seen.mark if self.seen else None,
            "base": self.base,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], cursor: str = CURSOR) -> TableState:
        """Raises UnreadableState."""
        version = document.get("v", STATE_VERSION)
        _require(version == STATE_VERSION, f"it is of version {str(version)[:20]}, which this release does not know")
        dump_id = _integer(document, cursor)
        bucket, reading = document.get("bucket"), document.get("reading")
        _require(bucket is None or isinstance(bucket, str), "its bucket is not text")
        state = cls(
            bucket=bucket or "",
            dump_id=dump_id,
            generation=_integer(document, "generation", dump_id),
            floor=_integer(document, "floor", dump_id),
            recent=_recent(document.get("recent") or {}),
            reading=_reading(reading) if reading else None,
            replaces=None if document.get("replaces") is None else _integer(document, "replaces"),
            seen=None if document.get("listed") is None else Seen(_instant(document), str(document.get("listed_mark"))),
            base=_integer(document, "base", _integer(document, "generation", dump_id)),
        )
        # no sync writes such a state, and unread dumps would count as read
        _require(state.generation <= dump_id, f"its generation {state.generation} is newer than its dump {dump_id}")
        highest = max(dump_id, *state.recent, 0)
        _require(state.floor <= highest, f"its floor {state.floor} is above every dump that it names")
        return state

    @property
    def reached(self) -> int:
        """The highest dump id that the state refers to."""
        return max(self.dump_id, self.floor)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise UnreadableState(otherwise)


def _integer(document: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = document.get(name, default)
    _require(type(value) is int, f"its {name} is not a whole number")
    return cast(int, value)


def _recent(value: Any) -> dict[int, str]:
    try:
        return {int(dump_id): str(mark) for dump_id, mark in value.items()}
    except (AttributeError, ValueError):
        raise UnreadableState("its recent is not an object of dump ids") from None


def _reading(value: Any) -> Reading:
    _require(isinstance(value, Mapping), "its reading is not an object")
    files = _integer(value, "files")
    _require(files >= 0, "its reading has a negative number of files")
    return Reading(_integer(value, "dump_id"), str(value.get("mark")), files)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _instant(document: Mapping[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(document["listed"])
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None:
        raise UnreadableState("its listed is not an instant")
    return at
