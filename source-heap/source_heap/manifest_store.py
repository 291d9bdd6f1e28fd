"""Keeps manifests in a temporary SQLite database, since a bucket has thousands of them with hundreds of tables each.

SQLite holds a few megabytes in memory and the rest in a file without a name that vanishes with the process.
"""

from __future__ import annotations

import threading
import weakref

import orjson
from source_kit.disk import no_room

from source_heap.manifest import Manifest, ManifestObject, TableDump

_TABLES = """
create table entry (
    manifest integer, name text, incremental integer, columns blob, files integer, packed blob, fault text
);
create index of_manifest on entry (manifest, name);
pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4096;
"""
_WHOLE = "select name, incremental, columns, files, null, fault from entry where manifest = ? order by rowid"
_ONE_TABLE = "select name, incremental, columns, files, packed, fault from entry where manifest = ? and name = ?"


class ManifestStore:
    """Manifests by number, in the order of `keep`. Threads share it."""

    def __init__(self) -> None:
        import sqlite3  # imported late: other commands start faster without it

        self._errors = sqlite3.Error
        self._lock = threading.Lock()
        self._kept: list[ManifestObject] = []
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._database.close)  # Python 3.13 warns of one that is never closed
        self._database.executescript(_TABLES)

    def keep(self, manifest: Manifest) -> int:
        """Keeps a manifest and returns its number."""
        with self._lock:
            number = len(self._kept)
            rows = [
                (number, one.name, one.incremental, orjson.dumps(one.columns), one.file_count, one.packed, one.fault)
                for one in manifest.tables.values()
            ]
            try:
                self._database.executemany("insert into entry values (?, ?, ?, ?, ?, ?, ?)", rows)
            except self._errors as error:
                raise no_room(error) from error
            self._kept.append(manifest.object)
            return number

    def manifest(self, number: int, table: str | None = None) -> Manifest:
        """A kept manifest: all its tables without their files, or only `table`, with its files."""
        query, values = (_WHOLE, (number,)) if table is None else (_ONE_TABLE, (number, table))
        with self._lock:
            try:
                found = self._database.execute(query, values).fetchall()
            except self._errors as error:
                raise no_room(error) from error
            return Manifest(self._kept[number], {row[0]: _table(*row) for row in found})


def _table(
    name: str, incremental: int | None, columns: bytes, files: int, packed: bytes, fault: str | None
) -> TableDump:
    known = None if incremental is None else bool(incremental)
    return TableDump(name, known, tuple(orjson.loads(columns)), files, packed, fault)
