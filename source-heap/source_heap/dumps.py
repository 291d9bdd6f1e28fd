"""The dumps of a bucket: lists the manifests once, reads those that are asked for, and keeps what they say."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error

from source_heap.bucket import Bucket
from source_heap.limits import MANIFEST_BYTES, MANIFEST_BYTES_AT_A_TIME
from source_heap.manifest import BrokenManifest, Manifest, ManifestObject, broken_manifest, parse_manifest
from source_heap.manifest_store import ManifestStore
from source_heap.plan import DumpOfTable
from source_heap.s3_rules import Missing
from source_heap.transfer import TooLong

logger = logging.getLogger("airbyte")

#: Manifests and file headers that are fetched at a time
PARALLEL_GETS = 16
#: Manifests that are fetched before it is looked whether older ones are still needed
_BATCH = 64
#: Manifests that are looked at for a table of which there is no news: months of nights, weeks of every two hours
_LOOKED_AT = 200
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class Dumps:
    """The finished dumps, as one listing showed them. Threads share it; `only` are the tables that matter."""

    def __init__(self, bucket: Bucket, only: frozenset[str] | None = None) -> None:
        self.bucket = bucket
        self._only = only
        self._listed: list[ManifestObject] | None = None
        self._known: dict[int, int | BrokenManifest | None] = {}
        self._store: ManifestStore | None = None
        self._room = _Room(MANIFEST_BYTES_AT_A_TIME)
        self._lock = threading.RLock()

    def listed(self) -> list[ManifestObject]:
        """Every manifest, by dump id. Raises a config_error where there is none yet."""
        with self._lock:
            if self._listed is None:
                self._listed = self.bucket.manifests()
            if not self._listed:
                raise no_manifests(self.bucket.name)
            return self._listed

    def manifests(self, objects: Iterable[ManifestObject], table: str | None = None) -> Iterator[Manifest]:
        """The manifests in the order asked for: all tables without their files, or one with them.

        One that was deleted since it was listed is left out. Raises BrokenManifest when it comes to a broken one, so
        who stops before it is not concerned.
        """
        return _usable(self._read(objects, table))

    def unbroken(self, objects: Iterable[ManifestObject], table: str | None = None) -> Iterator[Manifest]:
        """As `manifests`, without the broken ones, for those who can do without."""
        for found in self._read(objects, table):
            if isinstance(found, BrokenManifest):
                logger.warning(f"{found.internal_message}; its dump is left out.")
            elif found is not None:
                yield found

    def _read(self, objects: Iterable[ManifestObject], table: str | None) -> Iterator[Manifest | BrokenManifest | None]:
        """Fetches what is not known yet, all of it, and gives one after the other."""
        wanted = list(objects)
        with self._lock:
            self._learn(found for found in wanted if found.dump_id not in self._known)
        for one in wanted:
            known = self._known[one.dump_id]
            yield self._store.manifest(known, table) if self._store and isinstance(known, int) else known  # type: ignore[misc]

    def _learn(self, objects: Iterable[ManifestObject]) -> None:
        for found, manifest in in_parallel(self._fetch_or_error, objects):
            if isinstance(manifest, Manifest):
                self._store = self._store or ManifestStore()
                self._known[found.dump_id] = self._store.keep(manifest)
            else:
                self._known[found.dump_id] = manifest

    def _fetch_or_error(self, found: ManifestObject) -> Manifest | BrokenManifest | None:
        try:
            return self.fetch(found)
        except BrokenManifest as error:
            return error

    def fetch(self, found: ManifestObject) -> Manifest | None:
        """One manifest, read now, with all its files. None where it is gone. Raises BrokenManifest."""
        with self._room.of(found.size):
            try:
                return parse_manifest(found, self.bucket.read(found.key, MANIFEST_BYTES), self._only)
            except TooLong:
                most = MANIFEST_BYTES // (1024 * 1024)
                raise broken_manifest(found, f"is longer than the {most} MB that this connector reads") from None
            except Missing:
                logger.warning(f"{found.key} was deleted after it was listed; its dump is left out.")
                return None

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
            for manifest in self.manifests(newest_first[at : at + _BATCH], table):
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
        return any(table in found.tables for some in (probable, others) for found in self.unbroken(some, table))


def in_parallel(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> Iterator[tuple[_Item, _Made]]:
    """Each item with what was made of it, in their order; no more are on their way than are worked on at a time."""
    coming: deque[tuple[_Item, Future[_Made]]] = deque()
    with ThreadPoolExecutor(PARALLEL_GETS, "gets") as pool:
        try:
            for item in items:
                coming.append((item, pool.submit(work, item)))
                if len(coming) >= PARALLEL_GETS:
                    first, future = coming.popleft()
                    yield first, future.result()
            while coming:
                first, future = coming.popleft()
                yield first, future.result()
        finally:
            for _, future in coming:
                future.cancel()


class _Room:
    """Bytes that may be taken at a time: what is of unknown size, or larger, takes all of them."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._left = total
        self._changed = threading.Condition()

    @contextmanager
    def of(self, size: int | None) -> Iterator[None]:
        """Takes this many while the block runs, and waits for them."""
        taken = self._total if size is None else min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= taken)
            self._left -= taken
        try:
            yield
        finally:
            with self._changed:
                self._left += taken
                self._changed.notify_all()


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
