"""Heap's manifests: one JSON document for each finished dump, and the only truth about what a bucket holds.

Certain by Heap's documentation: `manifests/sync_<dump_id>.json` appears when a dump is finished; `dump_id` grows from
dump to dump; for each table the manifest gives `columns`, `files` (full `s3://` addresses) and `incremental`, which is
false where the files replace everything that was sent of the table before. Nothing says that `incremental` may be
missing, so a table without it cannot be read: either guess would lose rows or keep dead ones.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

PREFIX = "manifests/"
_KEY = re.compile(r"manifests/sync_(\d+)\.json", re.ASCII)


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """A manifest as the listing shows it."""

    dump_id: int
    key: str
    etag: str
    modified: datetime

    @property
    def mark(self) -> str:
        """Eight characters that differ when the manifest was delivered again."""
        return hashlib.sha256(self.etag.encode()).hexdigest()[:8]


def dump_id_of(key: str) -> int | None:
    """The dump id in a manifest's key; None for every other object below the prefix."""
    match = _KEY.fullmatch(key)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class TableDump:
    """What one dump says about one table. The files' keys are kept compressed: a dump may name ten thousand.

    `incremental` is None where the manifest does not say.
    """

    name: str
    incremental: bool | None
    columns: tuple[str, ...]
    file_count: int
    _packed: bytes

    @classmethod
    def of(cls, name: str, incremental: bool | None, columns: tuple[str, ...], files: list[str]) -> TableDump:
        """From the keys of the files."""
        return cls(name, incremental, columns, len(files), zlib.compress("\n".join(files).encode(), 1))

    @property
    def files(self) -> list[str]:
        """The keys, in the manifest's order."""
        return zlib.decompress(self._packed).decode().split("\n") if self.file_count else []


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished dump."""

    object: ManifestObject
    tables: Mapping[str, TableDump]

    @property
    def dump_id(self) -> int:
        """The dump's id."""
        return self.object.dump_id


def parse_manifest(found: ManifestObject, data: bytes, only: Container[str] | None = None) -> Manifest:
    """The manifest, or as much of it as speaks of the tables `only`. Raises `broken_manifest`."""
    try:
        document = orjson.loads(data)
    except ValueError:
        raise broken_manifest(found, "is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("tables"), list):
        raise broken_manifest(found, "has no list of tables")
    if str(document.get("dump_id", found.dump_id)) != str(found.dump_id):
        raise broken_manifest(found, f"speaks of dump {str(document['dump_id'])[:40]}")
    tables: dict[str, TableDump] = {}
    for entry in document["tables"]:
        table = _table(found, entry)
        if only is not None and table.name not in only:
            continue
        tables[table.name] = _joined(found, tables[table.name], table) if table.name in tables else table
    return Manifest(found, tables)


def _table(found: ManifestObject, entry: Any) -> TableDump:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise broken_manifest(found, "has a table without a name")
    incremental = entry.get("incremental")
    if incremental is not None and not isinstance(incremental, bool):
        raise broken_manifest(found, f"says of table {name} neither that it is incremental nor that it is not")
    columns, files = entry.get("columns") or [], entry.get("files") or []
    if not _texts(columns) or not _texts(files):
        raise broken_manifest(found, f"has something other than texts among the columns or files of table {name}")
    return TableDump.of(name, incremental, tuple(columns), [_key_of(found, file) for file in files])


def _joined(found: ManifestObject, first: TableDump, second: TableDump) -> TableDump:
    """A table that is named twice has the files of both entries."""
    if first.incremental != second.incremental:
        raise broken_manifest(found, f"names table {first.name} twice, incremental and not")
    columns = tuple(dict.fromkeys((*first.columns, *second.columns)))
    return TableDump.of(first.name, first.incremental, columns, [*first.files, *second.files])


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _key_of(found: ManifestObject, address: str) -> str:
    """The key in `s3://bucket/key`. The bucket is that of Heap's own view and may differ from ours (alias, replica)."""
    _, separator, rest = address.partition("://")
    key = rest.partition("/")[2] if separator else address.lstrip("/")
    if not key or "\n" in key:
        raise broken_manifest(found, "has a file address without a key")
    return key


def broken_manifest(found: ManifestObject, what: str) -> AirbyteTracedException:
    """The error for a manifest that cannot be used; `what` goes on after its key."""
    return AirbyteTracedException(
        message=(
            f"The manifest {found.key} {what}, so its dump cannot be read. The state is kept; ask Heap to deliver the "
            "dump again, then run the sync again."
        ),
        internal_message=f"{found.key} {what}",
        failure_type=FailureType.system_error,
    )
