"""What tables a bucket has, and which columns of which types: from manifests and the headers of a few files.

A table's columns are the union over its live dumps. Types stand only in the files, so of each table some headers are
read (ranged GETs, never a whole file): the newest dump's, the oldest live one's, and those of dumps whose list of
columns differs from the next one's, `SAMPLES` in all. A column that no header shows is text, unless it is one of Heap's
own ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_heap.avro.container import BrokenFile, Header, HeaderCut, parse_header
from source_heap.avro.schema import INSTANT, INTEGER, TEXT, JsonSchema, columns_of, union
from source_heap.avro.times import TIME_COLUMNS
from source_heap.bucket import Bucket
from source_heap.dumps import PARALLEL_GETS, Dumps
from source_heap.manifest import Manifest, TableDump
from source_heap.s3_errors import Missing

logger = logging.getLogger("airbyte")

#: Headers read of a table
SAMPLES = 8
#: Heap's own ids, 64-bit integers wherever they were seen
ID_COLUMNS = frozenset({"event_id", "user_id", "session_id", "from_user_id", "to_user_id"})
#: First guess at a header's length, grown fourfold while it proves too short. Bytes.
_HEADER_BYTES = 64 * 1024


@dataclass
class TableFound:
    """A table as the manifests show it, newest dump first.

    `samples` are files whose headers tell the types: one of each dump where the columns change, and `oldest`.
    """

    name: str
    columns: dict[str, None] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    oldest: str | None = None
    complete: bool = False
    _last_columns: tuple[str, ...] | None = None

    def add(self, dump: TableDump) -> None:
        """Takes the next older dump; those before the last full one are dead and say nothing."""
        if self.complete:
            return
        self.columns.update(dict.fromkeys(dump.columns))
        self.complete = dump.incremental is False
        if dump.file_count:
            self.oldest = dump.files[0]
            if dump.columns != self._last_columns:
                self.samples.append(self.oldest)
        self._last_columns = dump.columns

    def chosen(self) -> list[str]:
        """The files to look into."""
        oldest = [self.oldest] if self.oldest else []
        return list(dict.fromkeys([*self.samples[: SAMPLES - 1], *oldest]))


def find_tables(dumps: Dumps) -> dict[str, TableFound]:
    """Every table that a manifest names. All are read: a table may be absent from any of them and is still there."""
    tables: dict[str, TableFound] = {}
    with ThreadPoolExecutor(PARALLEL_GETS, "manifests") as pool:
        for manifest in pool.map(dumps.fetch, dumps.listed()[::-1]):
            for entry in manifest.tables.values() if manifest else ():
                tables.setdefault(entry.name, TableFound(entry.name)).add(entry)
    return dict(sorted(tables.items()))


def table_schemas(
    bucket: Bucket, tables: Iterable[TableFound], normalize_times: bool
) -> Iterator[dict[str, JsonSchema]]:
    """The columns of each table with their types, in the order of `tables`."""
    found = list(tables)
    keys = list(dict.fromkeys(key for table in found for key in table.chosen()))
    with ThreadPoolExecutor(PARALLEL_GETS, "headers") as pool:
        headers = dict(zip(keys, pool.map(lambda key: _header_or_none(bucket, key), keys), strict=True))
    for table in found:
        yield _columns(table, [headers[key] for key in table.chosen()], normalize_times)


def _columns(table: TableFound, headers: Iterable[Header | None], normalize_times: bool) -> dict[str, JsonSchema]:
    seen: dict[str, list[JsonSchema]] = {}
    for header in headers:
        if header is not None:
            for name, schema in columns_of(header.schema, normalize_times).items():
                seen.setdefault(name, []).append(schema)
    columns = {}
    for name in dict.fromkeys([*table.columns, *seen]):
        instant = normalize_times and name in TIME_COLUMNS
        unseen = INTEGER if name in ID_COLUMNS else TEXT
        columns[name] = INSTANT if instant else union(seen[name]) if name in seen else unseen
    _warn_of_folding(table.name, columns)
    return columns


def _warn_of_folding(table: str, columns: Iterable[str]) -> None:
    """Destinations fold case; two columns that differ by nothing else would fall together there."""
    folded: dict[str, str] = {}
    for name in columns:
        other = folded.setdefault(name.lower(), name)
        if other != name:
            logger.warning(f"Table {table} has columns {other} and {name}, which many destinations take for one.")


def _header_or_none(bucket: Bucket, key: str) -> Header | None:
    """A file that is gone or broken says nothing of types; reading its table will tell."""
    try:
        return read_header_of(bucket, key)
    except Missing:
        logger.warning(f"{key} does not exist; the types of its columns are taken from other files.")
    except AirbyteTracedException as error:
        if error.failure_type is FailureType.transient_error:
            raise
        logger.warning(f"{error.message} The types of its columns are taken from other files.")
    except BrokenFile as error:
        logger.warning(f"{key} is not a whole Avro file ({error}); the types of its columns are taken from others.")
    return None


def read_header_of(bucket: Bucket, key: str) -> Header:
    """The header of a file in the bucket. Raises BrokenFile where it is none."""
    size = _HEADER_BYTES
    while True:
        data = bucket.first_bytes(key, size)
        try:
            return parse_header(data)
        except HeaderCut:
            if len(data) < size:
                raise
        size *= 4


def sample_file(manifests: Iterable[Manifest]) -> str | None:
    """Any data file, for `check`."""
    return next((table.files[0] for found in manifests for table in found.tables.values() if table.file_count), None)
