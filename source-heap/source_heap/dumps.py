"""The dumps of a bucket: lists the manifests once, reads those that are asked for, and keeps what they say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error

from source_heap.bucket import Bucket
from source_heap.manifest import Manifest, ManifestObject, TableDump, broken_manifest, parse_manifest
from source_heap.plan import DumpOfTable
from source_heap.s3_errors import Missing

logger = logging.getLogger("airbyte")

#: Manifests and file headers that are fetched at a time
PARALLEL_GETS = 16
#: Manifests that are fetched before it is looked whether older ones are still needed
_BATCH = 64


class Dumps:
    """The finished dumps, as one listing showed them. Threads share it; `only` are the tables that matter."""

    def __init__(self, bucket: Bucket, only: frozenset[str] | None = None) -> None:
        self.bucket = bucket
        self._only = only
        self._listed: list[ManifestObject] | None = None
        self._known: dict[int, Manifest | None] = {}
        self._lock = threading.RLock()

    def listed(self) -> list[ManifestObject]:
        """Every manifest, by dump id. Raises a config_error where there is none yet."""
        with self._lock:
            if self._listed is None:
                self._listed = self.bucket.manifests()
            if not self._listed:
                raise no_manifests(self.bucket.name)
            return self._listed

    def manifests(self, objects: Iterable[ManifestObject]) -> Iterator[Manifest]:
        """The manifests in the order asked for. One that was deleted since it was listed is left out."""
        with self._lock:
            wanted = list(objects)
            missing = [found for found in wanted if found.dump_id not in self._known]
            with ThreadPoolExecutor(PARALLEL_GETS, "manifests") as pool:
                for found, manifest in zip(missing, pool.map(self.fetch, missing), strict=True):
                    self._known[found.dump_id] = manifest
            read = [self._known[found.dump_id] for found in wanted]
        return (manifest for manifest in read if manifest is not None)

    def fetch(self, found: ManifestObject) -> Manifest | None:
        """One manifest, read now."""
        try:
            data = self.bucket.read(found.key)
        except Missing:
            logger.warning(f"{found.key} was deleted after it was listed; its dump is left out.")
            return None
        return parse_manifest(found, data, self._only)

    def of_table(self, table: str, from_id: int) -> list[Manifest]:
        """The dumps from this id on that name the table."""
        wanted = [found for found in self.listed() if found.dump_id >= from_id]
        return [manifest for manifest in self.manifests(wanted) if table in manifest.tables]

    def live_of_table(self, table: str) -> list[Manifest]:
        """The last full dump of the table and all later ones that name it; where none was full, all that name it."""
        found: list[Manifest] = []
        newest_first = self.listed()[::-1]
        for at in range(0, len(newest_first), _BATCH):
            for manifest in self.manifests(newest_first[at : at + _BATCH]):
                if table not in manifest.tables:
                    continue
                found.append(manifest)
                if dump_of(manifest, table).incremental is False:
                    return found[::-1]
        return found[::-1]


def dump_of(manifest: Manifest, table: str) -> DumpOfTable:
    """What planning needs of a dump. Raises `broken_manifest` where it does not say whether the table is full."""
    entry: TableDump = manifest.tables[table]
    if entry.incremental is None:
        raise broken_manifest(manifest.object, f"does not say whether table {table} is incremental")
    return DumpOfTable(manifest.dump_id, manifest.object.mark, entry.incremental)


def no_manifests(bucket: str) -> AirbyteTracedException:
    """The error for a bucket without a finished dump."""
    return config_error(
        f"There are no manifests in the bucket {bucket} yet. Heap writes one when a dump is finished, the first within "
        "24 hours after the export was set up: check the bucket's name, or wait and try again.",
        "no key matches manifests/sync_<number>.json",
    )
