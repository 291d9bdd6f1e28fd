"""Emits tombstones: deletions of the rows that a replaced generation had and the present one lacks.

The keys of both generations are read again from their files, which must still be in the bucket, and compared on disk,
so that memory does not grow with the table. If a part of the old generation cannot be read, its deletions are missing;
if a part of the present one is missing, no deletion is emitted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import utc_now
from source_kit.s3.rules import Missing
from source_kit.stream import SliceItem

from source_heap.added_columns import CURSOR, DELETED_AT, GENERATION
from source_heap.avro.times import write
from source_heap.avro.values import Projection
from source_heap.config import HeapConfig
from source_heap.dumps import Dumps, dump_of
from source_heap.files import TableFiles
from source_heap.manifest import ManifestObject
from source_heap.streams.key_parts import Key, KeyFile, Parts, only_in
from source_heap.streams.keys import key_columns
from source_heap.table_state import TableState

logger = logging.getLogger("airbyte")

_BATCH = 1000


class _NewFileMissing(Exception):
    """A part of the present generation is missing, so deletions cannot be found."""


class Tombstones:
    """Finds the deleted rows of one table."""

    def __init__(self, table: str, config: HeapConfig, dumps: Dumps, files: TableFiles, projection: Projection) -> None:
        """`projection` selects the key columns only."""
        self._table = table
        self._key = key_columns(table, config.key_mode)
        self._skip_missing = config.skip_missing_files
        self._dumps = dumps
        self._files = files
        self._projection = projection

    def items(self, state: TableState) -> Iterator[SliceItem]:
        """A record for each deletion: the key, the newest dump, the present generation, and the present time."""
        if state.replaces is None:
            return
        old = [found for found in self._dumps.listed() if state.replaces <= found.dump_id < state.generation]
        if not any(found.dump_id == state.replaces for found in old):
            logger.warning(
                f"{self._table}: the dump {state.replaces} that the replaced rows started from is gone from the "
                "bucket; deletions of rows that only it held are not emitted."
            )
        file = KeyFile()
        before, now = Parts(file), Parts(file)
        try:
            self._collect_new(state, now)
            self._collect_old(old, before)
            yield from self._compared(only_in(before, now, file), state)
        except _NewFileMissing as missing:
            logger.warning(
                f"{self._table}: {missing} does not exist, so no deletions are emitted of rows that generation "
                f"{state.replaces} had and generation {state.generation} lacks."
            )
        finally:
            file.close()

    def _collect_new(self, state: TableState, parts: Parts) -> None:
        """Reads the keys of the present generation. Raises if a file is missing: its rows would count as deleted."""
        new = [found for found in self._dumps.listed() if found.dump_id >= state.generation]
        gone = {state.generation, *state.recent} - {found.dump_id for found in new}
        lost = min((dump_id for dump_id in gone if dump_id >= state.generation), default=None)
        if lost is not None:
            raise _NewFileMissing(f"the manifest of dump {lost}")
        naming = [found for found in self._dumps.manifests(new, self._table) if self._table in found.tables]
        for found in naming:
            dump_of(found, self._table)
        keys = [key for found in naming for key in found.tables[self._table].files]
        self._files.expect(keys)
        for key in keys:
            try:
                self._collect(key, parts)
            except Missing:
                if not self._skip_missing:
                    raise
                raise _NewFileMissing(key) from None

    def _collect_old(self, listed: Iterable[ManifestObject], parts: Parts) -> None:
        unbroken = list(self._dumps.unbroken(listed, self._table))
        keys = [key for found in unbroken if self._table in found.tables for key in found.tables[self._table].files]
        self._files.expect(keys)
        for key in keys:
            try:
                self._collect(key, parts)
            except AirbyteTracedException as error:
                if error.failure_type is FailureType.transient_error or isinstance(error.__cause__, OSError):
                    raise  # the next sync may succeed, or have more disk space
                logger.warning(
                    f"{self._table}: {key} cannot be read ({error.internal_message}); deletions of rows that only it "
                    "held are not emitted."
                )

    def _collect(self, file: str, parts: Parts) -> None:
        for chunk in self._files.rows(file, self._projection, skip_missing=False):
            for row in map(orjson.loads, chunk.lines.splitlines()):
                key = [row.get(name) for name in self._key]
                if None not in key:  # a destination cannot delete by a key with a null
                    parts.add(orjson.dumps(key) + b"\n")

    def _compared(self, gone: Iterable[list[Key]], state: TableState) -> Iterator[SliceItem]:
        added = {CURSOR: state.dump_id, GENERATION: state.generation, DELETED_AT: write(utc_now())}
        count = 0
        for keys in gone:
            for at in range(0, len(keys), _BATCH):
                yield [{**dict(zip(self._key, key, strict=True)), **added} for key in keys[at : at + _BATCH]]
            count += len(keys)
        logger.info(f"{self._table}: {count} rows of generation {state.replaces} are emitted as deleted.")
