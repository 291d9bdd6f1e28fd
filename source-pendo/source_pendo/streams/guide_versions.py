"""Versions of guides: what a guide was before."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final
from urllib.parse import quote as percent_encode

import orjson
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.utils.schema_helpers import ResourceSchemaLoader
from source_kit.convert import RecordMapper, iso_millis
from source_kit.disk import store
from source_kit.errors import transient_error
from source_kit.http.client import Answer
from source_kit.json_text import dumps
from source_kit.stream import Checkpoint, SliceItem

from source_pendo.aggregation import Row
from source_pendo.client import NotOffered
from source_pendo.streams.lists import UPDATED, ObjectList
from source_pendo.values import change_time, document_mapper

#: This many other guides are asked for before the endpoint is called closed
_ASKED_ONCE_MORE: Final = 5
_MEMORY_BYTES: Final = 4 * 1024 * 1024
_BYTES_AT_ONCE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide of the list, and its last change in epoch milliseconds."""

    guide_id: str
    changed: int | None

    def __str__(self) -> str:
        return f"guide {self.guide_id}"


class GuideVersions(ObjectList):
    """The versions of each guide, from an endpoint that answers those of one guide, newest first (documented).

    Guides that changed since the state are read, in order of their change, and the state moves behind each. All
    versions of such a guide are emitted again. `last_updated_at` is the guide's time of change; the version's own time
    is `version_last_updated_at`. What a version holds is not documented; its columns are those of a guide, as another
    vendor's connector has them.

    A guide that fails costs that guide: the others are read, and the state stays before it. A guide that answers 404
    has no versions. If that is the answer for every guide, the endpoint is closed and the stream fails.
    """

    path_name = "guide"
    documented_only = True
    key = ("guide_id", "version_id")
    parallel_slices = slices_fail_alone = True
    whole = True
    docs = replace(
        ObjectList.docs,
        late_rows="not documented",
        read_again="all versions of the guides that changed since the state, or in the hour before it",
        deletes="not reported: the versions of a deleted guide stay",
        requests="one request, and one more for each changed guide; the first sync reads every guide",
    )

    _mapper: RecordMapper
    _lock: threading.Lock
    _guides: list[Guide]
    #: Whether Pendo has versions of any guide; None: not known
    _open: bool | None

    def get_json_schema(self) -> Mapping[str, Any]:  # type: ignore[override] # the base caches for ever
        """The columns of the stream's file, and those of a guide."""
        own = super().get_json_schema()
        guides = ResourceSchemaLoader("source_pendo").get_schema("guides")
        return {**own, "properties": {**own["properties"], **guides["properties"], **own["properties"]}}

    def slices(self) -> Iterator[Guide]:
        """The guides that changed, in order of their change; first those whose time of change is not known."""
        self._mapper = document_mapper(self.get_json_schema())
        self._open, self._lock = None, threading.Lock()
        self._guides = sorted(self._list(), key=lambda guide: guide.changed or 0)
        yield from (guide for guide in self._guides if self._may_have_changed(guide.changed))

    def read_slice(self, slice_: Guide) -> Iterator[SliceItem]:
        """All versions of a guide."""
        with SpooledTemporaryFile(max_size=_MEMORY_BYTES) as lines:
            marks = self._versions(slice_, lines)
            if marks is None:
                self._require_open(slice_)
            else:
                self._open = True
                ids = iter(version_ids(slice_.guide_id, marks))
                for rows in _batches(lines):
                    yield self._records(slice_, rows, list(islice(ids, len(rows))))
        if slice_.changed is not None:
            yield Checkpoint(self._reached(max(slice_.changed, self._since or 0)))

    def probe(self) -> None:
        """Ask for the versions of a few guides: that Pendo has none of one (404) proves nothing."""
        self._guides, self._open, self._lock = list(self._list()), None, threading.Lock()
        if self._guides:
            self._require_open(None)

    def _list(self) -> Iterator[Guide]:
        """The guides of the chosen applications, each once."""
        guides: dict[str, Guide] = {}
        for objects in self._objects():
            for item in filter(self.of_wanted_app, objects):
                guide_id = item.get("id")
                if not isinstance(guide_id, str):
                    raise transient_error(self.client.error_table.misshapen, "GET /guide: a guide has no id")
                guides[guide_id] = Guide(guide_id, change_time(item.get(UPDATED)))
        return iter(guides.values())

    def _history(self, guide: Guide) -> Answer:
        return self.client.call(f"/guide/{percent_encode(guide.guide_id, safe='')}/history", accept=(404,))

    def _versions(self, guide: Guide, lines: IO[bytes]) -> list[tuple[Any, int | None]] | None:
        """Write a guide's versions to a file, a line each. Returns own id and time of each; None if it has none (404).

        An id can be chosen only when all versions are known, and they may be more than memory should hold.
        """
        marks: list[tuple[Any, int | None]] = []

        def ask() -> Answer:
            answer = self._history(guide)
            if answer.status == 404:
                answer.close()
                raise _NoVersions
            return answer

        def restart() -> None:
            marks.clear()
            lines.seek(0)
            lines.truncate()

        try:
            for rows in self.client.rows(ask, None, restart):
                marks += [(row.get("id"), change_time(row.get(UPDATED))) for row in rows]
                if rows:
                    store(lines, b"".join(dumps(row) + b"\n" for row in rows))
        except _NoVersions:
            return None
        store(lines, b"")
        return marks

    def _records(self, guide: Guide, rows: list[Row], ids: Sequence[str]) -> list[Row]:
        """Versions as records. Two names that a version has itself stand for the guide's: its id and its change."""
        changed = None if guide.changed is None else iso_millis(guide.changed)
        with self._lock:
            self.ageless += len(rows) if changed is None else 0
        records = self._mapper(rows)
        for record, version_id in zip(records, ids, strict=True):
            record["version_last_updated_at"] = record.get(self.cursor_field)
            record |= {"guide_id": guide.guide_id, "version_id": version_id, self.cursor_field: changed}
        return records

    def _require_open(self, guide: Guide | None) -> None:
        """Raise if Pendo has no versions of `guide`, and none of a few others either."""
        with self._lock:
            if self._open is None:
                others = [other for other in reversed(self._guides) if other != guide]
                self._open = any(map(self._is_answered, others[:_ASKED_ONCE_MORE]))
            if self._open:
                return
        message = (
            "Pendo has no versions of any guide (status 404), so the subscription does not offer them: deselect "
            "guide_versions."
        )
        raise NotOffered(
            message=message,
            internal_message="GET /guide/<id>/history: status 404 for every guide",
            failure_type=FailureType.config_error,
        )

    def _is_answered(self, guide: Guide) -> bool:
        answer = self._history(guide)
        answer.close()
        return answer.status == 200


def _batches(lines: IO[bytes]) -> Iterator[list[Row]]:
    """The rows of a file with a row in each line, in lists of bounded size."""
    rows, size = [], 0
    for line in lines:
        rows.append(orjson.loads(line))
        size += len(line)
        if size >= _BYTES_AT_ONCE:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


class _NoVersions(Exception):
    """Pendo has no versions of a guide."""


def version_ids(guide_id: str, versions: Sequence[tuple[Any, int | None]]) -> list[str]:
    """A key within a guide for each of its versions, which come newest first, as own id and time.

    It is the version's own id unless that is the guide's or an older version's, else the version's time in epoch
    milliseconds. Equal ones are told apart by an ordinal. A key depends on older versions only, so that a new version,
    whatever its id, does not change the key of an old one: its row would stay under both.
    """
    ids: list[str] = []
    taken = {guide_id}
    for own_id, at in reversed(versions):
        plain = key = own_id if isinstance(own_id, str) and own_id not in taken else str(at or 0)
        ordinal = 1
        while key in taken:
            ordinal += 1
            key = f"{plain}-{ordinal}"
        taken.add(key)
        ids.append(key)
    return ids[::-1]
