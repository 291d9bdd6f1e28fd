"""The objects of a Heap bucket: data files, dumps with their manifests, and other objects.

Certain (vendor's documentation): `manifests/sync_<dump_id>.json` appears when a dump is finished. For each table it
names its `columns`, its `files` as full `s3://` addresses, and whether it is `incremental`. The data are under
`sync_<dump_id>/`. Seen in real buckets: an object `manifests/` of zero bytes, `sync_reports/`, and
`imported_manifests/`, which a third-party reader writes. Not verified (remembered from older documentation): the shapes
of `property_definitions.json` and of a sync report.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from simulators.heap.avro_files import BLOCK_BYTES, Codec, Column, Damage, Row, UnionOrder, damaged, encode

DEFAULT_BUCKET = "heap-rs3-acme-prod"
"""Heap asks for a bucket whose name begins with `heap-rs3-` (today also `csq-rs3-`)."""


class Naming(StrEnum):
    """How the files of a table are named. All three forms exist in real buckets. A name has no meaning."""

    SPARK = "spark"
    """`part-00000-<uuid>-c000.avro`"""
    INT = "int_"
    """`0_8f1c2d.avro`, seen for `users` and `user_migrations`"""
    HASH = "hash"
    """14 hexadecimal digits, as in the vendor's example"""


@dataclass(frozen=True)
class FileStyle:
    """How the files of a table are named and written."""

    naming: Naming = Naming.SPARK
    order: UnionOrder = UnionOrder.TYPE_FIRST
    codec: Codec = Codec.SNAPPY
    block_bytes: int = BLOCK_BYTES


@dataclass(frozen=True)
class StoredObject:
    """An object to store. `storage_class` is `GLACIER` for an archived object."""

    key: str
    data: bytes
    storage_class: str | None = None


@dataclass(frozen=True)
class DataFile:
    """One Avro file. `rows` has the values as written. `damage` changes the stored bytes, not `rows`."""

    key: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    style: FileStyle = FileStyle()
    damage: Damage | None = None
    storage_class: str | None = None

    @cached_property
    def data(self) -> bytes:
        """The stored bytes."""
        marker = hashlib.md5(self.key.encode(), usedforsecurity=False).digest()
        style = self.style
        whole = encode(
            self.columns, self.rows, order=style.order, codec=style.codec, block_bytes=style.block_bytes, marker=marker
        )
        return damaged(whole, self.damage) if self.damage else whole

    def stored(self) -> StoredObject:
        """The object to store."""
        return StoredObject(self.key, self.data, self.storage_class)


@dataclass(frozen=True)
class TableDump:
    """What one dump has of one table. `incremental` None writes a manifest without the flag."""

    name: str
    incremental: bool | None
    files: tuple[DataFile, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns of all files, in the order of their first appearance."""
        return list(dict.fromkeys(column.name for file in self.files for column in file.columns))

    @property
    def rows(self) -> list[Row]:
        """The rows of all files, in the order of the manifest."""
        return [row for file in self.files for row in file.rows]


@dataclass(frozen=True)
class Dump:
    """One sync of Heap: the tables that it wrote, and the manifest."""

    id: int
    tables: tuple[TableDump, ...]
    bucket: str = DEFAULT_BUCKET
    """The bucket in the addresses of `files`. An alias or a replica of the bucket has another name."""
    properties: tuple[dict[str, Any], ...] | None = None
    report_ms: int | None = None
    """The start of the sync in milliseconds since 1970, if it wrote a report."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further keys at the top of the manifest."""

    @property
    def manifest_key(self) -> str:
        """The key of the manifest."""
        return f"manifests/sync_{self.id}.json"

    @property
    def properties_key(self) -> str:
        """The key of the property definitions."""
        return f"sync_{self.id}/property_definitions.json"

    def manifest(self) -> dict[str, Any]:
        """The content of the manifest."""
        tables = []
        for table in self.tables:
            entry: dict[str, Any] = {"name": table.name}
            if table.incremental is not None:
                entry["incremental"] = table.incremental
            entry["files"] = [f"s3://{self.bucket}/{file.key}" for file in table.files]
            tables.append({**entry, "columns": table.columns})
        document: dict[str, Any] = {"dump_id": self.id, "tables": tables, **self.extra}
        if self.properties is not None:
            document["property_definitions"] = f"s3://{self.bucket}/{self.properties_key}"
        return document

    def files(self) -> Iterator[DataFile]:
        """Every data file of the dump."""
        for table in self.tables:
            yield from table.files

    def data_objects(self) -> Iterator[StoredObject]:
        """All objects but the manifest: what the bucket holds while the sync still runs."""
        for file in self.files():
            yield file.stored()
        if self.properties is not None:
            yield StoredObject(self.properties_key, json.dumps(list(self.properties)).encode())

    def manifest_object(self) -> StoredObject:
        """The manifest. Only its presence shows that the dump is finished."""
        return StoredObject(self.manifest_key, json.dumps(self.manifest(), indent=2).encode())

    def objects(self) -> Iterator[StoredObject]:
        """All objects in Heap's order: data, manifest, report."""
        yield from self.data_objects()
        yield self.manifest_object()
        if self.report_ms is not None:
            yield sync_report(self.id, self.report_ms)


def sync_report(dump_id: int, started_ms: int, error: str | None = None) -> StoredObject:
    """The report of one attempted sync (shape remembered, not verified). A reader must not depend on it."""
    report = {
        "start_time": started_ms,
        "finish_time": started_ms + 1_800_000,
        "next_sync_at": started_ms + 86_400_000,
        "status": "failed" if error else "succeeded",
        "error": error,
    }
    return StoredObject(f"sync_reports/sync_{dump_id}.json", json.dumps(report).encode())


def noise() -> tuple[StoredObject, ...]:
    """Objects that are not manifests: folder markers, files of another reader as in real buckets, and stray files."""
    return (
        StoredObject("manifests/", b""),
        StoredObject("sync_reports/", b""),
        StoredObject("imported_manifests/", b""),
        StoredObject("imported_manifests/sync_998.json", b'{"dump_id": 998, "tables": []}'),
        StoredObject("manifests/sync_998.json.tmp", b"{"),
        StoredObject("manifests/README.txt", b"Written by Heap."),
        StoredObject("manifests/archive/sync_1.json", b'{"dump_id": 1, "tables": []}'),
    )
