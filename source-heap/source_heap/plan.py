"""Which dumps of a table are to be read, and what its state says. Pure: no S3, no clock.

The rules, certain by Heap's documentation: dumps count in the order of their numeric ids; a dump that is not
`incremental` for a table replaces everything before it. So a table's live rows are those of its last full dump (the
*generation*) and of all later ones; older dumps are dead, read or not.

Ours: a manifest may arrive late, behind one with a higher id (a nightly table's dump may end after a two-hourly one;
inferred), or be delivered again under the same id, with another ETag. So the state does not only say how far reading
came, but also which of the last dumps were read, and which delivery of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

#: Dumps that the state remembers one by one: a month and a half of nights, or four days of every two hours. What is
#: older counts as read. 24 bytes each keep a state below 2 KB.
RECENT_DUMPS = 48
STATE_VERSION = 1
#: The column that tells which dump brought a row
CURSOR = "_heap_dump_id"


class UnreadableState(ValueError):
    """A state that this connector did not write. The text is a clause that says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class DumpOfTable:
    """A dump that names the table. `mark` tells its deliveries apart."""

    dump_id: int
    mark: str
    incremental: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A dump that was read in part: its first `files` files are done."""

    dump_id: int
    mark: str
    files: int

    def files_of(self, dump: DumpOfTable) -> int:
        """How many files of this delivery of the dump are done; none where that cannot be known."""
        known = self.dump_id == dump.dump_id and self.mark == dump.mark
        return self.files if known else 0


@dataclass(frozen=True, slots=True)
class TableState:
    """How far a table was read.

    `dump_id` is the highest dump that was begun; `floor` the highest id at and below which every dump counts as read;
    `recent` the dumps above it that were read, or do not name the table, each with the mark of its delivery. `replaces`
    is the generation whose vanished rows are still to be told as deleted.
    """

    bucket: str
    dump_id: int
    generation: int
    floor: int
    recent: Mapping[int, str] = field(default_factory=dict)
    reading: Reading | None = None
    replaces: int | None = None

    def is_read(self, dump: DumpOfTable) -> bool:
        """Whether this delivery of the dump was read to its end."""
        return dump.dump_id <= self.floor or self.recent.get(dump.dump_id) == dump.mark

    def after_files(self, dump: DumpOfTable, files: int) -> TableState:
        """The state when the first `files` files of a dump were read."""
        reading = Reading(dump.dump_id, dump.mark, files)
        return replace(self, dump_id=max(self.dump_id, dump.dump_id), reading=reading)

    def after(self, dump: DumpOfTable) -> TableState:
        """The state when a dump was read to its end."""
        ended = self.reading is not None and self.reading.dump_id == dump.dump_id
        passed = self.passing({dump.dump_id: dump.mark})
        reading = None if ended else self.reading
        return replace(passed, dump_id=max(self.dump_id, dump.dump_id), reading=reading)

    def passing(self, marks: Mapping[int, str]) -> TableState:
        """The state when deliveries of dumps are done with, read or without the table; none below them is to be read.

        The oldest ones that are too many to be remembered raise the floor.
        """
        recent = sorted({**self.recent, **marks}.items())
        dropped = [dump_id for dump_id, _ in recent[:-RECENT_DUMPS]]
        return replace(self, floor=max([self.floor, *dropped]), recent=dict(recent[-RECENT_DUMPS:]))

    def without_replaced(self) -> TableState:
        """The state when the vanished rows of the replaced generation were told."""
        return replace(self, replaces=None)

    def to_json(self, cursor: str = CURSOR) -> dict[str, Any]:
        """The state as Airbyte keeps it; the cursor goes by the name of its field."""
        document: dict[str, Any] = {
            cursor: self.dump_id,
            "v": STATE_VERSION,
            "bucket": self.bucket,
            "generation": self.generation,
            "floor": self.floor,
            "recent": {str(dump_id): mark for dump_id, mark in self.recent.items()},
            "reading": None,
            "replaces": self.replaces,
        }
        if self.reading:
            document["reading"] = {
                "dump_id": self.reading.dump_id,
                "mark": self.reading.mark,
                "files": self.reading.files,
            }
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], cursor: str = CURSOR) -> TableState:
        """Raises UnreadableState."""
        version = document.get("v", STATE_VERSION)
        if version != STATE_VERSION:
            msg = f"it is of version {str(version)[:20]}, which this release does not know"
            raise UnreadableState(msg)
        dump_id = _integer(document, cursor)
        generation = _integer(document, "generation") if "generation" in document else None
        reading = document.get("reading")
        replaces = document.get("replaces")
        state = cls(
            bucket=_bucket(document.get("bucket")),
            dump_id=dump_id,
            generation=dump_id if generation is None else generation,
            floor=_integer(document, "floor") if "floor" in document else dump_id,
            recent=_recent(document.get("recent") or {}),
            reading=_reading(reading) if reading else None,
            replaces=_integer(document, "replaces") if replaces is not None else None,
        )
        state._require_order()
        return state

    def _require_order(self) -> None:
        """Raises UnreadableState for what no sync can have written: dumps would count as read that never were."""
        if self.generation > self.dump_id:
            msg = f"its generation {self.generation} is newer than its dump {self.dump_id}"
            raise UnreadableState(msg)
        if self.floor > max(self.dump_id, *self.recent, 0):
            msg = f"its floor {self.floor} is above every dump that it names"
            raise UnreadableState(msg)

    @property
    def reached(self) -> int:
        """The id at and below which dumps are known to it."""
        return max(self.dump_id, self.floor)


def _integer(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"its {name} is not a whole number"
        raise UnreadableState(msg)
    return value


def _bucket(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        msg = "its bucket is not text"
        raise UnreadableState(msg)
    return value or ""


def _recent(value: Any) -> dict[int, str]:
    try:
        return {int(dump_id): str(mark) for dump_id, mark in value.items()}
    except (AttributeError, ValueError):
        msg = "its recent is not an object of dump ids"
        raise UnreadableState(msg) from None


def _reading(value: Any) -> Reading:
    if not isinstance(value, Mapping):
        msg = "its reading is not an object"
        raise UnreadableState(msg)
    files = _integer(value, "files")
    if files < 0:
        msg = "its reading has a negative number of files"
        raise UnreadableState(msg)
    return Reading(_integer(value, "dump_id"), str(value.get("mark")), files)


@dataclass(frozen=True, slots=True)
class Step:
    """A dump to read, from its file number `first_file` on."""

    dump: DumpOfTable
    first_file: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync reads of a table.

    `state` is where it starts from. `resync` says that a new full dump replaces what was read before, `redelivered`
    names dumps that are read again because they changed, `no_full_dump` that the table's history may be incomplete.
    """

    state: TableState
    steps: tuple[Step, ...]
    resync: bool = False
    redelivered: tuple[int, ...] = ()
    no_full_dump: bool = False


def oldest_unread(known: Iterable[DumpOfTable] | Iterable[Any], state: TableState | None) -> int:
    """The id from which on a table's plan must know the dumps; `known` are manifests or dumps of any table."""
    if state is None:
        return 0
    unread = [one.dump_id for one in known if one.dump_id > state.floor and state.recent.get(one.dump_id) != one.mark]
    return min(unread, default=max(state.dump_id, state.floor, *state.recent, 0) + 1)


def first_plan(bucket: str, dumps: Iterable[DumpOfTable]) -> Plan:
    """The plan of a table that was never read: its live dumps. `dumps` are all that name it, at least one."""
    ordered = sorted(dumps, key=lambda dump: dump.dump_id)
    full = [dump.dump_id for dump in ordered if not dump.incremental]
    generation = full[-1] if full else ordered[0].dump_id
    state = TableState(bucket, generation, generation, generation - 1)
    steps = tuple(Step(dump) for dump in ordered if dump.dump_id >= generation)
    return Plan(state, steps, no_full_dump=not full)


def next_plan(state: TableState, dumps: Iterable[DumpOfTable], keep_replaced: bool) -> Plan:
    """The plan of a table with a state. `dumps` are at least those that name it from `oldest_unread` on.

    With `keep_replaced` a resync remembers the generation that it replaces.
    """
    ordered = sorted(dumps, key=lambda dump: dump.dump_id)
    unread = [dump for dump in ordered if not state.is_read(dump) and dump.dump_id >= state.generation]
    full = max((dump.dump_id for dump in unread if not dump.incremental), default=state.generation)
    if full > state.generation:
        replaces = state.generation if state.replaces is None else state.replaces
        fresh = TableState(
            bucket=state.bucket,
            dump_id=max(state.dump_id, full),
            generation=full,
            floor=full - 1,
            replaces=replaces if keep_replaced else None,
        )
        return Plan(fresh, tuple(Step(dump) for dump in ordered if dump.dump_id >= full), resync=True)
    redelivered = tuple(dump.dump_id for dump in unread if dump.dump_id in state.recent)
    steps = []
    for dump in unread:
        begun = state.reading if state.reading and state.reading.dump_id == dump.dump_id else None
        if begun and begun.mark != dump.mark:
            redelivered = (*redelivered, dump.dump_id)
        steps.append(Step(dump, begun.files_of(dump) if begun else 0))
    return Plan(state, tuple(steps), redelivered=redelivered)
