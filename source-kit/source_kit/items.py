"""What a stream may yield while it reads a slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ndjson:
    """Records that are encoded already: `count` JSON objects, one a line, each line ended by a line feed."""

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class RecordLines:
    """`count` RECORD messages of the stream, finished, each between `messages.record_head` and `RECORD_TAIL`.

    For a stream that builds its lines itself: a copy less of every byte.
    """

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class RecordMeta:
    """One record that needs Airbyte's per-record `meta`, e.g. because a value was nulled.

    `changes` holds Airbyte's own objects: `{"field", "change", "reason"}`.
    """

    data: Record
    changes: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that this slice yielded before it is covered by `update`, which `merge_state` folds into the state."""

    update: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much the stream is expected to deliver in this sync; becomes an ESTIMATE trace."""

    rows: int | None = None
    size_bytes: int | None = None


SliceItem: TypeAlias = list[Record] | Ndjson | RecordLines | RecordMeta | Checkpoint | Estimate
