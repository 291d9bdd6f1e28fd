"""The user's options, checked and typed. Every default and limit is here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, get_args

from source_kit.options import choice, flag, instant, text, whole
from source_kit.s3.options import BUCKET_NAME, BucketAccess

#: A date, or with a time. The pattern of `spec.yaml` says the same.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
_TimestampMode = Literal["normalized", "raw"]
_OnMissingFile = Literal["fail", "skip"]


class KeyMode(StrEnum):
    """Which columns identify a row. `STITCH` is what Stitch and tap-heap use, `HEAP` what Heap advises."""

    STITCH = "stitch"
    HEAP = "heap"


class ResyncMode(StrEnum):
    """What a full re-export of a table does."""

    GENERATION = "generation"
    TOMBSTONES = "tombstones"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapConfig(BucketAccess):
    """One connection."""

    bucket: str = text(
        "the name of the S3 bucket that Heap writes to, without s3://, path or ARN, such as heap-rs3-acme",
        required=True,
        check=BUCKET_NAME,
    )
    start_date: datetime | None = instant(lambda at: at.astimezone(UTC), check=_DATE.fullmatch)
    key_mode: KeyMode = choice(KeyMode, default=KeyMode.STITCH, name="primary_key_mode")
    timestamp_mode: _TimestampMode = choice(get_args(_TimestampMode), default="normalized")
    resync_mode: ResyncMode = choice(ResyncMode, default=ResyncMode.GENERATION)
    on_missing_file: _OnMissingFile = choice(get_args(_OnMissingFile), default="fail")
    num_workers: int = whole(1, 16, default=2)
    single_column_keys: bool = flag(default=False)

    @property
    def normalize_times(self) -> bool:
        """Whether Heap's own columns of time become timestamps in UTC."""
        return self.timestamp_mode == "normalized"

    @property
    def skip_missing_files(self) -> bool:
        """Whether a file that a manifest names and S3 does not have is skipped."""
        return self.on_missing_file == "skip"
