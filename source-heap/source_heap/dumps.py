"""The dumps of a bucket: lists the manifests once, reads those that are asked for, and keeps what they say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error

from source_heap.bucket import Bucket
from source_heap.manifest import BrokenManifest, Manifest, ManifestObject, broken_manifest, parse_manifest
from source_heap.plan import DumpOfTable
from source_heap.s3_errors import Missing

logger = logging.getLogger("airbyte")

#: Manifests and file headers that are fetched at a time
PARALLEL_GETS = 16
#: Manifests that are fetched before it is looked whether older ones are still needed
_BATCH = 64
#: Manifests that are looked at for a table of which there is no news: months of nights, weeks of every two hours
_LOOKED_AT = 200


class Dumps:
    """The finished dumps, as one listing showed them. Threads share it; `only` are the tables that matter."""

    def __init__(self, bucket: Bucket, only: frozenset[str] | None = None) -> None:
        self.bucket = bucket
        self._only = only
        self._listed: list[ManifestObject] | None = None
        self._known: dict[int, Manifest | BrokenManifest | None] = {}
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
        """The manifests in the order asked for. One that was deleted since it was listed is left out.

        Raises BrokenManifest when it comes to a broken one, so who stops before it is not concerned.
        """
        return _usable(self._read(objects))

    def unbroken(self, objects: Iterable[ManifestObject]) -> list[Manifest]:
        """As `manifests`, without the broken ones, for those who can do without."""
        read = self._read(objects)
        for found in read:
            if isinstance(found, BrokenManifest):
                logger.warning(f"{found.internal_message}; its dump is left out.")
        return [found for found in read if isinstance(found, Manifest)]

    def _read(self, objects: Iterable[ManifestObject]) -> list[Manifest | BrokenManifest | None]:
        with self._lock:
            wanted = list(objects)
            missing = [found for found in wanted if found.dump_id not in self._known]
            with ThreadPoolExecutor(PARALLEL_GETS, "manifests") as pool:
                for found, manifest in zip(missing, pool.map(self._fetch_or_error, missing), strict=True):
                    self._known[found.dump_id] = manifest
            return [self._known[found.dump_id] for found in wanted]

    def _fetch_or_error(self, found: ManifestObject) -> Manifest | BrokenManifest | None:
        try:
            return self.fetch(found)
        except BrokenManifest as error:
            return error

    def fetch(self, found: ManifestObject) -> Manifest | None:
        """One manifest, read now."""
        try:
            data = self.bucket.read(found.key)
        except Missing:
            logger.warning(f"{found.key} was deleted after it was listed; its dump is left out.")
            return None
        return parse_manifest(found, data, self._only)

    def fetch_unbroken(self, found: ManifestObject) -> Manifest | None:
        """One manifest, read now; none where it is broken, for those who can do without."""
        try:
            return self.fetch(found)
        except BrokenManifest as error:
            logger.warning(f"{error.internal_message}; its dump is left out.")
            return None

    def live_of_table(self, table: str, from_id: int = 0) -> list[Manifest]:
        """The last full dump of the table and all later ones, whether they name it or not; none below `from_id`.

        Raises BrokenManifest where one of these, or what it says of the table, cannot be used. Older ones are dead.
        """
        found: list[Manifest] = []
        newest_first = [one for one in reversed(self.listed()) if one.dump_id >= from_id]
        for at in range(0, len(newest_first), _BATCH):
            for manifest in self.manifests(newest_first[at : at + _BATCH]):
                found.append(manifest)
                if table in manifest.tables and not dump_of(manifest, table).incremental:
                    return found[::-1]
        return found[::-1]

    def may_have(self, table: str, likely: Iterable[int]) -> bool:
        """Whether a manifest may name the table. Those of the dumps `likely` are looked at first, then the newest ones.

        True also where that cannot be told: one of the likely ones is gone, as old manifests are where a rule deletes
        them, or there are more than `_LOOKED_AT`.
        """
        first = set(likely)
        objects = sorted(self.listed(), key=lambda found: (found.dump_id in first, found.dump_id), reverse=True)
        if len(objects) > _LOOKED_AT or not first <= {found.dump_id for found in objects}:
            return True
        probable, others = objects[: len(first)], objects[len(first) :]
        return any(table in found.tables for some in (probable, others) for found in self.unbroken(some))


def _usable(read: Iterable[Manifest | BrokenManifest | None]) -> Iterator[Manifest]:
    for manifest in read:
        if isinstance(manifest, BrokenManifest):
            raise manifest.anew()  # it is kept for all tables, and would keep the frames of each that it was raised in
        if manifest is not None:
            yield manifest


def dump_of(manifest: Manifest, table: str) -> DumpOfTable:
    """What planning needs of a dump. Raises BrokenManifest where it says something impossible of the table."""
    entry = manifest.tables[table]
    if entry.fault is not None:
        raise broken_manifest(manifest.object, entry.fault)
    return DumpOfTable(manifest.dump_id, manifest.object.mark, entry.incremental is not False)


def no_manifests(bucket: str) -> AirbyteTracedException:
    """The error for a bucket without a finished dump."""
    return config_error(
        f"There are no manifests in the bucket {bucket} yet. Heap writes one when a dump is finished, the first within "
        "24 hours after the export was set up: check the bucket's name, or wait and try again.",
        "no key matches manifests/sync_<number>.json",
    )
