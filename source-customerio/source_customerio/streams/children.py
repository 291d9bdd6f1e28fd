"""Lists below a parent: one for every campaign, broadcast, newsletter or segment."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from source_kit.convert import snake_case
from source_kit.stream import Checkpoint, Record, SliceItem, StreamDocs

from source_customerio.errors import Malformed, NotFound
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.cursor import Cursor
from source_customerio.streams.lists import ChangingList
from source_customerio.streams.parents import Found, Parent, Parents, Unlisted, columns_of, path_below


class Children(CustomerIoStream, ABC):
    """Full lists below each parent. `endpoint` holds the ids of the parent and of those above it as `{}`.

    Permission and key come from the parent: the key is the columns of the parent's ids, then `own_key`. The parent's
    stream is read first, and its list serves this stream.

    A parent that was deleted after it was listed is skipped and counted (see `Parents.is_gone`). Any other parent that
    fails costs its own rows only, and so does one whose list, below which this stream's parents are, cannot be read.
    """

    #: The stream whose objects have such a list each; only its facts are used.
    parent: ClassVar[type[CustomerIoStream]]
    #: Columns of the primary key beside the parent's ids
    own_key: ClassVar[tuple[str, ...]] = ("id",)
    parallel_slices = slices_fail_alone = True
    whole = True
    docs = StreamDocs(read_again="everything", deletes="deleted objects are gone with the next sync")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "parent" in vars(cls):
            cls.permission = cls.parent.permission
            cls.key = (*columns_of(cls.parent), *cls.own_key)
            cls.reads_after = cls.parent.reads_after | {snake_case(cls.parent.__name__)}

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._sync_start = sync_start
        self._parents = Parents(self.parent, self)

    def slices(self) -> Iterator[Found]:
        yield from self._parents.all()

    def read_slice(self, slice_: Found) -> Iterator[SliceItem]:
        yield from self.rows_unless_gone(listed(slice_))

    def rows_unless_gone(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent, which is counted where it is gone."""
        try:
            yield from self.rows_of(parent)
        except (NotFound, Malformed) as error:
            if not self._parents.is_gone(parent, error):
                raise

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """Finished rows of one parent. Raises NotFound, or Malformed, also where it is gone."""
        for rows in self.pages(self.path_of(parent)):
            yield self.with_parent(rows, parent)

    def path_of(self, parent: Parent) -> str:
        return path_below(self.endpoint, parent)

    def columns_of_parent(self, parent: Parent) -> Record:
        """The columns of a row that name its parent."""
        return dict(zip(columns_of(self.parent), parent.ids, strict=True))

    def with_parent(self, rows: list[Record], parent: Parent) -> list[Record]:
        """Finished rows that name their parent, which the vendor does not always do."""
        columns = self.columns_of_parent(parent)
        for row in rows:
            row.update(columns)
        return self.shape(rows)

    def probe(self) -> None:
        """The list of the topmost parents: it needs the same permission."""
        top = self.parent
        while top.parent:
            top = top.parent
        self.client.probe(top.endpoint, top.envelope)

    def finish(self) -> None:
        self._parents.report()


def listed(slice_: Found) -> Parent:
    """The parent to read. Raises why it cannot be, where its list could not be read."""
    if isinstance(slice_, Unlisted):
        raise slice_.error
    return slice_


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

    def slices(self) -> Iterator[Found]:
        """One for each parent; cursors of parents that are no longer listed are dropped from the state."""
        parents = list(super().slices())
        if parents:
            self._forgotten = self._saved.keys() - {str(listed(parent).id) for parent in parents}
        yield from parents

    def read_slice(self, slice_: Found) -> Iterator[SliceItem]:
        """What changed below one parent since its cursor, then the cursor."""
        parent = listed(slice_)
        cursor, key = self._cursor, str(parent.id)
        saved, newest = self._saved.get(key), 0
        floor = max(cursor.floor(saved), self._in_future)
        for rows in self.rows_unless_gone(parent):
            recent, latest = cursor.split(rows, floor)
            newest = max(newest, latest)
            yield recent
        # no cursor passes rows that were filtered out, or that did not come: the parent may be there after all
        if not newest or self._in_future or self._parents.was_gone(parent):
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
