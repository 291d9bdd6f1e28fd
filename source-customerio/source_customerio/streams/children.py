"""Lists below a parent: one for every campaign, broadcast, newsletter or segment.

Parents are always read unfiltered: a campaign's `updated` stays where it is when one of its actions is edited (certain:
recorded answers), so a parent that looks unchanged may have changed children.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

from source_kit.convert import snake_case
from source_kit.stream import Checkpoint, Record, SliceItem, StreamDocs

from source_customerio.client import CustomerIoClient, WorkspaceConnection
from source_customerio.errors import Malformed, NotFound, contradiction
from source_customerio.streams.base import CustomerIoStream, integer_or_same
from source_customerio.streams.cursor import Cursor
from source_customerio.streams.lists import ChangingList

#: How many parents a log line names
_NAMED = 20


class Parent(NamedTuple):
    """One object of the parent list: its id, when it was created (epoch seconds, None where unknown), what it is."""

    id: int
    created: int | None
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Children(CustomerIoStream, ABC):
    """Full lists below each parent. `endpoint` holds the parent's id as `{}`.

    Permission and key come from the parent: the key is the column of the parent's id, then `own_key`.

    A parent that answers 404 was deleted after it was listed: it is skipped and counted. So is one that answers 400 and
    is not listed any more: the vendor documents 400 for ids that it does not know, beside 404. Any other parent that
    fails costs its own rows only.
    """

    #: The stream whose objects have such a list each; only its facts are used.
    parent: ClassVar[type[ChangingList]]
    #: Columns of the primary key beside the parent's id
    own_key: ClassVar[tuple[str, ...]] = ("id",)
    parallel_slices = slices_fail_alone = True
    docs = StreamDocs(read_again="everything", deletes="deleted objects are gone with the next sync")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "parent" in vars(cls):
            cls.permission = cls.parent.permission
            cls.key = (cls.parent.id_in_children, *cls.own_key)

    def __init__(self, connection: WorkspaceConnection) -> None:
        super().__init__(connection)
        # A client of its own: it fails in the parents' name, and tries as often as usual after parts that failed.
        self._parents_client = CustomerIoClient(snake_case(self.parent.__name__), self.permission, connection)

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._sync_start = sync_start
        self._listed: dict[int, Parent] = {}
        self._gone: set[int] = set()

    def list_parents(self) -> dict[int, Parent]:
        """All parents by id, as the server lists them now."""
        parent, parents = self.parent, {}
        kind = parent.id_in_children.removesuffix("_id")
        for rows in self._parents_client.pages(
            parent.endpoint, parent.envelope, empty_page_ends=parent.empty_page_ends, page_size=parent.page_size
        ):
            for row in rows:
                number, created = integer_or_same(row.get("id")), row.get("created", row.get("created_at"))
                if number is None:
                    raise contradiction(
                        self.name,
                        f"Customer.io listed one of the {parent.endpoint} without an id, so {self.name} below it "
                        "cannot be read. The stream stopped there, so that nothing is skipped for ever: report it.",
                        f"a row of {parent.endpoint} has no id",
                    )
                parents[number] = Parent(number, created if isinstance(created, int) else None, kind)
        return parents

    def slices(self) -> Iterator[Parent]:
        self._listed = self.list_parents()
        self.logger.info(f"Stream {self.name}: {len(self._listed)} {self.parent.endpoint} to read")
        yield from self._listed.values()

    def read_slice(self, slice_: Parent) -> Iterator[SliceItem]:
        yield from self.rows_unless_gone(slice_)

    def rows_unless_gone(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent, which is counted where it is gone."""
        try:
            yield from self.rows_of(parent)
        except (NotFound, Malformed) as error:
            if isinstance(error, Malformed) and parent.id in self.list_parents():
                raise
            self._gone.add(parent.id)

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent. Raises NotFound, or Malformed, also where it is gone."""
        for rows in self.pages(self.path_of(parent)):
            yield self.with_parent(rows, parent)

    def path_of(self, parent: Parent) -> str:
        return self.endpoint.format(quote(str(parent.id), safe=""))

    def with_parent(self, rows: list[Record], parent: Parent) -> list[Record]:
        """Finished rows that name their parent, which the vendor does not always do."""
        for row in rows:
            row[self.parent.id_in_children] = parent.id
        return self.shape(rows)

    def probe(self) -> None:
        """The parents' list: it needs the same permission."""
        self.client.probe(self.parent.endpoint, self.parent.envelope)

    def finish(self) -> None:
        """Log how many parents were gone, or fail where the server refuses the path and not a parent.

        A parent that is still listed was not deleted.
        """
        if not self._gone:
            return
        parents, refused = self.parent.endpoint, self._gone & self.list_parents().keys()
        if self._gone == self._listed.keys() and refused:
            raise contradiction(
                self.name,
                f"Customer.io answered 404 for every one of the {len(self._gone)} {parents} below which "
                f"{self.name} lies, although they exist. If api_url is set, check it; otherwise report it.",
                f"404 for each of {len(self._gone)} parents",
            )
        if deleted := self._gone - refused:
            self.logger.info(
                f"Stream {self.name}: {len(deleted)} {parents} were deleted during the sync and skipped: "
                f"{first_of(deleted)}"
            )
        if refused:
            self.logger.warning(
                f"Stream {self.name}: {len(refused)} {parents} were skipped because Customer.io answered 404 for them, "
                f"although they exist: {first_of(refused)}"
            )


def first_of(ids: Collection[int]) -> str:
    """The first few ids, for a log line."""
    return ", ".join(map(str, sorted(ids)[:_NAMED]))


class ChangingChildren(Children, ABC):
    """Lists below each parent, filtered here by time of change, with a cursor for each parent.

    State: `{"updated": newest of all, "parents": {"4": newest of campaign 4, ...}}`. A parent without a cursor begins
    at the start date and not at the newest of all, because a duplicated campaign brings old actions along.
    """

    cursor_field = "updated"
    independent_slices = True
    state_interval = 15.0
    docs = replace(
        ChangingList.docs, deletes="a full refresh removes deleted objects, an incremental sync keeps them", requests=""
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        super().start(state, full_refresh, sync_start)
        cursor = self._cursor = Cursor(self.client, self.cursor_field, self.key, sync_start)
        if state and not state.keys() & {cursor.field, "parents"}:
            cursor.unreadable(f"it has neither {cursor.field!r} nor 'parents'")
        parents = state.get("parents", {})
        if not isinstance(parents, Mapping):
            cursor.unreadable("'parents' must be an object of cursors")
        newest = cursor.time_in(state, cursor.field) if cursor.field in state else 0
        # somebody wrote a state in the future so that nothing older is emitted
        self._in_future = newest if newest > cursor.sync_start else 0
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
        saved, newest = self._saved.get(key), 0
        floor = max(cursor.floor(saved), self._in_future)
        for rows in self.rows_unless_gone(slice_):
            recent, latest = cursor.split(rows, floor)
            newest = max(newest, latest)
            yield recent
        if not newest or self._in_future:  # no cursor passes rows that were filtered out
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
        super().finish()
        self._cursor.report()

    def final_state(self) -> Mapping[str, Any]:
        """A state also where there are no parents at all."""
        return {"parents": {}}
