"""Heap's manifests: one JSON document for each finished dump, and the only truth about what a bucket holds.

Certain by Heap's documentation: `manifests/sync_<dump_id>.json` appears when a dump is finished; `dump_id` grows from
dump to dump; for each table the manifest gives `columns`, `files` (full `s3://` addresses) and `incremental`, which is
false where the files replace everything that was sent of the table before. Nothing says that `incremental` may be
missing, so a table without it cannot be read: either guess would lose rows or keep dead ones.

What is wrong with the entry of one table stays with that entry, as its `fault`: the other tables can still be read.
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
#: File names that begin with a number of their own, as those of users and user_migrations do (observed by a third
#: party, which reads them in that order; unverified)
_NUMBERED = re.compile(r"(?:.*/)?(\d+)_[^/]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ManifestObject:
    """A manifest as the listing shows it."""

    dump_id: int
    key: str
    etag: str
    modified: datetime | None
    size: int | None = None

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

    `packed` is None where they were not asked for, of which only `file_count` tells.

    `incremental` is None where the manifest does not say. `fault`, a clause that goes on after the manifest's key, says
    why the table cannot be read from this dump.
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
        """From the keys of the files, in the manifest's order."""
        packed = zlib.compress("\n".join(_in_order(files)).encode(), 1) if files else b""
        return cls(name, incremental, columns, len(files), packed, fault)

    @property
    def files(self) -> list[str]:
        """The keys, in the order in which they are read: the manifest's, or that of the numbers they all begin with."""
        if not self.file_count:
            return []
        assert self.packed is not None  # noqa: S101 - who asks for files has asked for the table
        return zlib.decompress(self.packed).decode().split("\n")


def _in_order(files: list[str]) -> list[str]:
    """Files by the number that begins their names where all have one, else as the manifest has them.

    Of two rows with one key the later one counts, and a list of files may well be sorted as text, `10_b` before `2_a`.
    """
    if not files or not _NUMBERED.fullmatch(files[0]):
        return files
    numbers = {file: int(found[1]) for file in files if (found := _NUMBERED.fullmatch(file))}
    return sorted(files, key=numbers.__getitem__) if len(numbers) == len(set(files)) else files


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
    """The manifest, or as much of it as speaks of the tables `only`. Raises BrokenManifest."""
    try:
        document = orjson.loads(data.removeprefix(BOM_UTF8))
    except ValueError:
        raise broken_manifest(found, "is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("tables"), list):
        raise broken_manifest(found, "has no list of tables")
    said = document.get("dump_id")
    if said is not None and not _is_number(said, found.dump_id):
        raise broken_manifest(found, f"speaks of dump {str(said)[:40]}")
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
    """Whether a manifest's id is this one, as whatever kind of JSON value it is written."""
    try:
        return Decimal(str(value)) == number
    except InvalidOperation:
        return False


def _table(name: str, entry: Mapping[str, Any]) -> TableDump:
    incremental, columns, files = entry.get("incremental"), entry.get("columns") or [], entry.get("files") or []
    if incremental is None:
        fault = f"does not say whether table {name} is incremental"
    elif not isinstance(incremental, bool):
        incremental, fault = None, f"says of table {name} neither that it is incremental nor that it is not"
    else:
        fault = None
    if not _texts(columns) or not _texts(files):
        fault = f"has something other than texts among the columns or files of table {name}"
        return TableDump.of(name, incremental, (), [], fault)
    keys = [_key_of(file) for file in files]
    if not all(keys):
        return TableDump.of(name, incremental, tuple(columns), [], f"has a file address without a key in table {name}")
    return TableDump.of(name, incremental, tuple(columns), keys, fault)


def _joined(first: TableDump, second: TableDump) -> TableDump:
    """A table that is named twice has the files of both entries."""
    fault = first.fault or second.fault
    if first.incremental != second.incremental:
        fault = f"names table {first.name} twice, incremental and not"
    columns = tuple(dict.fromkeys((*first.columns, *second.columns)))
    return TableDump.of(first.name, first.incremental, columns, [*first.files, *second.files], fault)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _key_of(address: str) -> str:
    """The key in `s3://bucket/key`, empty where there is none.

    The bucket is that of Heap's own view and may differ from ours (alias, replica).
    """
    _, separator, rest = address.partition("://")
    key = rest.partition("/")[2] if separator else address.lstrip("/")
    return "" if "\n" in key else key


class BrokenManifest(AirbyteTracedException):
    """A manifest, or what it says of a table, cannot be used."""

    def anew(self) -> BrokenManifest:
        """The same error, not yet raised."""
        return BrokenManifest(self.internal_message, self.message, self.failure_type)


def broken_manifest(found: ManifestObject, what: str) -> BrokenManifest:
    """The error for a manifest that cannot be used; `what` goes on after its key."""
    return BrokenManifest(
        message=(
            f"The manifest {found.key} {what}, so its dump cannot be read. The state is kept; ask Heap to deliver the "
            "dump again, then run the sync again."
        ),
        internal_message=f"{found.key} {what}",
        failure_type=FailureType.system_error,
    )
