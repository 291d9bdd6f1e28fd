"""Opens the store that the configuration names."""

from __future__ import annotations

import os

from webhook_inlet.config import BucketConfig, VolumeConfig
from webhook_inlet.store import Store, StoreError


def make_store(config: VolumeConfig | BucketConfig) -> Store:
    """The store, not opened yet. boto3 is imported only if it is a bucket: it takes 20 MB."""
    if isinstance(config, VolumeConfig):
        from webhook_inlet.stores.volume import Volume

        return Volume(config.path)
    from webhook_inlet.stores.bucket import Bucket

    return Bucket(config)


def try_store(config: VolumeConfig | BucketConfig) -> str:
    """Looks whether a store can be used, and changes nothing in it. Raises StoreError with a sentence."""
    if isinstance(config, BucketConfig):
        make_store(config).open()  # lists, and writes nothing
        return f"store: the bucket {config.bucket} can be listed."
    # os.path: pathlib raises where a folder above may not be entered
    path = config.path.absolute()
    folder = next(folder for folder in (path, *path.parents) if os.path.exists(folder))  # noqa: PTH110
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"the folder {folder} cannot be written by this user; give it to the user of the process.")
    return f"store: the folder {config.path} can be written."
