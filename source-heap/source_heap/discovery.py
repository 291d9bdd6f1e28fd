"""Finds the tables of a bucket and the types of their columns, from manifests and the headers of some files.

A table's columns are the union over its live dumps. Only the files have types, and the type of a column may differ from
file to file. So some headers of each table are read (ranged GETs, never a whole file): of the first and last file of
the newest dump, and of one file each of the oldest live dump, of dumps whose columns differ from the next newer one's,
and of other dumps at even distances. A column that is in no header is text, unless it is one of Heap's own ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.s3.bucket import Bucket
from source_kit.s3.rules import Missing

from source_heap.added_columns import OWN_COLUMNS
from source_heap.avro.container import Header, read_header
from source_heap.avro.faults import BrokenFile
from source_heap.avro.schema import INSTANT, INTEGER, TEXT, JsonSchema, columns_of, union
from source_heap.avro.times import TIME_COLUMNS
from source_heap.dumps import Dumps, in_parallel
from source_heap.manifest import Manifest, TableDump

logger = logging.getLogger("airbyte")

#: Headers that are read of a table whose manifests list its columns, one per dump
SAMPLES = 8
#: Headers of a table whose manifests list no columns, so that any dump may have another column
MOST_SAMPLES = 32
#: Heap's own ids, 64-bit integers (observed in every file)
ID_COLUMNS = frozenset({"event_id", "user_id", "session_id", "from_user_id", "to_user_id"})
#: Bytes of a header that are requested first; four times as many while they are too few
_HEADER_BYTES = 16 * 1024


@dataclass
class TableFound:
    """A table by its manifests, and the files whose headers are read for its types."""

    name: str
    columns: dict[str, None] = field(default_factory=dict)
    complete: bool = False
    _last_columns: tuple[str, ...] | None = None
    #: Whether every manifest lists the table's columns
    _lists_columns: bool = True
    #: The first and the last file of the newest dump
    _newest: tuple[str, ...] = ()
    _oldest: tuple[str, ...] = ()
    #: A file of each dump whose columns differ from those of the next newer one
    _changes: list[str] = field(default_factory=list)
    #: A file of every dump, or of every 2nd, 4th, ...: a table may have thousands
    _spread: list[str] = field(default_factory=list)
    _stride: int = 1
    _dumps: int = 0

    def add(self, dump: TableDump) -> None:
        """Adds the next older dump. Dumps before the last full one are dead and are ignored."""
        if self.complete:
            return
        self.columns.update(dict.fromkeys(dump.columns))
        self.complete = dump.incremental is False
        if dump.file_count:
            self._lists_columns = self._lists_columns and bool(dump.columns)
            self._take(dump.files, dump.columns != self._last_columns)
        self._last_columns = dump.columns

    def _take(self, files: list[str], changed: bool) -> None:
        self._newest = self._newest or (files[0], files[-1])
        self._oldest = (files[0],)
        if changed and len(self._changes) < SAMPLES:
            self._changes.append(files[0])
        if self._dumps % self._stride == 0:
            self._spread.append(files[0])
        if len(self._spread) > 2 * MOST_SAMPLES:
            del self._spread[1::2]
            self._stride *= 2
        self._dumps += 1

    def chosen(self) -> list[str]:
        """The files whose headers are read: one per dump, and the last one of the newest dump."""
        limit = SAMPLES if self._lists_columns else MOST_SAMPLES
        chosen = dict.fromkeys([*self._newest[:1], *self._oldest, *self._changes][:limit])
        others = [key for key in self._spread if key not in chosen]
        count = min(limit - len(chosen), len(others))
        chosen.update(dict.fromkeys(others[index * len(others) // count] for index in range(count)))
        return list(chosen | dict.fromkeys(self._newest))


def find_tables(dumps: Dumps) -> dict[str, TableFound]:
    """Every table of any manifest: a table that is missing from some dumps still exists.

    Broken manifests are skipped with a warning; a table that needs one fails when it is read. Raises BrokenManifest if
    no table is left.
    """
    tables: dict[str, TableFound] = {}
    for _, manifest in in_parallel(dumps.fetch_unbroken, reversed(dumps.listed())):
        for entry in manifest.tables.values() if manifest else ():
            tables.setdefault(entry.name, TableFound(entry.name)).add(entry)
    if not tables:
        _require_newest(dumps)
    return dict(sorted(tables.items()))


def find_table(dumps: Dumps, name: str) -> TableFound | None:
    """As `find_tables`, for one table: manifests before its last full dump are not read. None if none contains it."""
    table = TableFound(name)
    seen = False
    for _, manifest in in_parallel(dumps.fetch_unbroken, reversed(dumps.listed())):
        if manifest is not None and name in manifest.tables:
            table.add(manifest.tables[name])
            seen = True
        if table.complete:
            break
    if not seen:
        _require_newest(dumps)
    return table if seen else None


def _require_newest(dumps: Dumps) -> None:
    """Raises BrokenManifest if the newest manifest is broken."""
    list(dumps.manifests(dumps.listed()[-1:]))


def table_schemas(
    bucket: Bucket, tables: Iterable[TableFound], normalize_times: bool
) -> Iterator[dict[str, JsonSchema]]:
    """The columns of each table with their types, in the order of `tables`."""
    found = list(tables)
    keys = list(dict.fromkeys(key for table in found for key in table.chosen()))
    refused: list[AirbyteTracedException] = []
    files = dict(in_parallel(partial(_columns_or_none, bucket, normalize_times, refused), keys))
    if refused and all(columns is None for columns in files.values()):
        raise refused[0]  # all types would be guesses
    for error in refused:
        logger.warning(f"{error.message} The types of its columns are taken from other files.")
    for table in found:
        yield _columns(table, [files[key] for key in table.chosen()], normalize_times)


def _columns(
    table: TableFound, files: Iterable[dict[str, JsonSchema] | None], normalize_times: bool
) -> dict[str, JsonSchema]:
    seen: dict[str, list[JsonSchema]] = {}
    for file in files:
        for name, schema in (file or {}).items():
            seen.setdefault(name, []).append(schema)
    columns = {}
    for name in dict.fromkeys([*table.columns, *seen]):
        instant = normalize_times and name in TIME_COLUMNS
        unseen = INTEGER if name in ID_COLUMNS else TEXT
        columns[name] = INSTANT if instant else union(seen[name]) if name in seen else unseen
    _warn_of_names(table.name, columns)
    return {name: schema for name, schema in columns.items() if name not in OWN_COLUMNS}


def _warn_of_names(table: str, columns: Iterable[str]) -> None:
    """Warns of names that differ by case only, also from added columns: many destinations treat them as equal."""
    folded = {name.lower(): name for name in OWN_COLUMNS}
    for name in columns:
        if name in OWN_COLUMNS:
            logger.warning(f"Table {table} has a column {name} of its own, which is dropped: this connector adds one.")
            continue
        other = folded.setdefault(name.lower(), name)
        if other != name:
            logger.warning(f"Table {table} has columns {other} and {name}, which many destinations take for one.")


def _columns_or_none(
    bucket: Bucket, normalize_times: bool, refused: list[AirbyteTracedException], key: str
) -> dict[str, JsonSchema] | None:
    """The columns of a file; None, with a warning, if it is missing or broken. A refusal is added to `refused`.

    A refusal may mean a missing file: S3 does not say so to a caller that may list manifests only.
    """
    try:
        return columns_of(read_header_of(bucket, key).schema, normalize_times)
    except Missing:
        logger.warning(f"{key} does not exist; the types of its columns are taken from other files.")
    except AirbyteTracedException as error:
        if error.failure_type is FailureType.transient_error:
            raise
        refused.append(error)
    except BrokenFile as error:
        logger.warning(f"{key} cannot be decoded ({error}); the types of its columns are taken from other files.")
    return None


def read_header_of(bucket: Bucket, key: str) -> Header:
    """The header of a file in the bucket. Raises BrokenFile."""
    return read_header(partial(bucket.first_bytes, key), _HEADER_BYTES)


def sample_file(newest_first: Iterable[Manifest]) -> tuple[str, int] | None:
    """A data file and its dump, for `check`: from the first dump that has a file of a live table.

    Files of replaced dumps are not used, because they may have been deleted.
    """
    dead: set[str] = set()
    for manifest in newest_first:
        for table in manifest.tables.values():
            if table.file_count and table.name not in dead:
                return table.files[0], manifest.dump_id
        dead |= {table.name for table in manifest.tables.values() if table.incremental is False}
    return None
