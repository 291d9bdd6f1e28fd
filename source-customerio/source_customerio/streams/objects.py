"""Objects, such as companies, and the people who belong to them: found by search, then one request for each object."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

from source_kit.activity import Stopped
from source_kit.stream import Record, SliceItem, StreamDocs

from source_customerio.errors import Malformed, NotFound
from source_customerio.streams.base import CustomerIoStream
from source_customerio.streams.lists import Types
from source_customerio.streams.parents import Parents, Unlisted, report_gone

CIO_OBJECT_ID, OBJECT_ID = "cio_object_id", "object_id"
#: `object_id` and `cio_object_id`, None where there is none
Ids: TypeAlias = tuple[str | None, str | None]
#: The largest `limit` of these lists is not documented; this is allowed in every list that documents one.
PAGE_SIZE = 100


class Found(NamedTuple):
    """An object that a search found. One of the ids may be missing: which one every object has is not documented."""

    object_type_id: str
    object_id: str | None
    cio_object_id: str | None

    def __str__(self) -> str:
        return f"object {self.cio_object_id or 'without a cio_object_id'} of type {self.object_type_id}"


Slice: TypeAlias = Found | Unlisted


class EachObject(CustomerIoStream, ABC):
    """A stream with a request for each object. The first such stream of a sync searches for them, type by type.

    A search needs a filter, and which field every object has is not documented: so it asks for objects with either of
    the two ids. Where that is refused or finds nothing, each id is asked for alone. The log says what was met, and
    which id some objects lack.

    An object that answers 404 was deleted since the search: it is skipped and counted. So is one that answers 400 and
    is not found any more. Any other that fails costs its own rows only, and so does a type whose search fails. Disabled
    types are read like others.
    """

    endpoint = "objects"
    permission = "objects"
    documented_only = True
    parallel_slices = slices_fail_alone = True
    whole = True

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._gone: set[Found] = set()
        self._keyless: Counter[str] = Counter()
        self._now: dict[str, set[Ids]] = {}
        self._searching = threading.Lock()

    def slices(self) -> Iterator[Slice]:
        """Every object, after all searches: they are soon over, so that deletions move no object out of a page."""
        found = self.client.connection.objects
        for kind in Parents(Types, self).all():
            if isinstance(kind, Unlisted):
                yield kind
            elif kind.id not in found.whole and (error := self._search_all(kind.id)):
                yield Unlisted(kind, error)
        for kind_id, searcher, ids in found.pages:
            if searcher == found.whole.get(kind_id, self.name):
                for object_id, cio_object_id in ids:
                    yield Found(kind_id, object_id, cio_object_id)

    def _search_all(self, kind: str) -> Exception | None:
        """Searches the objects of a type, and adds them to what was found. Returns why that failed, if it did."""
        found, lacking, count = self.client.connection.objects, Counter[str](), 0
        try:
            for page in self._search(kind):
                found.pages.add([kind, self.name, page])
                count += len(page)
                lacking[OBJECT_ID] += sum(object_id is None for object_id, _ in page)
                lacking[CIO_OBJECT_ID] += sum(cio_object_id is None for _, cio_object_id in page)
        except Stopped:
            raise
        except Exception as error:
            return error
        found.whole[kind] = self.name
        without = " and ".join(f"{number} have no {name}" for name, number in lacking.items() if number)
        self.logger.info(
            f"Stream {self.name}: {count} objects of type {kind}" + (f", of which {without}" if without else "")
        )
        return None

    def _search(self, kind: str) -> Iterator[list[Ids]]:
        """Pages of the objects of a type."""
        refused, count = None, 0
        try:
            for page in self._found_by({"or": [leaf(CIO_OBJECT_ID, kind), leaf(OBJECT_ID, kind)]}, kind):
                count += len(page)
                yield page
        except Malformed as error:
            refused = error
        if refused or not count:
            yield from self._search_by_each(kind, refused)

    def _search_by_each(self, kind: str, refused: Malformed | None) -> Iterator[list[Ids]]:
        """Pages of the objects that have the one id, then of those that have the other. Raises if all is refused."""
        seen: set[Ids] = set()
        counts: dict[str, int] = {}
        for field in (CIO_OBJECT_ID, OBJECT_ID):
            before = len(seen)
            try:
                for page in self._found_by({"and": [leaf(field, kind)]}, kind):
                    yield [ids for ids in page if ids not in seen]
                    seen.update(page)
            except Malformed as error:
                refused = error
            else:
                counts[field] = len(seen) - before
        if refused and not counts:
            raise refused
        if seen:
            self.logger.info(
                f"Stream {self.name}: the search for objects of type {kind} that have either id was "
                + ("refused" if refused else "empty")
                + "".join(f"; by {field} alone it found {number} more" for field, number in counts.items())
            )

    def _found_by(self, condition: Mapping[str, Any], kind: str) -> Iterator[list[Ids]]:
        body = {"object_type_id": kind, "filter": condition}
        for rows in self.client.pages(self.endpoint, "identifiers", page_size=PAGE_SIZE, method="POST", json=body):
            yield [(text_of(row.get(OBJECT_ID)), text_of(row.get(CIO_OBJECT_ID))) for row in rows]

    def read_slice(self, slice_: Slice) -> Iterator[SliceItem]:
        if isinstance(slice_, Unlisted):
            raise slice_.error
        with self._lock:
            self._asked += 1
        try:
            yield from self.rows_of(slice_)
        except (NotFound, Malformed) as error:
            if isinstance(error, Malformed) and self._is_found_now(slice_):
                raise
            with self._lock:
                self._gone.add(slice_)

    @abstractmethod
    def rows_of(self, found: Found) -> Iterator[list[Record]]:
        """Finished rows of one object. Raises NotFound, or Malformed, also where it is gone."""

    def path_of(self, found: Found, part: str) -> str:
        own = found.cio_object_id or found.object_id or ""
        return f"objects/{quote(found.object_type_id, safe='')}/{quote(own, safe='')}/{part}"

    def id_type_of(self, found: Found) -> dict[str, str]:
        return {"id_type": CIO_OBJECT_ID if found.cio_object_id else OBJECT_ID}

    def attributes_of(self, found: Found) -> Record:
        """An object as the vendor has it."""
        answer = self.client.document(self.path_of(found, "attributes"), "object", self.id_type_of(found))["object"]
        if not isinstance(answer, dict) or not isinstance(answer.get("identifiers") or {}, dict):
            self.client.misshapen("'object' or its identifiers are no object")
        return answer

    def key_of(self, found: Found, answer: Record | None = None) -> str | None:
        """The `cio_object_id`, of an answer where the search did not give it. Where there is none it is counted."""
        if found.cio_object_id:
            return found.cio_object_id
        answer = self.attributes_of(found) if answer is None and found.object_id else answer
        key = text_of(((answer or {}).get("identifiers") or {}).get(CIO_OBJECT_ID))
        if key is None:
            with self._lock:
                self._keyless[found.object_type_id] += 1
        return key

    def _is_found_now(self, found: Found) -> bool:
        """Whether a search still finds an object. Each type is searched once more, when it is needed."""
        kind = found.object_type_id
        with self._searching:  # of several threads one searches
            if kind not in self._now:
                self._now[kind] = {ids for page in self._search(kind) for ids in page}
        return (found.object_id, found.cio_object_id) in self._now[kind]

    def probe(self) -> None:
        """The list of types: a search would need one of them."""
        self.client.probe(Types.endpoint, Types.envelope)

    def finish(self) -> None:
        """Log how many objects were gone, or fail where the server refuses the path and not an object."""
        if self._keyless:
            kinds = ", ".join(f"{number} of type {kind}" for kind, number in sorted(self._keyless.items()))
            self.logger.warning(
                f"Stream {self.name}: objects without a cio_object_id, which is their key, were left out: {kinds}. "
                "Report it to Customer.io's support."
            )
        found_now = {found for found in self._gone if self._is_found_now(found)}
        report_gone(self, "objects", self._gone - found_now, found_now, self._asked)

    def close(self) -> None:
        super().close()
        self.client.connection.objects.pages.clear()


class Objects(EachObject):
    """One row for each object: companies, or whatever the workspace's object types are, with all attributes.

    Objects carry no time of change, so every sync reads all. `object_type_id` is a text, as in `types`.
    """

    key = ("object_type_id", CIO_OBJECT_ID)
    reads_after = frozenset({"types"})
    docs = StreamDocs(
        read_again="everything",
        deletes="deleted objects are gone with the next sync",
        requests="1 for each object, and for each type 1 for each 100 of its objects, 3 where it has none; and the "
        "shared list of types",
    )

    def rows_of(self, found: Found) -> Iterator[list[Record]]:
        if not found.cio_object_id and not found.object_id:
            self.key_of(found)
            return
        answer = self.attributes_of(found)
        key = self.key_of(found, answer)
        if key is not None:
            identifiers = answer.get("identifiers") or {}
            ids = {"object_type_id": found.object_type_id, CIO_OBJECT_ID: key}
            yield [{**answer, **ids, OBJECT_ID: text_of(identifiers.get(OBJECT_ID)) or found.object_id}]


class ObjectRelationships(EachObject):
    """One row for each person who belongs to an object, with the person's identifiers.

    A relationship's own attributes are not here: the vendor gives them below a person only, which would cost a request
    for each person. `id` and `email` may be null, or missing where the workspace does not identify people by them.
    """

    key = ("object_type_id", CIO_OBJECT_ID, "cio_id")
    reads_after = frozenset({"types", "objects"})
    docs = StreamDocs(
        read_again="everything",
        deletes="relationships that ended are gone with the next sync",
        requests="1 for each object and each 100 of its people; and the searches and the list of types, which are "
        "shared with `objects`",
    )

    def rows_of(self, found: Found) -> Iterator[list[Record]]:
        key = self.key_of(found)
        if key is None:
            return
        for rows in self.client.pages(
            self.path_of(found, "relationships"),
            "cio_relationships",
            page_size=PAGE_SIZE,
            params=self.id_type_of(found),
        ):
            yield [self._row(found, key, row) for row in rows]

    def _row(self, found: Found, key: str, row: Record) -> Record:
        identifiers = row.pop("identifiers", None)
        if not isinstance(identifiers, dict) or text_of(identifiers.get("cio_id")) is None:
            self.client.misshapen("a relationship without the cio_id of a person")
        ids = {"object_type_id": found.object_type_id, CIO_OBJECT_ID: key, "cio_id": str(identifiers["cio_id"])}
        return {**row, **identifiers, **ids}


def leaf(field: str, kind: str) -> Mapping[str, Any]:
    """The condition that an object of a type has a field. It must name the type again (vendor's specification)."""
    return {"object_attribute": {"field": field, "operator": "exists", "type_id": kind}}


def text_of(value: Any) -> str | None:
    """An id as a text; an empty one is none."""
    return None if value is None or value == "" else str(value)
