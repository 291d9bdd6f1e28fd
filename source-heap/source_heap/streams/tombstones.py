"""Tombstones: the rows that a replaced generation had and the present one has not, told as deleted.

The keys of both generations are read again from the files, which must therefore still be in the bucket, and compared on
disk in parts, so that memory does not grow with the table. Where part of the old generation cannot be read, fewer rows
are told; where part of the present one is missing, none.
"""

from __future__ import annotations

import logging
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.items import SliceItem
from source_kit.timestamps import utc_now

from source_heap.avro.times import write
from source_heap.avro.values import RowRules
from source_heap.columns import DELETED_AT
from source_heap.config import HeapConfig
from source_heap.dumps import Dumps, dump_of
from source_heap.files import TableFiles
from source_heap.manifest import ManifestObject
from source_heap.plan import CURSOR, TableState
from source_heap.s3_errors import Missing
from source_heap.streams.keys import key_columns

logger = logging.getLogger("airbyte")

_PARTS = 64
_BATCH = 1000


#: The values of a row's key, in the order of the key's columns
_Key = list[Any]


@dataclass
class _Parts:
    """Keys in temporary files, by the checksum of their texts: equal keys lie in the same part."""

    files: list[BinaryIO]

    @classmethod
    def new(cls) -> _Parts:
        return cls([tempfile.TemporaryFile() for _ in range(_PARTS)])

    def add(self, key: _Key) -> None:
        self.files[zlib.crc32(_text(key).encode()) % _PARTS].write(orjson.dumps(key) + b"\n")

    def part(self, number: int) -> dict[str, bytes]:
        """The keys of a part as they were written, by their texts."""
        file = self.files[number]
        file.seek(0)
        return {_text(orjson.loads(line)): line for line in file}

    def texts(self, number: int) -> set[str]:
        """The texts alone."""
        file = self.files[number]
        file.seek(0)
        return {_text(orjson.loads(line)) for line in file}

    def close(self) -> None:
        for file in self.files:
            file.close()


def _text(key: _Key) -> str:
    """What keys are compared by: a column that was a number in one file and text in another holds the same ids.

    No bytes of orjson's: many are kept, and each holds on to the four kilobytes in which it was made.
    """
    texts = [value if isinstance(value, str) else orjson.dumps(value).decode() for value in key]
    return orjson.dumps(texts).decode()


class _NewFileMissing(Exception):
    """The present generation is not whole, so what it lacks cannot be told."""


class Tombstones:
    """Finds the deleted rows of one table."""

    def __init__(self, table: str, config: HeapConfig, dumps: Dumps, files: TableFiles, rules: RowRules) -> None:
        """`rules` keep the key columns alone."""
        self._table = table
        self._key = key_columns(table, config.key_mode)
        self._skip_missing = config.skip_missing_files
        self._dumps = dumps
        self._files = files
        self._rules = rules

    def items(self, state: TableState) -> Iterator[SliceItem]:
        """A record for each deleted row: its key, the newest dump, the present generation, and when it was noticed."""
        if state.replaces is None:
            return
        old = [found for found in self._dumps.listed() if state.replaces <= found.dump_id < state.generation]
        if not any(found.dump_id == state.replaces for found in old):
            logger.warning(
                f"{self._table}: the dump {state.replaces} that the replaced rows started from is gone from the "
                "bucket; rows that only it held are not told as deleted."
            )
        before, now = _Parts.new(), _Parts.new()
        try:
            self._collect_new(state, now)
            self._collect_old(old, before)
            yield from self._compared(before, now, state)
        except _NewFileMissing as missing:
            logger.warning(
                f"{self._table}: {missing} does not exist, so the rows that generation {state.replaces} had and "
                f"generation {state.generation} has not cannot be told as deleted."
            )
        finally:
            before.close()
            now.close()

    def _collect_new(self, state: TableState, parts: _Parts) -> None:
        """The keys of the present generation. Raises where some cannot be read: their rows would count as deleted."""
        new = [found for found in self._dumps.listed() if found.dump_id >= state.generation]
        gone = {state.generation, *state.recent} - {found.dump_id for found in new}
        lost = min((dump_id for dump_id in gone if dump_id >= state.generation), default=None)
        if lost is not None:
            msg = f"the manifest of dump {lost}"
            raise _NewFileMissing(msg)
        naming = [found for found in self._dumps.manifests(new) if self._table in found.tables]
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

    def _collect_old(self, listed: Iterable[ManifestObject], parts: _Parts) -> None:
        """The keys of the replaced generation. What cannot be read makes the result smaller."""
        unbroken = self._dumps.unbroken(listed)
        keys = [key for found in unbroken if self._table in found.tables for key in found.tables[self._table].files]
        self._files.expect(keys)
        for key in keys:
            try:
                self._collect(key, parts)
            except AirbyteTracedException as error:
                if error.failure_type is FailureType.transient_error or isinstance(error.__cause__, OSError):
                    raise  # the next sync may have better luck, or more room on its disk
                logger.warning(
                    f"{self._table}: {key} cannot be read ({error.internal_message}); rows that only it held are not "
                    "told as deleted."
                )

    def _collect(self, file: str, parts: _Parts) -> None:
        for piece in self._files.rows(file, self._rules, skip_missing=False):
            for row in map(orjson.loads, piece.lines.splitlines()):
                key = [row.get(name) for name in self._key]
                if None not in key:  # a row cannot be deleted by such a key
                    parts.add(key)

    def _compared(self, before: _Parts, now: _Parts, state: TableState) -> Iterator[SliceItem]:
        added: Mapping[str, Any] = {
            CURSOR: state.dump_id,
            "_heap_generation": state.generation,
            DELETED_AT: write(utc_now()),
        }
        count = 0
        for number in range(_PARTS):
            had = before.part(number)
            gone = [had[text] for text in sorted(had.keys() - now.texts(number))]
            for at in range(0, len(gone), _BATCH):
                keys = map(orjson.loads, gone[at : at + _BATCH])
                yield [{**dict(zip(self._key, key, strict=True)), **added} for key in keys]
            count += len(gone)
        logger.info(f"{self._table}: {count} rows of generation {state.replaces} are told as deleted.")
