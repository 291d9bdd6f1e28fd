"""Which columns of a table are emitted, and as which types: from the catalog and the options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from source_heap.added_columns import CURSOR, DELETED_AT
from source_heap.avro.schema import catalog_target
from source_heap.avro.times import write
from source_heap.avro.values import Projection, target_type
from source_heap.config import HeapConfig, ResyncMode
from source_heap.streams.keys import NOT_EVENTS


def projection_of(
    table: str,
    config: HeapConfig,
    properties: Mapping[str, Any],
    constants: Mapping[str, Any],
    keys: Iterable[str] = (),
    keys_only: bool = False,
) -> Projection:
    """The columns that the catalog selects (`properties`), with its types; the columns in `keys` and the cursor always.

    `constants` are the values of the added columns.
    """
    since = config.start_date if table not in NOT_EVENTS else None
    wanted: dict[str, str] | None = None
    if keys_only or properties:
        names = keys if keys_only else dict.fromkeys((*properties, *keys))
        normalize = config.normalize_times
        wanted = {name: target_type(name, catalog_target(properties.get(name)), normalize) for name in names}
    if config.resync_mode is ResyncMode.TOMBSTONES and constants:
        constants = {**constants, DELETED_AT: None}
    always = {CURSOR} if properties else constants.keys()
    kept = {name: value for name, value in constants.items() if name in always or name in properties}
    return Projection(wanted, kept, write(since) if since else None, config.normalize_times)
