"""Decides which dumps of a table to read next. Pure: no S3, no clock.

Heap's documentation (certain): dumps apply in the order of their numeric ids, and a dump that is not `incremental` for
a table replaces everything before it. So a table's live rows are those of its last full dump (the *generation*) and of
all later dumps; older dumps are dead, read or not.

A manifest may arrive after one with a higher id, or be delivered again with the same id and another ETag (both
inferred). A full export runs in the background for hours or days (Contentsquare's documentation, March 2026, certain),
so it may end hundreds of dumps late. So the state holds not only the last dump, but also which of the recent dumps were
read, which delivery of each, and what was seen of the last listing: `listing` finds the manifests that came after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from source_heap.table_state import DumpOfTable, Seen, TableState

#: Late dumps below those that a state lists while they are read. If there are more, all dumps from the oldest of them
#: on are read again, so that an interruption loses no work.
LATE_DUMPS = 16


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a listing says to a state: the dumps up to its floor that are `late`, and what is `seen` once all are read.

    `seen` is None if the server gives no times; then no dump is late.
    """

    late: frozenset[int] = frozenset()
    seen: Seen | None = None


NO_TIMES = Arrivals()


@dataclass(frozen=True, slots=True)
class Step:
    """A dump to read, starting with file number `first_file` (from 0)."""

    dump: DumpOfTable
    first_file: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync reads of a table, starting from `state`.

    `resync`: a new full dump replaces what was read before. `redelivered`: dumps that are read again because they
    changed. `late`: those of the steps whose manifests came late; after the last of them the state has `seen` the
    listing. `no_full_dump`: the table's history may be incomplete.
    """

    state: TableState
    steps: tuple[Step, ...]
    resync: bool = False
    redelivered: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    seen: Seen | None = None
    no_full_dump: bool = False

    def after(self, state: TableState, dump: DumpOfTable) -> TableState:
        """The state after a complete dump of the plan, which is read in the order of its steps."""
        state = state.after(dump)
        return state.having_seen(self.seen) if self.late and dump.dump_id == self.late[-1] else state


def oldest_unread(
    known: Iterable[DumpOfTable] | Iterable[Any], state: TableState | None, late: Iterable[int] = ()
) -> int:
    """The lowest dump id that the plan of a table needs; `known` are manifests or dumps of any table."""
    if state is None:
        return 0
    unread = [one.dump_id for one in known if one.dump_id > state.floor and state.recent.get(one.dump_id) != one.mark]
    return min([*unread, *late], default=max(state.dump_id, state.floor, *state.recent, 0) + 1)


def first_plan(bucket: str, dumps: Iterable[DumpOfTable], seen: Seen | None = None) -> Plan:
    """The plan of a table without a state: its live dumps. `dumps` are all dumps that contain it, at least one."""
    ordered = sorted(dumps, key=lambda dump: dump.dump_id)
    full = [dump.dump_id for dump in ordered if not dump.incremental]
    generation = full[-1] if full else ordered[0].dump_id
    state = TableState(bucket, generation, generation, generation - 1, seen=seen, base=generation if full else 0)
    steps = tuple(Step(dump) for dump in ordered if dump.dump_id >= generation)
    return Plan(state, steps, no_full_dump=not full)


def next_plan(
    state: TableState, dumps: Iterable[DumpOfTable], keep_replaced: bool, arrivals: Arrivals = NO_TIMES
) -> Plan:
    """The plan of a table with a state. `dumps` are at least those that contain it from `oldest_unread` on.

    With `keep_replaced` the new state of a resync keeps the generation that it replaces.
    """
    ordered = sorted(dumps, key=lambda dump: dump.dump_id)
    late = arrivals.late
    unread = [dump for dump in ordered if not state.is_read(dump, late) and dump.dump_id >= state.base]
    full = max((dump.dump_id for dump in unread if not dump.incremental), default=state.base)
    if full > state.generation:
        replaces = (state.base or state.generation) if state.replaces is None else state.replaces
        fresh = TableState(state.bucket, max(state.dump_id, full), full, full - 1, base=full)
        fresh = replace(fresh, replaces=replaces if keep_replaced else None).having_seen(arrivals.seen or state.seen)
        return Plan(fresh, tuple(Step(dump) for dump in ordered if dump.dump_id >= full), resync=True)
    state = replace(state, base=full)
    unread = [dump for dump in unread if dump.dump_id >= full]
    below = tuple(dump.dump_id for dump in unread if dump.dump_id <= state.floor)
    if len(below) > LATE_DUMPS:
        unread = [dump for dump in ordered if dump.dump_id >= below[0]]
        state = replace(state, floor=below[0] - 1, recent={}).having_seen(arrivals.seen)
        return _steps(state, unread, Plan(state, (), late=below))
    if not below:
        state = state.having_seen(arrivals.seen)
    return _steps(state, unread, Plan(state, (), late=below, seen=arrivals.seen))


def _steps(state: TableState, unread: Iterable[DumpOfTable], plan: Plan) -> Plan:
    """The plan with its steps: an interrupted dump goes on behind its last finished file, if it has not changed."""
    steps, redelivered = [], []
    for dump in unread:
        reading = state.reading if state.reading and state.reading.dump_id == dump.dump_id else None
        same = reading is not None and reading.mark == dump.mark
        if dump.dump_id in state.recent or (reading and not same):
            redelivered.append(dump.dump_id)
        steps.append(Step(dump, reading.files if reading and same else 0))
    return replace(plan, steps=tuple(steps), redelivered=tuple(redelivered))
