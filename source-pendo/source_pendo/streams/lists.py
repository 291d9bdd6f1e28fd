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
from source_pendo.streams.base import STATE_VERSION, PendoStream
from source_pendo.values import change_time, definition_instant, document_mapper

#: Changes that were made while the last sync read may carry a time before its newest one
_OVERLAP_MS: Final = int(timedelta(hours=1) / timedelta(milliseconds=1))
_UPDATED: Final = "lastUpdatedAt"


class ObjectList(PendoStream):
    """One GET that answers every object of a kind, unsorted, without pages and without a filter.

    `expand=*` asks for the objects of all applications; without it Pendo answers only for the default one. The
    aggregation sources of the same names are no alternative: they have no key to page by, so a limit would cut the list
    silently.

    An incremental sync reads the whole list, too, and emits what changed since the state, less an hour. The state is
    `{"last_updated_at": "...", "version": 1}`, the newest change seen, never later than the start of the sync. An
    object without a time of change is emitted at every sync (UNKNOWN-AGE-IS-EMITTED).

    A stream needs `path_name` and a schema. `transform` makes other rows of an object.
    """

    path_name: ClassVar[str]
    key = ("id",)
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

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._since = self.cursor_millis(state)
        self._sync_start = epoch_millis(sync_start)

    def slices(self) -> Iterable[str]:
        return (self.path_name,)

    def transform(self, row: Row) -> Sequence[Row]:
        """The rows that an object becomes, in Pendo's names; the schema's names and types come afterwards.

        Here the object itself. A stream of what lies inside of objects returns that; the time of change must be in it.
        """
        return (row,)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """The list's objects, without those of other applications and those that did not change."""
        mapper = document_mapper(self.get_json_schema(), definition_instant)
        newest = self._since
        for objects in self._objects():
            kept: list[Row] = []
            for item in objects:
                updated = change_time(item.get(_UPDATED))
                if updated is not None and (newest is None or updated > newest):
                    newest = updated
                unchanged = self._since is not None and updated is not None and updated < self._since - _OVERLAP_MS
                if not unchanged and self.of_wanted_app(item):
                    rows = self.transform(item)
                    kept += rows
                    self.ageless += len(rows) if updated is None else 0
            yield mapper(kept)
        if newest is not None:
            newest = newest if newest == self._since else min(newest, self._sync_start)
            yield Checkpoint({self.cursor_field: iso_millis(newest), "version": STATE_VERSION})

    def probe(self) -> None:
        self._ask().close()

    def _ask(self) -> Answer:
        return self.client.call(f"/{self.path_name}", params={"expand": "*"})

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


def _digest(item: Any) -> bytes:
    """A hash of an object's whole content. `repr` accepts deeper nesting than JSON encoders."""
    return hashlib.blake2b(repr(item).encode("utf-8", "replace"), digest_size=16).digest()


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


class Pages(ObjectList):
    """Tagged pages. Their rules decide which page events exist; a changed rule rewrites the past."""

    path_name = "page"


class Features(ObjectList):
    """Tagged features."""

    path_name = "feature"


class Guides(ObjectList):
    """In-app guides, with their steps and polls."""

    path_name = "guide"


class TrackTypes(ObjectList):
    """Types of track events."""

    path_name = "tracktype"


class Reports(ObjectList):
    """Definitions of saved reports; Pendo's API does not give the results of most kinds."""

    path_name = "report"

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
    """Definitions of segments; members are not in the list."""

    path_name = "segment"
