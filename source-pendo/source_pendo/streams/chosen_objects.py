"""Streams that exist only where an option names the objects to read: results of reports, members of segments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final
from urllib.parse import quote as percent_encode

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import system_error, transient_error
from source_kit.http.client import Answer
from source_kit.stream import SliceItem

from source_pendo.aggregation import VISITOR_ID, Stage
from source_pendo.client import REFUSALS
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.paging import KeyPager, without_key
from source_pendo.streams.base import PendoStream
from source_pendo.values import document_mapper

_ACCOUNT_ID: Final = "accountId"


@dataclass(frozen=True, slots=True)
class Chosen:
    """An object that the option names; `kind` is Pendo's word for it."""

    kind: str
    object_id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"


class ChosenObjects(PendoStream):
    """Rows of single objects, each a slice. One that Pendo refuses costs that object, the others are read."""

    documented_only = True
    slices_fail_alone = True
    kind: ClassVar[str]
    #: The option that names the objects
    option: ClassVar[str]
    #: The end of the sentence about an object that Pendo refuses
    remedy: ClassVar[str]
    docs = replace(PendoStream.docs, read_again="everything", deletes="rows are gone with the next full refresh")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that the option names."""
        ids: tuple[str, ...] = getattr(self.config, self.option)
        return ids

    @abstractmethod
    def read_object(self, object_id: str) -> Iterator[SliceItem]:
        """The rows of one object."""

    @abstractmethod
    def probe_object(self, object_id: str) -> None:
        """Ask for as little as possible of one object."""

    def slices(self) -> Iterator[Chosen]:
        return (Chosen(self.kind, object_id) for object_id in self.ids)

    def read_slice(self, slice_: Chosen) -> Iterator[SliceItem]:
        try:
            yield from self.read_object(slice_.object_id)
        except REFUSALS as error:
            # Of another type than a refusal, which would end the stream: the other objects may be readable.
            raise system_error(f"Pendo refuses {slice_}: {self.remedy}", error.internal_message) from error

    def probe(self) -> None:
        """Passes if Pendo answers for any of the objects; raises what it answered for the first one."""
        refused: AirbyteTracedException | None = None
        for object_id in self.ids:
            try:
                return self.probe_object(object_id)
            except REFUSALS as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return None


class ReportResults(ChosenObjects):
    """The rows of the reports that `report_ids` names.

    Columns differ from report to report, so a row is one object (`values`) with Pendo's own names. Rows have no key:
    they are counted, so a row that moves has another key after the next sync.
    """

    kind = "report"
    option = "report_ids"
    remedy = (
        "only public visitor and account reports have results, not paths, funnels or the data explorer. Take its id "
        "out of report_ids, or correct it."
    )
    key = ("report_id", "row")
    docs = replace(ChosenObjects.docs, late_rows="as of the report's last run (inferred)", requests="one a report")

    def read_object(self, object_id: str) -> Iterator[SliceItem]:
        """If the body breaks in the middle, all rows come again, from 0 on: the report may have run meanwhile."""
        count = 0

        def restart() -> None:
            nonlocal count
            count = 0

        for rows in self.client.rows(lambda: self._results(object_id), None, restart):
            if not all(isinstance(row, dict) for row in rows):
                raise transient_error(self.client.error_table.misshapen, "a row of a report is no object")
            yield [{"report_id": object_id, "row": place, "values": row} for place, row in enumerate(rows, count)]
            count += len(rows)

    def probe_object(self, object_id: str) -> None:
        self._results(object_id).close()

    def _results(self, object_id: str) -> Answer:
        return self.client.call(f"/report/{percent_encode(object_id, safe='')}/results.json")


class SegmentMemberships(ChosenObjects):
    """The identified visitors that are in the segments which `segment_ids` names, one row for each of their accounts.

    The question is Pendo's own example of segment members (API documentation, August 2025), paged by visitor. It makes
    Pendo look at every visitor, once a segment and page.
    """

    kind = "segment"
    option = "segment_ids"
    remedy = "only shared segments can be read. Share it, or take its id out of segment_ids, or correct it."
    key = ("segment_id", "visitor_id", "account_id")
    docs = replace(
        ChosenObjects.docs,
        late_rows="not documented",
        requests="one a segment, and one more for every further `record_limit` rows; each looks at all visitors",
    )

    def read_object(self, object_id: str) -> Iterator[SliceItem]:
        pager = KeyPager(VISITOR_ID, self.config.record_limit, LARGEST_RECORD_LIMIT)
        source, *stages = _members(object_id)
        mapper = document_mapper(self.get_json_schema())
        for rows in self.client.keyed_rows("members", source, pager, before=stages):
            if not all(isinstance(row.get(VISITOR_ID), str) for row in rows):
                raise without_key(self.name, VISITOR_ID)
            yield [{"segment_id": object_id} | record for record in mapper(rows)]

    def probe_object(self, object_id: str) -> None:
        self.client.aggregate("probe", [*_members(object_id), {"limit": 1}]).close()


def _members(segment_id: str) -> list[Stage]:
    """The stages that leave the members of a segment; the first four after the source look up their accounts."""
    return [
        {"source": {"visitors": None}},
        {"identified": VISITOR_ID},
        {"eval": {_ACCOUNT_ID: "metadata.auto.accountids"}},
        {"unwind": {"field": _ACCOUNT_ID, "keepEmpty": True}},
        {"bulkExpand": {"account": {"account": _ACCOUNT_ID}}},
        {"segment": {"id": segment_id}},
        {"select": {VISITOR_ID: VISITOR_ID, _ACCOUNT_ID: _ACCOUNT_ID}},
    ]
