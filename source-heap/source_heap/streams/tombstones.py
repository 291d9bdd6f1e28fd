"""Tombstones: the rows that a replaced generation had and the present one has not, told as deleted.

The keys of both generations are read again from the files, which must therefore still be in the bucket, and compared on
disk in parts, so that memory does not grow with the table.
"""

from __future__ import annotations

import logging
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
from source_kit.items import Ndjson, SliceItem
from source_kit.timestamps import utc_now

from source_heap.avro.times import write
from source_heap.avro.values import RowRules
from source_heap.config import HeapConfig
from source_heap.dumps import Dumps
from source_heap.files import TableFiles
from source_heap.manifest import Manifest
from source_heap.plan import CURSOR, TableState
from source_heap.s3_errors import Missing
from source_heap.streams.keys import key_columns

logger = logging.getLogger("airbyte")

#: Airbyte's column for deleted rows; destinations that deduplicate drop or mark rows in which it is set.
DELETED_AT = "_ab_cdc_deleted_at"
_PARTS = 64
_BATCH = 1000


@dataclass
class _Parts:
    """Keys in temporary files, by their checksum: equal keys lie in the same part."""

    files: list[BinaryIO]

    @classmethod
    def new(cls) -> _Parts:
        return cls([tempfile.TemporaryFile() for _ in range(_PARTS)])

    def add(self, lines: bytes) -> None:
        for line in lines.splitlines(keepends=True):
            self.files[zlib.crc32(line) % _PARTS].write(line)

    def part(self, number: int) -> set[bytes]:
        file = self.files[number]
        file.seek(0)
        return set(file)

    def close(self) -> None:
        for file in self.files:
            file.close()


class Tombstones:
    """Finds the deleted rows of one table."""

    def __init__(self, table: str, config: HeapConfig, dumps: Dumps, files: TableFiles, rules: RowRules) -> None:
        """`rules` keep the key columns alone."""
        self._table = table
        self._key = key_columns(table, config.key_mode)
        self._dumps = dumps
        self._files = files
        self._rules = rules

    def items(self, state: TableState) -> Iterator[SliceItem]:
        """A record for each deleted row: its key, the newest dump, the present generation, and when it was noticed."""
        if state.replaces is None:
            return
        manifests = self._dumps.of_table(self._table, state.replaces)
        old = [found for found in manifests if found.dump_id < state.generation]
        new = [found for found in manifests if found.dump_id >= state.generation]
        if not any(found.dump_id == state.replaces for found in old):
            logger.warning(
                f"{self._table}: the dump {state.replaces} that the replaced rows started from is gone from the "
                "bucket; rows that only it held are not told as deleted."
            )
        before, now = _Parts.new(), _Parts.new()
        try:
            self._collect(old, before, required=False)
            self._collect(new, now, required=True)
            yield from self._compared(before, now, state)
        finally:
            before.close()
            now.close()

    def _collect(self, manifests: Iterable[Manifest], parts: _Parts, required: bool) -> None:
        """Reads keys. Missing old files make the result smaller, missing new ones would delete live rows."""
        keys = [key for manifest in manifests for key in manifest.tables[self._table].files]
        self._files.expect(keys)
        for key in keys:
            try:
                for piece in self._files.rows(key, self._rules):
                    parts.add(piece.lines)
            except Missing:
                if required:
                    raise
                logger.warning(f"{self._table}: {key} is gone; rows that only it held are not told as deleted.")

    def _compared(self, before: _Parts, now: _Parts, state: TableState) -> Iterator[SliceItem]:
        added: Mapping[str, Any] = {
            CURSOR: state.dump_id,
            "_heap_generation": state.generation,
            DELETED_AT: write(utc_now()),
        }
        tail = b"," + orjson.dumps(added)[1:] + b"\n"
        count = 0
        for number in range(_PARTS):
            gone = sorted(before.part(number) - now.part(number))
            lines = [line.rstrip(b"\n")[:-1] + tail for line in gone if self._is_key(line)]
            for at in range(0, len(lines), _BATCH):
                batch = lines[at : at + _BATCH]
                yield Ndjson(b"".join(batch), len(batch))
            count += len(lines)
        logger.info(f"{self._table}: {count} rows of generation {state.replaces} are told as deleted.")

    def _is_key(self, line: bytes) -> bool:
        """A row with a null in its key cannot be deleted by it."""
        row = orjson.loads(line)
        return all(row.get(name) is not None for name in self._key)
