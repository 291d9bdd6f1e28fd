"""What is known of each segment: its members, where it is used, how many people it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from source_kit.stream import Record

from source_customerio.streams.base import integer_or_same
from source_customerio.streams.children import Children
from source_customerio.streams.lists import Segments
from source_customerio.streams.parents import Parent


class SegmentMemberships(Children):
    """Who is in which segment. A segment whose state is `build` has not found all its members yet.

    Up to 30,000 a page, and a page may be empty while others follow (certain: recorded answers).
    """

    parent = Segments
    own_key = ("cio_id",)
    endpoint = "segments/{}/membership"
    envelope = "identifiers"
    page_size = 30_000
    docs = replace(
        Children.docs,
        late_rows="a segment in the state `build` has not found all its members yet",
        requests="for each segment 1 for each 30,000 members, at least 1; and the shared list of segments",
    )


class SegmentUsage(Children):
    """Which campaigns and newsletters use a segment. Full refresh, since use does not move its `updated_at`."""

    parent = Segments
    own_key = ()
    endpoint = "segments/{}/used_by"
    docs = replace(Children.docs, requests="1 for each segment, and the shared list of segments")

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """One row, or none where the vendor says nothing of the segment."""
        document = self.client.document(self.path_of(parent), "")
        used_by = document.get("used_by")
        elsewhere = "used_by" not in document and any(isinstance(value, list | dict) for value in document.values())
        if elsewhere or not isinstance(used_by or {}, dict):
            self.client.misshapen("'used_by' is no object, or lies elsewhere")
        if used_by:
            yield self.with_parent([used_by], parent)


class SegmentCustomerCounts(Children):
    """How many people a segment has now."""

    parent = Segments
    own_key = ()
    endpoint = "segments/{}/customer_count"
    docs = replace(Children.docs, requests="1 for each segment, and the shared list of segments")

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        count = integer_or_same(self.client.document(self.path_of(parent), "count")["count"])
        if not isinstance(count, int | None):
            self.client.misshapen("'count' is no number")
        yield self.with_parent([{"count": count}], parent)
