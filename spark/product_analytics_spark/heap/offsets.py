"""How far a stream of a table has read, without Spark: the connector's states, and the files between two of them.

A batch is what its end counts as read and its start does not, by the manifests that are there now. So a batch that is
planned again, after a crash, has the same files, whatever came meanwhile: what is new is unread for its end. A dump
that was delivered again since then is unread for its end, too: the next batch reads it, and nothing is lost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from source_heap.added_columns import CURSOR
from source_heap.config import HeapConfig
from source_heap.dumps import Dumps, dump_of, read_state
from source_heap.manifest import ManifestObject
from source_heap.streams.table import TableStream
from source_heap.table_state import DumpOfTable, TableState
from source_kit.convert import utc_now
from source_kit.errors import config_error

from product_analytics_spark.heap.reading import FilePart

logger = logging.getLogger("airbyte")


@dataclass(frozen=True, slots=True)
class Offset:
    """The end of a batch: the connector's state of the table, and the number of files of the batch.

    `state` is empty before the first batch. `files` is None where the batch's start was not known.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    files: int | None = 0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Offset:
        """The offset that `to_json` wrote."""
        return cls(json.loads(document["state"]), document.get("files"))

    def to_json(self) -> dict[str, Any]:
        """A dict of a text and an integer, the same for equal offsets: Spark compares and keeps it as JSON text."""
        files = {} if self.files is None else {"files": self.files}
        return {**files, "state": json.dumps(self.state, sort_keys=True)}


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of a batch, and the `columns` that its manifests name.

    `later` are dumps that the next batch reads in place of dumps of this one: delivered again, late or full. `gone` are
    its dumps whose manifests are not in the bucket any more.
    """

    parts: list[FilePart] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    later: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


def advance(config: HeapConfig, table: str, dumps: Dumps, start: Offset, most: int | None) -> Offset:
    """The offset behind the next files, at most `most`; `start` itself if the bucket has nothing new.

    Dumps without files of the table never end a batch. Raises a config_error if the state or the manifests do not allow
    to go on.
    """
    stream = TableStream(table, config, dumps, {}, ())
    stream.start(start.state, not start.state, utc_now())
    reached, files = stream.final_state() or {}, 0
    for slice_ in stream.slices():
        if slice_.key is not None:
            if files == most:
                break
            files += 1
        reached = slice_.after.to_json()
    if reached == start.state:
        return start
    end = Offset(reached)
    # counted as the batch will be: the connector reads dumps again where many came late, which a stream need not
    return Offset(reached, len(batch(table, dumps, start, end).parts)) if files else end


def batch(table: str, dumps: Dumps, start: Offset, end: Offset, again: bool = False) -> Batch:
    """What lies between two offsets. Raises a config_error if a state does not fit the bucket or the other state.

    A batch that is read `again` leaves out what a full dump has replaced that came since: its files may be lost, and a
    full export is the way to repair that.
    """
    known, reached = read_state(table, start.state, dumps), read_state(table, end.state, dumps)
    if reached is None:
        return Batch()
    if known is not None and known.generation != reached.generation:
        _require_full_dump(table, known, reached)
        known = None  # a full dump came: it and all later ones are read, again or not, for the new generation
    full = _full_dump_after(table, dumps, reached) if again else None
    wanted = _wanted(dumps, known, reached, max(reached.base, full or 0))
    parts: list[FilePart] = []
    columns: dict[str, None] = {}
    for manifest in dumps.manifests(wanted, table):
        if (entry := manifest.tables.get(table)) is None:
            continue
        columns |= dict.fromkeys(entry.columns)
        files, chosen = entry.files, range(*wanted[manifest.object].indices(entry.file_count))
        parts += [FilePart(manifest.dump_id, reached.generation, files[index], index) for index in chosen]
    later, gone = _differences(dumps, known, reached)
    return Batch(parts, list(columns), [*later, *([full] if full else [])], [one for one in gone if one >= (full or 0)])


def _full_dump_after(table: str, dumps: Dumps, reached: TableState) -> int | None:
    """The last full dump of the table, if the state does not know it."""
    newest = dumps.live_of_table(table, reached.generation + 1)[:1]
    return next((one.dump_id for one in newest if table in one.tables and not dump_of(one, table).incremental), None)


def _wanted(dumps: Dumps, known: TableState | None, reached: TableState, base: int) -> dict[ManifestObject, slice]:
    """The manifests, from dump `base` on, whose files one state has read and the other has not; with these files."""
    late, late_before = dumps.listing.arrivals(reached).late, dumps.listing.arrivals(known).late
    wanted = {}
    for one in dumps.listed():
        first, last = _files_read(known, one, late_before), _files_read(reached, one, late)
        if one.dump_id >= base and first is not None and last != 0:
            wanted[one] = slice(first, last)
    return wanted


def _files_read(state: TableState | None, one: ManifestObject, late: Container[int]) -> int | None:
    """How many files of this delivery of a dump were read; None for all."""
    if state is None:
        return 0
    if state.is_read(DumpOfTable(one.dump_id, one.mark, True), late):
        return None
    reading = state.reading
    return reading.files if reading and (reading.dump_id, reading.mark) == (one.dump_id, one.mark) else 0


def _differences(dumps: Dumps, known: TableState | None, reached: TableState) -> tuple[list[int], list[int]]:
    """The dumps that a state names and has not read as they are now, and those of a batch that are gone."""
    listed = {one.dump_id: one.mark for one in dumps.listed()}
    named = dict(reached.recent)
    if reached.reading:
        named[reached.reading.dump_id] = reached.reading.mark
    later = {dump_id for dump_id, mark in named.items() if listed.get(dump_id, mark) != mark}
    before = known.recent if known else {}
    gone = {dump_id for dump_id, mark in named.items() if dump_id not in listed and before.get(dump_id) != mark}
    return sorted(later | dumps.listing.arrivals(reached).late), sorted(gone)


def require_whole(table: str, end: Offset, found: Batch, skip_missing: bool) -> None:
    """Raises a config_error if files of a batch, which was planned before a restart, cannot be found any more.

    With `skip_missing` it warns. Files may be missing where the next batch reads dumps in their place. More files than
    planned are no fault: a manifest that came since may leave it open which dumps of its day the start has read, and
    Spark before 4.2 may begin a batch before the offset that its end was planned from.
    """
    count = len(found.parts)
    expected = count if end.files is None else end.files
    unknown = end.files is None and found.gone
    read_next = count < expected and found.later and not found.gone
    if (count >= expected and not unknown) or read_next:
        return
    gone = f"; the manifests of dumps {', '.join(map(str, found.gone[:20]))} are gone" if found.gone else ""
    what = (
        f"The stream of {table} was interrupted within a batch that ends in dump {end.state.get(CURSOR)} and had "
        f"{expected} files. The manifests in the bucket name {count} of them now{gone}."
    )
    if not skip_missing:
        raise config_error(
            f"{what} Restore the manifests, or start the query with a new checkpoint, which reads the whole table "
            "again; or set on_missing_file to skip to go on without these rows."
        )
    logger.warning(f"{what} The rows of the others are skipped.")


def _require_full_dump(table: str, known: TableState, reached: TableState) -> None:
    """Raises where another generation is none of a full dump, so that rows would be lost or the older ones live again.

    Spark before 4.2 asks for the newest offset without saying where the stream is.
    """
    if not reached.base or reached.generation < known.generation:
        raise config_error(
            f"The stream of {table} cannot go on: no dump exports the table in full, and the oldest one in the bucket "
            f"is {reached.generation} now, not {known.generation} as before. Start the query with a new checkpoint, "
            "which reads the whole table again; Spark 4.2 or later can go on."
        )
