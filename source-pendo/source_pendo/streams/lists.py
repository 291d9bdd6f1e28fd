"""Objects that Pendo answers in one list: pages, features, guides, track types, reports, segments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from source_kit.convert import epoch_millis, iso_millis
from source_kit.http.client import Answer
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import Row
from source_pendo.config import is_app_id
from source_pendo.known_objects import DELETED_AT, MOST_KNOWN, KnownObjects, with_deletions
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.values import change_time, document_mapper

#: Changes that were made while the last sync read may carry a time before its newest one
_OVERLAP_MS: Final = int(timedelta(hours=1) / timedelta(milliseconds=1))
UPDATED: Final = "lastUpdatedAt"
_KNOWN: Final = "known"


class ObjectList(PendoStream):
    """One GET that answers every object of a kind, unsorted, without pages and without a filter.

    `expand=*` asks for the objects of all applications; without it Pendo answers only for the default one. The
    aggregation sources of the same names are no alternative: they have no key to page by, so a limit would cut the list
    silently.

    An incremental sync reads the whole list, too, and emits what changed since the state, less an hour. The state is
    `{"last_updated_at": "...", "version": 1}`, the newest change seen, never later than the start of the sync. An
    object without a time of change is emitted at every sync (UNKNOWN-AGE-IS-EMITTED).

    With the option `detect_deletions`, a stream that `lists_all` also keeps in its state which objects it emitted
    (`known`). One that the list lacks is emitted once more: its key, the last known time of change and
    `_ab_cdc_deleted_at`. An object that comes back is emitted whatever its age, with a time of change that is not
    older. A change of `app_ids` is no deletion. Without the option the state forgets the objects, so what is deleted
    until the option is on again is never emitted.

    A stream needs `path_name` and a schema. `transform` makes other rows of an object.
    """

    path_name: ClassVar[str]
    #: Whether an object that the list lacks was deleted; not where Pendo lists only some objects. A stream with another
    #: key, whose rows are no objects, finds no deletions either way.
    lists_all: ClassVar[bool] = False
    key: ClassVar[tuple[str, ...]] = ("id",)
    cursor_field = "last_updated_at"
    docs = replace(
        PendoStream.docs,
        resolution="1 ms",
        late_rows="at once (inferred)",
        read_again="the whole list; changes of the hour before the state are emitted again",
        deletes="a deleted object is missing from the list; its row stays in the destination until a full refresh",
        requests="one request",
    )

    _since: int | None
    _sync_start: int
    _known: KnownObjects | None

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override] # the base caches for ever
        """The schema of the stream's file, with the time of deletion if deletions are emitted."""
        schema = super().get_json_schema()
        return with_deletions(schema) if self._detects_deletions else schema

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._since = self.cursor_millis(state, _KNOWN)
        self._sync_start = epoch_millis(sync_start)
        try:
            known = KnownObjects(state.get(_KNOWN))
        except ValueError:
            raise self.unreadable_state() from None
        self._known = known if self._detects_deletions else None

    def slices(self) -> Iterable[Any]:
        return (self.path_name,)

    def transform(self, row: Row) -> Sequence[Row]:
        """The rows that an object becomes, in Pendo's names; the schema's names and types come afterwards.

        Here the object itself. A stream of what lies inside of objects returns that; the time of change must be in it.
        """
        return (row,)

    def read_slice(self, slice_: Any) -> Iterator[SliceItem]:
        """The list's objects, without those of other applications and those that did not change."""
        mapper = document_mapper(self.get_json_schema())
        newest = self._since
        for objects in self._objects():
            kept: list[Row] = []
            for item in objects:
                updated = change_time(item.get(UPDATED))
                if updated is not None and (newest is None or updated > newest):
                    newest = updated
                wanted = self.of_wanted_app(item)
                new = self._known is not None and self._known.add(item.get("id"), updated, wanted=wanted)
                if wanted and (new or self._may_have_changed(updated)):
                    rows = self.transform(item)
                    kept += rows
                    self.ageless += len(rows) if updated is None else 0
            yield mapper(kept)
        if self._known is not None:
            yield self._deletions(self._known)
        yield Checkpoint(self._reached(newest))

    def _reached(self, newest: int | None) -> dict[str, Any]:
        state: dict[str, Any] = {"version": STATE_VERSION}
        if newest is not None:
            newest = newest if newest == self._since else min(newest, self._sync_start)
            state = {self.cursor_field: iso_millis(newest), **state}
        known = None if self._known is None else self._known.in_state()
        return state if known is None else {**state, _KNOWN: known}

    @property
    def _detects_deletions(self) -> bool:
        return self.lists_all and self.key == ObjectList.key and self.config.detect_deletions

    def _deletions(self, known: KnownObjects) -> list[Row]:
        """The objects that are gone, as records. Says in the log where none can be found."""
        if known.list_is_suspicious:
            self.logger.warning(
                f"Stream {self.name}: Pendo's list is empty, and was not before. No object is emitted as deleted. If "
                "all were deleted indeed, refresh the stream."
            )
        if known.in_state() is None:
            self.logger.warning(
                f"Stream {self.name}: Pendo lists more than {MOST_KNOWN} objects, too many to keep in a state, so the "
                "next sync finds no deletions. A full refresh removes deleted objects."
            )
        if known.too_long:
            self.logger.warning(
                f"Stream {self.name}: {known.too_long} objects have ids that are too long to keep in a state, so their "
                "deletions are not found."
            )
        at = iso_millis(self._sync_start)
        (key,) = self.key
        return [
            {key: object_id, self.cursor_field: None if changed is None else iso_millis(changed), DELETED_AT: at}
            for object_id, changed in known.deleted().items()
        ]

    def probe(self) -> None:
        self._ask().close()

    def _ask(self) -> Answer:
        return self.client.list_objects(f"/{self.path_name}")

    def _objects(self) -> Iterator[list[Row]]:
        """The list's objects as they came, also an id that comes twice.

        If the body breaks in the middle, the list is asked for again; objects that came before and are the same now are
        dropped.
        """
        emitted: set[bytes] = set()
        before: set[bytes] = set()
        for objects in self.client.rows(self._ask, None, lambda: before.update(emitted)):
            digests = list(map(_digest, objects))
            yield [item for item, digest in zip(objects, digests, strict=True) if digest not in before]
            emitted.update(digests)

    def _may_have_changed(self, updated: int | None) -> bool:
        """Whether an object's time of change is not clearly before the state."""
        return self._since is None or updated is None or updated >= self._since - _OVERLAP_MS


def _digest(item: Any) -> bytes:
    """A hash of an object's whole content. `repr` accepts deeper nesting than JSON encoders."""
    return hashlib.blake2b(repr(item).encode("utf-8", "replace"), digest_size=16).digest()


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


_WATCHED: Final = replace(
    ObjectList.docs,
    deletes=(
        "with `detect_deletions` emitted once, with `_ab_cdc_deleted_at`; otherwise the row stays in the destination "
        "until a full refresh"
    ),
)


class Pages(ObjectList):
    """Tagged pages. Their rules decide which page events exist; a changed rule rewrites the past."""

    path_name = "page"
    lists_all = True
    docs = _WATCHED


class Features(ObjectList):
    """Tagged features."""

    path_name = "feature"
    lists_all = True
    docs = _WATCHED


class Guides(ObjectList):
    """In-app guides, with their steps and polls."""

    path_name = "guide"
    lists_all = True
    docs = _WATCHED


class TrackTypes(ObjectList):
    """Types of track events."""

    path_name = "tracktype"
    lists_all = True
    docs = _WATCHED


class Reports(ObjectList):
    """Definitions of saved reports, public ones only (documented); `report_results` has the rows of some.

    A report that its owner makes private leaves the list, so one that is missing is not a deleted one.
    """

    path_name = "report"
    docs = replace(
        ObjectList.docs,
        deletes="not reported: Pendo lists public reports only, so a missing one may have become private",
    )

    def apps_of(self, item: Mapping[str, Any]) -> list[Any]:
        """A report names its application in its definition, as number or text (certain: another connector's schema).

        Definition and config are objects (observed) or arrays (documented). A report that names no single application,
        e.g. one with the expression for all of them, belongs to none.
        """
        definition = _first(item.get("definition"))
        options = _first(definition.get("config")) if isinstance(definition, dict) else None
        app = options.get("appId") if isinstance(options, dict) else None
        return [*super().apps_of(item), *([app] if is_app_id(str(app)) else [])]


class Segments(ObjectList):
    """Definitions of segments, shared ones only (documented); `segment_memberships` has the members of some.

    A segment that is no longer shared leaves the list, so one that is missing is not a deleted one.
    """

    path_name = "segment"
    docs = replace(
        ObjectList.docs,
        deletes="not reported: Pendo lists shared segments only, so a missing one may only be no longer shared",
    )
