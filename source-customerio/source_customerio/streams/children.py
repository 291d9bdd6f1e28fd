"""Lists below a parent: one walk for every campaign, broadcast, newsletter or segment.

Parents are always read unfiltered: a campaign's `updated` stays where it is when one of its actions is edited (certain:
recorded answers), so a parent that looks unchanged may have changed children.
"""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

from source_kit.stream import Checkpoint, Record, SliceItem

from source_customerio.client import Malformed, NotFound
from source_customerio.streams.base import CustomerIoStream, integer_or_same
from source_customerio.streams.cursor import Cursor, later
from source_customerio.streams.lists import Broadcasts, Campaigns, Newsletters, Segments

_STATE_SECONDS = 15.0
#: How many parents a log line names
NAMED = 20


class Parent(NamedTuple):
    """One object of the parent list: its id, when it was created if it says so (epoch seconds), what it is called."""

    id: int
    created: int | None
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Children(CustomerIoStream, ABC):
    """Full lists below each parent. `endpoint` holds the parent's id as `{}`, `parent_key` is its column in the rows.

    A parent that answers 404 was deleted after it was listed: it is skipped and counted. So is one that answers 400 and
    is not listed any more: the vendor documents 400 for ids that it does not know, beside 404. Any other parent that
    fails costs its own rows only.
    """

    parent: ClassVar[type[CustomerIoStream]]
    parent_key: ClassVar[str]
    parallel_slices = slices_fail_alone = True
    opt_in = True
    reread = "everything"
    deletes = "deleted objects are gone with the next sync"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Nothing is known of any parent yet."""
        self._listed: dict[int, Parent] = {}
        self._gone: set[int] = set()

    def list_parents(self) -> dict[int, Parent]:
        """All parents by id, as the server lists them now."""
        parent = self.parent(self.client)
        parents, kind = {}, self.parent_key.removesuffix("_id")
        for rows in parent.pages(parent.endpoint):
            for row in parent.shape(rows):
                number, created = row.get("id"), row.get("created", row.get("created_at"))
                if number is None:
                    message = (
                        f"Customer.io listed one of the {parent.endpoint} without an id, so {self.name} below it "
                        "cannot be read. The stream stopped there, so that nothing is skipped for ever: report it."
                    )
                    raise self.bug_of_theirs(message, f"a row of {parent.name} has no id")
                parents[number] = Parent(number, created if isinstance(created, int) else None, kind)
        return parents

    def slices(self) -> Iterator[Parent]:
        """One for each parent."""
        self._listed = self.list_parents()
        self.logger.info(f"Stream {self.name}: {len(self._listed)} {self.parent.endpoint} to read")
        yield from self._listed.values()

    def read_slice(self, slice_: Parent) -> Iterator[SliceItem]:
        """The rows of one parent; nothing where it is gone."""
        yield from self.rows_unless_gone(slice_)

    def rows_unless_gone(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent, which is counted where it is gone."""
        try:
            yield from self.rows_of(parent)
        except NotFound:
            self._gone.add(parent.id)
        except Malformed:
            if parent.id in self.list_parents():
                raise
            self._gone.add(parent.id)

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent. Raises NotFound, or Malformed, also where it is gone."""
        for rows in self.pages(self.path_of(parent)):
            yield self.adopt(rows, parent)

    def path_of(self, parent: Parent) -> str:
        """The path below one parent."""
        return self.endpoint.format(quote(str(parent.id), safe=""))

    def adopt(self, rows: list[Record], parent: Parent) -> list[Record]:
        """Name the parent in its rows, which the vendor does not always do."""
        for row in rows:
            row[self.parent_key] = parent.id
        return self.shape(rows)

    def probe(self) -> None:
        """The parents' list: it needs the same permission."""
        self.parent(self.client).probe()

    def finish(self) -> None:
        """Log how many parents were gone, or fail where the server refuses the path and not a parent.

        A parent that is still listed was not deleted.
        """
        if not self._gone:
            return
        refused = self._gone & self.list_parents().keys()
        if self._gone == self._listed.keys() and refused:
            message = (
                f"Customer.io answered 404 for every one of the {len(self._gone)} {self.parent.endpoint} below which "
                f"{self.name} lies, although they exist. If api_url is set, check it; otherwise report it."
            )
            raise self.bug_of_theirs(message, f"404 for each of {len(self._gone)} parents")
        deleted = self._gone - refused
        what = self.parent.endpoint
        if deleted:
            names = ", ".join(map(str, sorted(deleted)[:NAMED]))
            self.logger.info(
                f"Stream {self.name}: {len(deleted)} {what} were deleted during the sync and skipped: {names}"
            )
        if refused:
            names = ", ".join(map(str, sorted(refused)[:NAMED]))
            self.logger.warning(
                f"Stream {self.name}: {len(refused)} {what} were skipped because Customer.io answered 404 for them, "
                f"although they exist: {names}"
            )


class ChangingChildren(Children, ABC):
    """Lists below each parent, filtered here by time of change, with a cursor for each parent.

    State: `{"updated": newest of all, "parents": {"4": newest of campaign 4, ...}}`. A parent without a cursor begins
    at the start date and not at the newest of all, because a duplicated campaign brings old actions along.
    """

    cursor_field = "updated"
    cursor_resolution = "1 s"
    independent_slices = True
    state_interval = _STATE_SECONDS
    reread = "rows of the hour before the saved cursor"
    deletes = "a full refresh removes deleted objects, an incremental sync keeps them"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Take the cursors of the parents."""
        super().start(state, full_refresh, sync_start)
        cursor = self._cursor = Cursor(self, str(self.cursor_field), sync_start)
        if state and not state.keys() & {cursor.field, "parents"}:
            cursor.unreadable(f"it has neither {cursor.field!r} nor 'parents'")
        parents = state.get("parents", {})
        if not isinstance(parents, Mapping):
            cursor.unreadable("'parents' must be an object of cursors")
        self._newest = cursor.time_in(state, cursor.field) if cursor.field in state else None
        self._saved = {key: cursor.time_in(parents, key) for key in parents}
        self._forgotten: set[str] = set()

    def slices(self) -> Iterator[Parent]:
        """One for each parent; cursors of parents that are no longer listed are dropped from the state."""
        for number, parent in enumerate(super().slices()):
            if number == 0:
                self._forgotten = self._saved.keys() - {str(listed) for listed in self._listed}
            yield parent

    def read_slice(self, slice_: Parent) -> Iterator[SliceItem]:
        """What changed below one parent since its cursor, then the cursor."""
        cursor, key = self._cursor, str(slice_.id)
        saved, newest = self._saved.get(key), None
        floor = cursor.floor(saved)
        ahead = self._newest is not None and self._newest > cursor.sync_start
        if ahead:  # such a state was put there to keep everything out
            floor = max(floor, self._newest or 0)
        for rows in self.rows_unless_gone(slice_):
            recent, latest = cursor.split(rows, floor)
            newest = later(newest, latest)
            yield recent
        if newest is None or ahead:  # no cursor passes rows that were kept out
            yield Checkpoint({"parents": {}})
        else:
            reached = cursor.advanced(saved, newest)
            yield Checkpoint({cursor.field: reached, "parents": {key: reached}})

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """Fold one parent's cursor in; the stream's own only grows."""
        field = self._cursor.field
        parents = {**(state.get("parents") or {}), **update["parents"]}
        for key in self._forgotten:
            parents.pop(key, None)
        return {field: max(state.get(field) or 0, update.get(field, 0)), "parents": parents}

    def finish(self) -> None:
        """Name rows without a time, too."""
        super().finish()
        self._cursor.report()

    def final_state(self) -> Mapping[str, Any]:
        """A state also where there are no parents at all."""
        return {"parents": {}}


class CampaignActions(ChangingChildren):
    """Messages and other steps of campaigns, 10 a page. The id is a text, `campaigns.actions[].id` the same number."""

    endpoint = "campaigns/{}/actions"
    envelope = "actions"
    permission = "campaigns"
    parent = Campaigns
    parent_key = "campaign_id"
    key = ("campaign_id", "id")
    page_size = 10
    cost = "1, and for each campaign 1 for each 10 actions, at least 1"

    def shape(self, rows: list[Record]) -> list[Record]:
        """`headers` is a text always."""
        return with_headers_as_text(super().shape(rows))


class BroadcastActions(ChangingChildren):
    """Messages of broadcasts, one row for each language. Paging is not documented; a `next` would be followed.

    The id is a number by the vendor's specification; no recorded answer shows it.
    """

    endpoint = "broadcasts/{}/actions"
    envelope = "actions"
    permission = "broadcasts"
    parent = Broadcasts
    parent_key = "broadcast_id"
    key = ("broadcast_id", "id")
    cost = "1, and 1 for each broadcast"

    def shape(self, rows: list[Record]) -> list[Record]:
        """`headers` is a text always."""
        return with_headers_as_text(super().shape(rows))


class BroadcastTriggers(Children):
    """Every time that a broadcast was triggered. The id counts from 1 in each broadcast."""

    endpoint = "broadcasts/{}/triggers"
    envelope = "triggers"
    permission = "broadcasts"
    parent = Broadcasts
    parent_key = "broadcast_id"
    key = ("broadcast_id", "id")
    cost = "1, and 1 for each broadcast"


class NewsletterVariants(Children):
    """Contents of newsletters: one row for each language and A/B variant.

    Full refresh: a change of the sender or layout that a variant resolves does not move its `updated`.
    """

    endpoint = "newsletters/{}/contents"
    envelope = "contents"
    permission = "newsletters"
    parent = Newsletters
    parent_key = "newsletter_id"
    key = ("newsletter_id", "id")
    cost = "1 for each newsletter, and those of `newsletters`"

    def shape(self, rows: list[Record]) -> list[Record]:
        """`headers` is a text always."""
        return with_headers_as_text(super().shape(rows))


class NewsletterTestGroups(Children):
    """A/B test groups of newsletters. The id counts from 0 in each newsletter."""

    endpoint = "newsletters/{}/test_groups"
    envelope = "test_groups"
    permission = "newsletters"
    parent = Newsletters
    parent_key = "newsletter_id"
    key = ("newsletter_id", "id")
    cost = "1 for each newsletter, and those of `newsletters`"

    def shape(self, rows: list[Record]) -> list[Record]:
        """The vendor's specification declares `content_ids` as texts and shows numbers."""
        for row in rows:
            if isinstance(row.get("content_ids"), list):
                row["content_ids"] = [integer_or_same(value) for value in row["content_ids"]]
        return super().shape(rows)


class SegmentMemberships(Children):
    """Who is in which segment. A segment whose state is `build` has not found all its members yet.

    Up to 30,000 a page, and a page may be empty while others follow (certain: recorded answers).
    """

    endpoint = "segments/{}/membership"
    envelope = "identifiers"
    permission = "segments"
    parent = Segments
    parent_key = "segment_id"
    key = ("segment_id", "cio_id")
    params: ClassVar[Mapping[str, str]] = {"limit": "30000"}
    page_size = 30_000
    cost = "1, and for each segment 1 for each 30,000 members, at least 1"
    settle = "a segment in the state `build` has not found all its members yet"


class SegmentUsage(Children):
    """Which campaigns and newsletters use a segment. Full refresh, since use does not move its `updated_at`."""

    endpoint = "segments/{}/used_by"
    permission = "segments"
    parent = Segments
    parent_key = "segment_id"
    key = ("segment_id",)
    cost = "1, and 1 for each segment"

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """One row, or none where the vendor says nothing of the segment."""
        document = self.document(self.path_of(parent), None)
        used_by = document.get("used_by")
        elsewhere = "used_by" not in document and any(isinstance(value, list | dict) for value in document.values())
        if elsewhere or not isinstance(used_by or {}, dict):
            self.misshapen("'used_by' is no object, or lies elsewhere")
        if used_by:
            yield self.adopt([used_by], parent)


class SegmentCustomerCounts(Children):
    """How many people a segment has now."""

    endpoint = "segments/{}/customer_count"
    permission = "segments"
    parent = Segments
    parent_key = "segment_id"
    key = ("segment_id",)
    cost = "1, and 1 for each segment"

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """One row."""
        count = integer_or_same(self.document(self.path_of(parent), "count")["count"])
        if not isinstance(count, int | None):
            self.misshapen("'count' is no number")
        yield self.adopt([{"count": count}], parent)


def with_headers_as_text(rows: list[Record]) -> list[Record]:
    """`headers` is JSON text on reads; where it comes as an array, as webhook actions have it, it becomes that text."""
    for row in rows:
        headers = row.get("headers")
        if headers is not None and not isinstance(headers, str):
            row["headers"] = json.dumps(headers, ensure_ascii=False, separators=(",", ":"))
    return rows
