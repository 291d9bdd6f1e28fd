"""The objects of a bucket: written once, read whole, listed from any name on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook_inlet.config import BucketConfig
from webhook_inlet.store import INLET_NAME, LANE_NAME, StoreError, segment_name
from webhook_inlet.stores import s3, segments


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a lane: its name behind the lane's, and when it was written (epoch seconds, server's clock)."""

    name: str
    modified: float


class Objects:
    """Requests to one bucket, each a single attempt. Their errors are those of botocore, but where it is said."""

    def __init__(self, config: BucketConfig) -> None:
        self.config = config
        self.client: Any = None
        self.conditional = True  # until the server says that it does not know If-None-Match

    def connect(self) -> None:
        """Makes the client. Raises StoreFailed."""
        self.client = s3.make_client(self.config)

    def key(self, inlet: str, lane: str, name: str) -> str:
        """The key of an object of a lane."""
        return f"{self.config.prefix}{inlet}/lanes/{lane}/{name}"

    def put_new(self, key: str, data: bytes) -> None:
        """Writes an object that must not exist. Where the server cannot check that, the lane's random name must do."""
        condition = {"IfNoneMatch": "*"} if self.conditional else {}
        self.client.put_object(
            Bucket=self.config.bucket, Key=key, Body=data, ContentType="application/zstd", **condition
        )

    def put_marker(self, key: str, last: int) -> None:
        """A marker of a lane, with its last number."""
        self.client.put_object(Bucket=self.config.bucket, Key=key, Body=b"%d\n" % last, ContentType="text/plain")

    def get(self, key: str) -> bytes | None:
        """An object; None if it is not there. Raises StoreError with a sentence."""
        try:
            answer = self.client.get_object(Bucket=self.config.bucket, Key=key)
            data: bytes = answer["Body"].read()
        except s3.REQUEST_ERRORS as error:
            if s3.is_missing(error):
                return None
            raise StoreError(s3.words_of(error, self.config)) from error
        return data

    def lines(self, inlet: str, lane: str, number: int) -> bytes | None:
        """The lines of a segment; None if it is not there. Raises StoreError, Damaged."""
        packed = self.get(self.key(inlet, lane, segment_name(number, sealed=True)))
        return None if packed is None else segments.decompress(packed, f"Segment {number} of lane {lane}")

    def delete(self, key: str) -> None:
        """Removes an object, also if it is gone already."""
        self.client.delete_object(Bucket=self.config.bucket, Key=key)

    def probe(self) -> None:
        """A list of one object at most: proof that the bucket can be reached."""
        self.client.list_objects_v2(Bucket=self.config.bucket, Prefix=self.config.prefix, MaxKeys=1)

    def inlets(self) -> list[str]:
        """What may be an inlet, also one that is not configured any more. Raises StoreError with a sentence."""
        return self._folders(self.config.prefix, INLET_NAME)

    def lane_names(self, inlet: str) -> list[str]:
        """The lanes of an inlet, by name. Raises StoreError with a sentence."""
        return self._folders(f"{self.config.prefix}{inlet}/lanes/", LANE_NAME)

    def _folders(self, prefix: str, pattern: re.Pattern[str]) -> list[str]:
        pages = self._pages({"Prefix": prefix, "Delimiter": "/"})
        found = (entry["Prefix"][len(prefix) : -1] for page in pages for entry in page.get("CommonPrefixes", ()))
        return sorted(name for name in found if pattern.fullmatch(name))

    def listed(self, inlet: str, lane: str, after: str = "", limit: int = 1000) -> Iterator[Listed]:
        """The objects of a lane behind a name, by name; `limit` is how many one request asks for.

        Raises StoreError with a sentence.
        """
        prefix = self.key(inlet, lane, "")
        asked: dict[str, Any] = {"Prefix": prefix, "MaxKeys": limit}
        if after:
            asked["StartAfter"] = prefix + after
        for page in self._pages(asked):
            for entry in page.get("Contents", ()):
                modified: datetime = entry["LastModified"]
                yield Listed(entry["Key"][len(prefix) :], modified.timestamp())

    def _pages(self, asked: dict[str, Any]) -> Iterator[Any]:
        while True:
            try:
                page = self.client.list_objects_v2(Bucket=self.config.bucket, **asked)
            except s3.REQUEST_ERRORS as error:
                raise StoreError(s3.words_of(error, self.config)) from error
            yield page
            following = page.get("NextContinuationToken") if page.get("IsTruncated") else None
            if following is None or following == asked.get("ContinuationToken"):
                return
            asked = {**asked, "ContinuationToken": following}
