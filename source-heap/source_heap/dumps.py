"""Lists the manifests of a bucket once, fetches those that are needed, and checks states against them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import config_error
from source_kit.s3.rules import Missing
from source_kit.s3.transfer import TooLong

from source_heap.added_columns import CURSOR
from source_heap.bucket import HeapBucket
from source_heap.limits import MANIFEST_BYTES
from source_heap.listing import Listing
from source_heap.manifest import BrokenManifest, Manifest, ManifestObject, broken_manifest, parse_manifest
from source_heap.manifest_store import ManifestStore
from source_heap.table_state import DumpOfTable, TableState, UnreadableState

logger = logging.getLogger("airbyte")

#: Manifests and file headers that are fetched in parallel
PARALLEL_GETS = 16
#: Manifests that are fetched before checking whether older ones are needed
_BATCH = 64
#: Most manifests that are searched for a table without new dumps: months of dumps, or days if one came every hour
_MOST_SEARCHED = 200
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class Dumps:
    """The finished dumps by one listing of the bucket. Threads share it. Tables not in `only` are ignored."""

    def __init__(self, bucket: HeapBucket, only: frozenset[str] | None = None) -> None:
        self.bucket = bucket
        self._only = only
        self._listed: list[ManifestObject] | None = None
        self._known: dict[int, int | BrokenManifest | None] = {}
        self._budget = _ByteBudget(MANIFEST_BYTES)
        self._lock = threading.RLock()

    @cached_property
    def _store(self) -> ManifestStore:
        return ManifestStore()

    def listed(self) -> list[ManifestObject]:
        """Every manifest, ordered by dump id. Raises a config_error if there is none yet."""
        with self._lock:
            if self._listed is None:
                self._listed = self.bucket.manifests()
            if not self._listed:
                raise config_error(
                    f"There are no manifests in the bucket {self.bucket.name} yet. Heap writes one when a dump is "
                    "finished, the first within 24 hours after the export was set up: check the bucket's name, or wait "
                    "and try again.",
                    "no key matches manifests/sync_<number>.json",
                )
            return self._listed

    @cached_property
    def listing(self) -> Listing:
        """The same, to find what came late."""
        return Listing(self.listed())

    def manifests(self, objects: Iterable[ManifestObject], table: str | None = None) -> Iterator[Manifest]:
        """The manifests in the given order: all tables without their files, or one table with them.

        A manifest that was deleted since the listing is dropped. Raises BrokenManifest when iteration reaches a broken
        one.
        """
        for found in self._read(objects, table):
            if isinstance(found, BrokenManifest):
                raise found.copy()  # the original is kept for all tables, and would keep the frames of each traceback
            if found is not None:
                yield found

    def unbroken(self, objects: Iterable[ManifestObject], table: str | None = None) -> Iterator[Manifest]:
        """As `manifests`, but warns of broken ones and drops them."""
        for found in self._read(objects, table):
            if isinstance(found, BrokenManifest):
                _warn_of(found)
            elif found is not None:
                yield found

    def _read(self, objects: Iterable[ManifestObject], table: str | None) -> Iterator[Manifest | BrokenManifest | None]:
        """Fetches all manifests that are not known yet, then yields them one by one."""
        wanted = list(objects)
        with self._lock:
            unknown = [found for found in wanted if found.dump_id not in self._known]
            for found, made in in_parallel(self._fetch_or_error, unknown):
                self._known[found.dump_id] = self._store.keep(made) if isinstance(made, Manifest) else made
        for one in wanted:
            known = self._known[one.dump_id]
            yield self._store.manifest(known, table) if isinstance(known, int) else known

    def _fetch_or_error(self, found: ManifestObject) -> Manifest | BrokenManifest | None:
        try:
            return self.fetch(found)
        except BrokenManifest as error:
            return error

    def fetch(self, found: ManifestObject) -> Manifest | None:
        """Reads one manifest with all its files; None if it was deleted. Raises BrokenManifest."""
        with self._budget.take(found.size):
            try:
                return parse_manifest(found, self.bucket.read(found.key, MANIFEST_BYTES), self._only)
            except TooLong:
                most = MANIFEST_BYTES // (1024 * 1024)
                raise broken_manifest(found, f"is longer than the {most} MB that this connector reads") from None
            except Missing:
                logger.warning(f"{found.key} was deleted after it was listed; its dump is skipped.")
                return None

    def fetch_unbroken(self, found: ManifestObject) -> Manifest | None:
        """As `fetch`, but warns of a broken manifest and returns None."""
        try:
            return self.fetch(found)
        except BrokenManifest as error:
            _warn_of(error)
            return None

    def live_of_table(self, table: str, from_id: int = 0) -> list[Manifest]:
        """All manifests from the table's last full dump on, also those without the table; none below `from_id`.

        Raises BrokenManifest if one of these, or its entry of the table, is broken. Older ones are not read.
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
        """Whether a manifest contains the table. Searches the dumps `likely` first, then the newest ones.

        Returns True when unsure: a likely manifest is gone (a lifecycle rule may delete old ones), or there are more
        than `_MOST_SEARCHED`.
        """
        first = set(likely)
        objects = sorted(self.listed(), key=lambda found: (found.dump_id in first, found.dump_id), reverse=True)
        if len(objects) > _MOST_SEARCHED or not first <= {found.dump_id for found in objects}:
            return True
        probable, others = objects[: len(first)], objects[len(first) :]
        return any(table in found.tables for some in (probable, others) for found in self.unbroken(some, table))


def in_parallel(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> Iterator[tuple[_Item, _Made]]:
    """Each item with its result, in order. At most PARALLEL_GETS items are taken ahead."""
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


class _ByteBudget:
    """A limit of bytes in use at a time. An unknown or larger size takes the whole budget."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._left = total
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int | None) -> Iterator[None]:
        """Waits until this many bytes are free, and takes them for the `with` block."""
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


def _warn_of(broken: BrokenManifest) -> None:
    logger.warning(f"{broken.internal_message}; its dump is skipped.")


def dump_of(manifest: Manifest, table: str) -> DumpOfTable:
    """The part of a manifest that planning needs. Raises BrokenManifest if the table's entry has a fault."""
    entry = manifest.tables[table]
    if entry.fault is not None:
        raise broken_manifest(manifest.object, entry.fault)
    return DumpOfTable(manifest.dump_id, manifest.object.mark, entry.incremental is not False)


def read_state(stream: str, document: Mapping[str, Any], dumps: Dumps, cursor: str = CURSOR) -> TableState | None:
    """The state, or None if there is none yet.

    Raises a config_error if the state is unreadable, belongs to another bucket, or is ahead of this bucket: continuing
    from it could skip rows. In a state with nothing but the cursor, written by hand or by a test kit, all dumps up to
    the cursor count as read.
    """
    if not document:
        return None
    try:
        state = TableState.from_json(document, cursor)
    except UnreadableState as error:
        raise unreadable(stream, str(error)) from None
    if state.bucket and state.bucket != dumps.bucket.name:
        raise config_error(
            f"The state of stream {stream} belongs to the bucket {state.bucket}, not to {dumps.bucket.name}. Enter the "
            "old bucket again, or reset the stream, which reads it from the start."
        )
    newest = dumps.listed()[-1].dump_id
    if newest < state.reached and not state.bucket:
        logger.warning(
            f"The state of stream {stream} says that all dumps up to {state.reached} are read; the newest one in the "
            f"bucket is {newest}. Nothing is read before a later one arrives."
        )
    elif newest < state.reached:
        raise config_error(
            f"The state of stream {stream} is at dump {state.reached}, but the newest dump in the bucket "
            f"{dumps.bucket.name} is {newest}: the bucket was emptied or replaced. Reset the stream, which reads it "
            "from the start."
        )
    return state if state.bucket or newest < state.reached else replace(state, bucket=dumps.bucket.name)


def unreadable(stream: str, why: str) -> AirbyteTracedException:
    """The error for a state that cannot be read; `why` is a clause."""
    return config_error(
        f"The state of stream {stream} cannot be read: {why}. Reset the stream, which reads it from the start."
    )
