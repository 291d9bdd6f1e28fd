"""The stream `_heap_dumps`: one row per dump and table, from which a warehouse knows the live rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from source_kit.stream import BatchStream, Checkpoint, SliceItem, StreamDocs

from source_heap.avro.times import write
from source_heap.dumps import Dumps, read_state
from source_heap.manifest import Manifest, TableDump
from source_heap.plan import Plan, next_plan
from source_heap.table_state import DumpOfTable, TableState

NAME = "_heap_dumps"
CURSOR = "dump_id"
#: Dumps per slice
_SLICE_DUMPS = 100
#: Older dumps that are searched for the generation of a table that a new dump continues. The search goes on for a table
#: that none of them contains, because it is most likely new.
_LOOK_BACK = 200


class HeapDumps(BatchStream):
    """One row per dump and table, from the manifests only.

    A table's rows are live if their `_heap_generation` is the table's highest `generation` here. The table itself does
    not show that, because a full dump without rows starts a generation that no row has.

    A row keeps the generation that was known when it was written, also where a full dump comes late that starts a newer
    one before it: the row of that dump has the new generation, which is then the highest.
    """

    name = NAME
    key = (CURSOR, "table_name")
    cursor_field = CURSOR
    whole = True
    docs = StreamDocs(
        resolution="a dump",
        late_rows="a manifest appears when its dump is finished; late ones are noticed",
        read_again="dumps that were delivered again",
        deletes="none: a manifest that is removed changes nothing",
        permission="s3:ListBucket on manifests/, s3:GetObject",
        requests="1 LIST per 1,000 dumps, 1 GET per new dump, and up to 200 more (all once if a new table is not full)",
    )

    def __init__(self, dumps: Dumps) -> None:
        self._dumps = dumps
        self._state = TableState(dumps.bucket.name, 0, 0, -1)
        self._plan = Plan(self._state, ())
        self._new: frozenset[int] = frozenset()
        self._from_the_start = True
        self._generations: dict[str, int | None] = {}

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        known = read_state(self.name, state, self._dumps, CURSOR)
        if known is not None:
            self._state, self._from_the_start = known, False

    def slices(self) -> Iterable[Sequence[Manifest]]:
        """The manifests from the oldest new one on, 100 per slice. Those that were read say where generations start."""
        listed = self._dumps.listed()
        every = (DumpOfTable(found.dump_id, found.mark, True) for found in listed)
        self._plan = next_plan(self._state, every, False, self._dumps.listing.arrivals(self._state))
        self._state = self._plan.state
        self._new = frozenset(step.dump.dump_id for step in self._plan.steps)
        oldest = min(self._new, default=listed[-1].dump_id + 1)
        wanted = [found for found in listed if found.dump_id >= oldest]
        for at in range(0, len(wanted), _SLICE_DUMPS):
            yield list(self._dumps.manifests(wanted[at : at + _SLICE_DUMPS]))

    def read_slice(self, slice_: Sequence[Manifest]) -> Iterator[SliceItem]:
        if not slice_:
            return
        if not self._from_the_start:
            self._find_generations(slice_)
        for manifest in slice_:
            for table in manifest.tables.values():
                replaces = table.incremental is False and table.fault is None
                if replaces or table.name not in self._generations:
                    self._generations[table.name] = manifest.dump_id
            if manifest.dump_id in self._new:
                yield [self._row(manifest, table) for table in manifest.tables.values()]
                dump = DumpOfTable(manifest.dump_id, manifest.object.mark, True)
                self._state = self._plan.after(self._state, dump)
        yield Checkpoint(self._state.to_json(CURSOR))

    def final_state(self) -> Mapping[str, Any]:
        return self._state.to_json(CURSOR)

    def _find_generations(self, manifests: Sequence[Manifest]) -> None:
        """Finds the generation that each table of these dumps had before them.

        A table that no older dump contains starts with its first dump here. A table without a full dump among the
        searched ones gets the generation None: its older rows in `_heap_dumps` have it.
        """
        first = manifests[0].dump_id
        unknown = {name for manifest in manifests for name in manifest.tables} - self._generations.keys()
        older = [found for found in self._dumps.listed() if found.dump_id < first]
        oldest: dict[str, int | None] = {}
        for at in range(len(older), 0, -_SLICE_DUMPS):
            if len(older) - at >= _LOOK_BACK:
                unknown -= oldest.keys()
                oldest = dict.fromkeys(oldest)
            if not unknown:
                break
            for manifest in reversed(list(self._dumps.manifests(older[max(0, at - _SLICE_DUMPS) : at]))):
                for name in unknown & manifest.tables.keys():
                    oldest[name] = manifest.dump_id
                    if manifest.tables[name].incremental is False:
                        self._generations[name] = manifest.dump_id
                unknown -= self._generations.keys()
        self._generations = {**oldest, **self._generations}

    def _row(self, manifest: Manifest, table: TableDump) -> dict[str, Any]:
        modified = manifest.object.modified
        return {
            "dump_id": manifest.dump_id,
            "table_name": table.name,
            "incremental": table.incremental,
            "generation": self._generations.get(table.name),
            "files": table.file_count if table.fault is None else None,
            "columns": list(table.columns),
            "manifest_key": manifest.object.key,
            "manifest_last_modified": write(modified.astimezone(UTC)) if modified else None,
        }
