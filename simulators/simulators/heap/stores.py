"""Stores for the objects of a bucket: a folder, or S3."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from simulators.heap.layout import StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_WRITERS = 8


class Store(Protocol):
    """Stores and deletes objects."""

    def put(self, objects: Iterable[StoredObject]) -> int:
        """Store the objects, manifests last. Returns their number."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects with these keys."""


class FolderStore:
    """A bucket as a folder. A key that ends with a slash becomes an empty folder. Storage classes are not kept."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, objects: Iterable[StoredObject]) -> int:
        """See `Store`."""
        count = 0
        for item in _manifests_last(objects):
            path = self.root / item.key
            if item.key.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(item.data)
            count += 1
        return count

    def delete(self, keys: Iterable[str]) -> None:
        """See `Store`."""
        for key in keys:
            (self.root / key).unlink()


class S3Store:
    """A bucket on S3. The bucket must exist. Eight threads write."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    def put(self, objects: Iterable[StoredObject]) -> int:
        """See `Store`."""
        ordered = _manifests_last(objects)
        manifests = [item for item in ordered if _is_manifest(item)]
        data = ordered[: len(ordered) - len(manifests)]
        with ThreadPoolExecutor(_WRITERS) as pool:
            for group in (data, manifests):
                list(pool.map(self._put, group))
        return len(ordered)

    def delete(self, keys: Iterable[str]) -> None:
        """See `Store`."""
        for key in keys:
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def _put(self, item: StoredObject) -> None:
        extra: dict[str, Any] = {"StorageClass": item.storage_class} if item.storage_class else {}
        self.client.put_object(Bucket=self.bucket, Key=item.key, Body=item.data, **extra)


def _is_manifest(item: StoredObject) -> bool:
    return item.key.startswith("manifests/")


def _manifests_last(objects: Iterable[StoredObject]) -> list[StoredObject]:
    return sorted(objects, key=_is_manifest)
