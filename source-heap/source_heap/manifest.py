"""Parses Heap's manifests. The connector reads exactly the files that they list.

Heap's documentation (certain): `manifests/sync_<dump_id>.json` appears when a dump is finished; `dump_id` grows from
dump to dump; for each table the manifest has `columns`, `files` (full `s3://` addresses) and `incremental`, which is
false if the files replace everything that was sent of the table before. The documentation does not say that
`incremental` may be missing, so a table without it is not read: one guess would lose rows, the other would keep deleted
ones.

A fault in the entry of one table is kept in that entry as `fault`; the other tables can still be read.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

PREFIX = "manifests/"
#: S3's keys have up to 1,024 bytes; Python converts up to 4,300 digits.
_KEY = re.compile(r"manifests/sync_(\d{1,1000})\.json", re.ASCII)
#: File names that begin with a number, as those of users and user_migrations do (observed by a third party that reads
#: them in that order; unverified)
_NUMBERED = re.compile(r"(?:.*/)?(\d+)_[^/]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """A manifest's entry in the list of the bucket."""

    dump_id: int
    key: str
    etag: str
    modified: datetime | None
    size: int | None = None

    @property
    def mark(self) -> str:
        """Eight characters that change when the manifest is delivered again."""
        return hashlib.sha256(self.etag.encode()).hexdigest()[:8]


def dump_id_of(key: str) -> int | None:
    """The dump id in a manifest's key; None for any other object."""
    match = _KEY.fullmatch(key)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class TableDump:
    """The entry of one table in a manifest.

    `packed` holds the keys of the files, compressed, because a dump may have 10,000; it is None if the files were not
    requested. `incremental` is None if the manifest does not say. `fault`, a clause that follows the manifest's key,
    says why the table cannot be read from this dump.
    """

    name: str
    incremental: bool | None
    columns: tuple[str, ...]
    file_count: int
    packed: bytes | None
    fault: str | None = None

    @classmethod
    def of(
        cls, name: str, incremental: bool | None, columns: tuple[str, ...], files: list[str], fault: str | None = None
    ) -> TableDump:
        """`files` are keys, in the manifest's order."""
        packed = zlib.compress("\n".join(_in_order(files)).encode(), 1) if files else b""
        return cls(name, incremental, columns, len(files), packed, fault)

    @property
    def files(self) -> list[str]:
        """The keys in reading order."""
        if not self.file_count:
            return []
        assert self.packed is not None  # noqa: S101 - the caller has requested the table with its files
        return zlib.decompress(self.packed).decode().split("\n")


def _in_order(files: list[str]) -> list[str]:
    """Files sorted by the number at the start of their names if all have one, otherwise in the manifest's order.

    The order matters because the last row of a key wins. A list that is sorted as text has `10_b` before `2_a`.
    """
    if not files or not _NUMBERED.fullmatch(files[0]):
        return files
    numbers = {file: int(found[1]) for file in files if (found := _NUMBERED.fullmatch(file))}
    return sorted(files, key=numbers.__getitem__) if len(numbers) == len(set(files)) else files


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a finished dump, with its tables by name."""

    object: ManifestObject
    tables: Mapping[str, TableDump]

    @property
    def dump_id(self) -> int:
        return self.object.dump_id


def parse_manifest(found: ManifestObject, data: bytes, only: Container[str] | None = None) -> Manifest:
    """The manifest, with the tables `only` if given. Raises BrokenManifest."""
    try:
        document = orjson.loads(data.removeprefix(BOM_UTF8))
    except ValueError:
        raise broken_manifest(found, "is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("tables"), list):
        raise broken_manifest(found, "has no list of tables")
    dump_id = document.get("dump_id")
    if dump_id is not None and not _is_number(dump_id, found.dump_id):
        raise broken_manifest(found, f"belongs to dump {str(dump_id)[:40]}")
    tables: dict[str, TableDump] = {}
    for entry in document["tables"]:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise broken_manifest(found, "has a table without a name")
        if only is None or name in only:
            table = _table(name, entry)
            tables[table.name] = _joined(tables[name], table) if name in tables else table
    return Manifest(found, tables)


def _is_number(value: Any, number: int) -> bool:
    """Whether a manifest's id is this number, as any kind of JSON value."""
    try:
        return Decimal(str(value)) == number
    except InvalidOperation:
        return False


def _table(name: str, entry: Mapping[str, Any]) -> TableDump:
    incremental, columns, files = entry.get("incremental"), entry.get("columns") or [], entry.get("files") or []
    if incremental is None:
        fault = f"does not say whether table {name} is incremental"
    elif not isinstance(incremental, bool):
        incremental, fault = None, f"has neither true nor false as incremental of table {name}"
    else:
        fault = None
    if not _texts(columns) or not _texts(files):
        columns, files, fault = [], [], f"has columns or files of table {name} that are not text"
    keys = [_key_of(file) for file in files]
    if not all(keys):
        keys, fault = [], f"has a file address without a key in table {name}"
    return TableDump.of(name, incremental, tuple(columns), keys, fault)


def _joined(first: TableDump, second: TableDump) -> TableDump:
    fault = first.fault or second.fault
    if first.incremental != second.incremental:
        fault = f"lists table {first.name} twice, as incremental and as full"
    columns = tuple(dict.fromkeys((*first.columns, *second.columns)))
    return TableDump.of(first.name, first.incremental, columns, [*first.files, *second.files], fault)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _key_of(address: str) -> str:
    """The key in `s3://bucket/key`, or "". The bucket may differ from the configured one (alias, replica)."""
    _, separator, rest = address.partition("://")
    key = rest.partition("/")[2] if separator else address.lstrip("/")
    return "" if "\n" in key else key


class BrokenManifest(AirbyteTracedException):
    """A manifest, or its entry of a table, cannot be used."""

    def copy(self) -> BrokenManifest:
        """The same error without a traceback."""
        return BrokenManifest(self.internal_message, self.message, self.failure_type)


def broken_manifest(found: ManifestObject, what: str) -> BrokenManifest:
    """The error for an unusable manifest; `what` is a clause that follows its key."""
    return BrokenManifest(
        message=(
            f"The manifest {found.key} {what}, so its dump cannot be read. The state is kept; ask Heap to deliver the "
            "dump again, then run the sync again."
        ),
        internal_message=f"{found.key} {what}",
        failure_type=FailureType.system_error,
    )
