"""The stream of one table: reads its live rows, file by file."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit import single_key
from source_kit.errors import config_error
from source_kit.output import record_head
from source_kit.stream import BatchStream, Checkpoint, Estimate, RecordLines, SliceItem, StreamDocs

from source_heap.added_columns import CURSOR, DELETED_AT, FILE, GENERATION
from source_heap.avro.schema import INSTANT
from source_heap.avro.values import Projection
from source_heap.config import HeapConfig, ResyncMode
from source_heap.dumps import Dumps, dump_of, read_state, unreadable
from source_heap.files import TableFiles
from source_heap.manifest import Manifest, TableDump
from source_heap.plan import Plan, Step, first_plan, next_plan, oldest_unread
from source_heap.projection import projection_of
from source_heap.streams.drift import log_new_columns, warn_of_misfits
from source_heap.streams.keys import MIGRATIONS, key_columns
from source_heap.streams.tombstones import Tombstones
from source_heap.table_state import TableState

logger = logging.getLogger("airbyte")


@dataclass(frozen=True, slots=True)
class TableSlice:
    """File `number` of the `total` files of this sync, and the state after it.

    `index` is its place among the files of its dump, from 0. `key` is None for a dump without files of the table. With
    `tombstones` the slice is not a file: it emits the deletions of a replaced generation.
    """

    dump_id: int
    key: str | None
    after: TableState
    number: int = 0
    total: int = 0
    tombstones: bool = False
    index: int = 0

    def __str__(self) -> str:
        if self.tombstones:
            return f"deleted rows of generation {self.after.generation}"
        if self.key is None:
            return f"dump {self.dump_id}, without files"
        return f"dump {self.dump_id}, file {self.number} of {self.total}, {self.key}"


class TableStream(BatchStream):
    """A table: the rows of its last full dump and of all later dumps, in the order of dumps and files.

    A full dump (`incremental: false`) starts a new generation. Each row has its generation in `_heap_generation`; rows
    of older generations are dead. The state moves after each file.
    """

    name: str = ""
    cursor_field = CURSOR
    docs = StreamDocs(
        resolution="a dump",
        late_rows="a dump counts when its manifest appears; late and repeated ones are noticed",
        read_again="the file that an interruption cut",
        deletes="with a full dump of the table: by `_heap_generation`, or as tombstones",
        permission="s3:ListBucket on manifests/, s3:GetObject",
        requests="1 GET per new manifest (shared by all tables) and per file, 1 where it has no news or new columns",
    )

    def __init__(
        self,
        name: str,
        config: HeapConfig,
        dumps: Dumps,
        schema: Mapping[str, Any],
        key: tuple[str, ...],
    ) -> None:
        self.name = name
        self._config = config
        self._dumps = dumps
        self._schema = schema
        self._key = key
        self._files = TableFiles(name, dumps.bucket, config.skip_missing_files)
        self._plan: Plan | None = None
        self._manifests: dict[int, Manifest] = {}
        self._without: dict[int, str] = {}
        self._reached: TableState | None = None
        self._misfits: Counter[str] = Counter()
        self._rows_of_files = 0
        self._files_read = 0

    @property
    def key_columns(self) -> tuple[str, ...]:
        return self._key

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override]  # the CDK's is wrapped in a cache
        """The discovered schema; in a read, that of the catalog."""
        return self._schema

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Plans the sync. Raises a config_error if the state or the manifests do not allow one."""
        known = read_state(self.name, state, self._dumps)
        if known is not None:
            self._require_interrupted_dump(known)
        arrivals = self._dumps.listing.arrivals(known)
        oldest = oldest_unread(self._dumps.listed(), known, arrivals.late)
        live = self._dumps.live_of_table(self.name, oldest)
        self._manifests = {found.dump_id: found for found in live if self.name in found.tables}
        if not self._manifests and not (known and self._dumps.may_have(self.name, (known.dump_id, known.generation))):
            raise config_error(
                f"No manifest in the bucket {self._config.bucket} contains the table {self.name}. Refresh the schema "
                "of the connection, or remove the stream from it."
            )
        dumps = [dump_of(found, self.name) for found in self._manifests.values()]
        keep = self._config.resync_mode is ResyncMode.TOMBSTONES
        if known is None:
            plan = first_plan(self._config.bucket, dumps, arrivals.seen)
        else:
            plan = next_plan(known, dumps, keep, arrivals)
        self._require_files(plan)
        without = {found.dump_id: found.object.mark for found in live if found.dump_id not in self._manifests}
        self._without = {dump_id: mark for dump_id, mark in without.items() if dump_id > plan.state.generation}
        self._plan = plan if plan.steps else replace(plan, state=plan.state.passing(self._without))
        self._reached = self._plan.state
        self._explain(self._plan, known)
        if known is not None:
            self._log_new_columns(plan, known)

    def _log_new_columns(self, plan: Plan, known: TableState) -> None:
        """Costs one manifest, and that only where a new dump has columns that the catalog lacks."""
        properties = self._schema.get("properties") or {}
        new = (self._entry(step).columns for step in plan.steps if step.dump.dump_id > known.dump_id)
        unknown = [name for columns in new for name in columns if name not in properties]
        if not properties or not unknown:
            return
        last = (found for found in self._dumps.listed() if found.dump_id == known.dump_id)
        for manifest in self._dumps.unbroken(last, self.name):
            before = manifest.tables.get(self.name)
            if before is not None and before.columns:
                log_new_columns(self.name, unknown, before.columns, properties)

    def _require_interrupted_dump(self, state: TableState) -> None:
        """Raises if the dump that the last sync was in is gone: the rest of its rows would be lost silently."""
        if state.reading is None or any(found.dump_id == state.reading.dump_id for found in self._dumps.listed()):
            return
        if state.reading.dump_id < state.base:
            return
        if not self._config.skip_missing_files:
            raise config_error(
                f"The last sync of {self.name} was interrupted within dump {state.reading.dump_id}, whose manifest is "
                "gone now. Restore it, reset the stream, or set on_missing_file to skip to go on without the rest."
            )
        logger.warning(f"{self.name}: the manifest of dump {state.reading.dump_id} is gone; the rest of it is skipped.")

    def _require_files(self, plan: Plan) -> None:
        """Raises if a dump has no file left to read: the same manifest cannot have fewer files than the state says."""
        for step in plan.steps:
            files = self._entry(step).file_count
            if step.first_file and step.first_file >= files:
                why = f"of dump {step.dump.dump_id} it has read {step.first_file} files, and the dump has {files}"
                raise unreadable(self.name, why)

    def _explain(self, plan: Plan, before: TableState | None) -> None:
        """Logs what will be read and why, because users ask first about an unexpected full sync."""
        files = sum(map(self._file_count, plan.steps))
        what = f"{self.name}: {len(plan.steps)} dumps with {files} files to read"
        if plan.resync and before is not None:
            logger.log(
                logging.INFO if self.name == MIGRATIONS else logging.WARNING,  # migrations are always full
                f"{what}. Dump {plan.state.generation} exports the table in full: it replaces generation "
                f"{before.generation}, whose rows are dead from now on.",
            )
            if self._config.resync_mode is ResyncMode.FAIL and self.name != MIGRATIONS:
                raise config_error(
                    f"Heap has exported the table {self.name} in full (dump {plan.state.generation}), which replaces "
                    "all earlier rows. Refresh the stream and remove its records to start from it, or set resync_mode "
                    "to generation."
                )
            return
        logger.info(f"{what}, generation {plan.state.generation}.")
        if plan.no_full_dump:
            logger.warning(
                f"{self.name}: no manifest in the bucket exports the table in full, so its history may be incomplete; "
                f"reading from the oldest dump, {plan.state.generation}."
            )
        for dump_id in plan.redelivered:
            logger.warning(f"{self.name}: dump {dump_id} was delivered again and is read again from its first file.")
        if plan.late:
            logger.info(
                f"{self.name}: {len(plan.late)} dumps came late or again, the oldest is {plan.late[0]}, though later "
                "ones were read; they are read now."
            )

    def _entry(self, step: Step) -> TableDump:
        return self._manifests[step.dump.dump_id].tables[self.name]

    def _file_count(self, step: Step) -> int:
        return max(0, self._entry(step).file_count - step.first_file)

    def slices(self) -> Iterable[TableSlice]:
        """A slice for each file, for each dump without files, and for the deletions of a replaced generation."""
        plan = self._plan
        assert plan is not None  # noqa: S101 - `start` comes first
        total = sum(map(self._file_count, plan.steps))
        state, number = plan.state, 0
        self._files.expect(key for step in plan.steps for key in self._entry(step).files[step.first_file :])
        for step in plan.steps:
            files = self._entry(step).files
            for index in range(step.first_file, len(files)):
                last = index + 1 == len(files)
                state = self._after(plan, state, step) if last else state.after_files(step.dump, index + 1)
                number += 1
                yield TableSlice(step.dump.dump_id, files[index], state, number, total, index=index)
            if step.first_file >= len(files):
                state = self._after(plan, state, step)
                yield TableSlice(step.dump.dump_id, None, state)
        if state.replaces is not None and self._config.resync_mode is ResyncMode.TOMBSTONES:
            yield TableSlice(state.dump_id, None, state, tombstones=True)

    def _after(self, plan: Plan, state: TableState, step: Step) -> TableState:
        """The state after a dump; after the last one it includes the manifests that do not contain the table."""
        state = plan.after(state, step.dump)
        return state.passing(self._without) if step is plan.steps[-1] else state

    def read_slice(self, slice_: TableSlice) -> Iterator[SliceItem]:
        after = slice_.after
        if slice_.tombstones:
            deleted = Tombstones(
                self.name, self._config, self._dumps, self._files, self._projection({}, keys_only=True)
            )
            yield from deleted.items(after)
            after = after.without_replaced()
        elif slice_.key is not None:
            projection = replace(
                self._projection({CURSOR: slice_.dump_id, GENERATION: after.generation, FILE: slice_.key}),
                head=record_head(self.name),
                misfits=self._misfits,
            )
            try:
                for chunk in self._files.rows(slice_.key, projection):
                    self._rows_of_files += chunk.count
                    yield RecordLines(chunk.lines, chunk.count)
            except AirbyteTracedException:  # `finish` is not called then, and the state is behind the earlier files
                warn_of_misfits(self.name, self._misfits, projection)
                raise
            self._files_read += 1
            if self._files_read.bit_count() == 1:  # after 1, 2, 4, 8, ... files
                yield Estimate(rows=self._rows_of_files * slice_.total // self._files_read)
        self._reached = after
        yield Checkpoint(after.to_json())

    def final_state(self) -> Mapping[str, Any] | None:
        return self._reached.to_json() if self._reached else None

    def finish(self) -> None:
        warn_of_misfits(self.name, self._misfits, self._projection({}))
        self._files.close()
        self._manifests, self._without = {}, {}  # there may be hundreds of tables with thousands of dumps each

    def _projection(self, constants: Mapping[str, Any], keys_only: bool = False) -> Projection:
        properties: dict[str, Any] = dict(self._schema.get("properties") or {})
        if self.joined_columns:
            properties.pop(single_key.COLUMN, None)  # it is in no file
        keys = key_columns(self.name, self._config.key_mode)
        return projection_of(self.name, self._config, properties, constants, keys, keys_only)


def added_columns(config: HeapConfig) -> dict[str, Any]:
    """JSON schemas of the columns that this connector adds to every table."""
    columns: dict[str, Any] = {
        CURSOR: {"type": ["null", "integer"], "description": "The dump that brought the row"},
        GENERATION: {"type": ["null", "integer"], "description": "The dump that the table's live rows start from"},
        FILE: {"type": ["null", "string"], "description": "The file's key in the bucket"},
    }
    if config.resync_mode is ResyncMode.TOMBSTONES:
        columns[DELETED_AT] = INSTANT | {"description": "When the row was found deleted"}
    return columns
