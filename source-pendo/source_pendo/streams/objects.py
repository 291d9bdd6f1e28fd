"""Objects that Pendo's documentation names: applications, product areas, feedback, those that must not be processed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.errors import shorten, transient_error
from source_kit.http.client import Answer
from source_kit.stream import SliceItem

from source_pendo.aggregation import ALL_APPS, Row, Stage, app_id_of
from source_pendo.client import REFUSALS
from source_pendo.config import LARGEST_RECORD_LIMIT
from source_pendo.paging import KeyPager
from source_pendo.streams.base import PendoStream
from source_pendo.values import document_mapper


class Objects(PendoStream):
    """Objects of one kind, read whole at every sync: their time of change, if they have one, filters nothing at Pendo.

    The names are documented (Pendo's API documentation, August 2025). The answers are not shown there, so schemas are
    open, and an object without its key is an error: its row would overwrite others.
    """

    documented_only = True
    #: Pendo's name of the key
    key_column: ClassVar[str] = "id"
    #: The column `raw` holds the whole object: not all of its members are known, and most destinations drop what no
    #: schema names.
    keeps_raw: ClassVar[bool] = False
    key = ("id",)
    docs = replace(
        PendoStream.docs,
        late_rows="at once (inferred)",
        read_again="everything",
        deletes="a deleted one is missing after the next full refresh that overwrites",
        requests="one request for every `record_limit` rows",
    )

    @abstractmethod
    def pages(self) -> Iterator[list[Row]]:
        """All objects, in lists."""

    def slices(self) -> Iterable[str]:
        return (self.name,)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """The objects, without those of other applications."""
        mapper = document_mapper(self.get_json_schema())
        for rows in self.pages():
            for row in rows:
                if not isinstance(row, dict) or row.get(self.key_column) is None:
                    raise self.misshapen(f"a row without {self.key_column}: {_shape(row)}")
            wanted = [row for row in rows if self.of_wanted_app(row)]
            records = mapper(wanted)
            if self.keeps_raw:
                for record, row in zip(records, wanted, strict=True):
                    record["raw"] = row
            yield records

    def misshapen(self, what: str) -> AirbyteTracedException:
        """The error for an answer of a shape that is not understood. `what` holds names of members, never values."""
        return transient_error(self.client.error_table.misshapen, f"Stream {self.name}: {what}")


class SourceObjects(Objects):
    """Objects that a source of the aggregation language answers, in order of their key."""

    @abstractmethod
    def source_stage(self) -> Stage:
        """The first stage of every query."""

    def pages(self) -> Iterator[list[Row]]:
        return self.pages_of(self.source_stage())

    def pages_of(self, source: Stage) -> Iterator[list[Row]]:
        """The rows of a source, page by page."""
        pager = KeyPager(self.key_column, self.config.record_limit, LARGEST_RECORD_LIMIT)
        return self.client.keyed_rows("everything", source, pager)

    def probe(self) -> None:
        self.client.aggregate("probe", [self.source_stage(), {"limit": 1}]).close()


class Apps(SourceObjects):
    """Applications: `id` is `app_id` of the other streams.

    The documentation calls the column `appId` in one place and `id` in another; both are taken. An id is a number
    (observed), or text, by which no page could begin: they are few, and are asked for at once.
    """

    keeps_raw = True
    docs = replace(SourceObjects.docs, requests="one request")

    def source_stage(self) -> Stage:
        return {"source": {"apps": None}}

    def pages(self) -> Iterator[list[Row]]:
        rows: list[Row] = []
        for chunk in self.client.rows(self._ask, "results", rows.clear):
            rows += chunk
        apps = [{**row, "id": int(app)} for row in rows if (app := app_id_of(row)) is not None]
        if len(apps) < len(rows):
            nameless = next(row for row in rows if app_id_of(row) is None)
            raise self.misshapen(f"an application without a number as its id: {_shape(nameless)}")
        yield apps

    def apps_of(self, row: Mapping[str, Any]) -> list[Any]:
        return [row["id"]]

    def _ask(self) -> Answer:
        return self.client.aggregate("everything", [self.source_stage()])


class Groups(SourceObjects):
    """Groups of tagged pages, features and guides.

    `items: true` is documented: without it the objects in a group are missing. No parameter for applications is.
    """

    group_type: ClassVar[str]

    def source_stage(self) -> Stage:
        return {"source": {"groups": {"items": True, "groupType": self.group_type}}}


class ProductAreas(Groups):
    """Product areas, with the pages and features in each."""

    group_type = "group"


class GuideCategories(Groups):
    """Categories of guides, with the guides in each."""

    group_type = "guideCategory"


class DoNotProcessVisitors(SourceObjects):
    """Visitors of whom Pendo collects nothing anymore; a bulk deletion marks its visitors so at once (documented).

    Their metadata stays one free-form object: this stream says whom to erase, and `visitors` has the
    same metadata with types.
    """

    key_column = "visitorId"
    key = ("visitor_id",)
    docs = replace(SourceObjects.docs, deletes="one that may be processed again is missing after the next full refresh")

    def source_stage(self) -> Stage:
        return {"source": {"doNotProcessVisitors": None}}


class DoNotProcessAccounts(SourceObjects):
    """Accounts of which Pendo collects nothing anymore, as `do_not_process_visitors`."""

    key_column = "accountId"
    key = ("account_id",)
    docs = DoNotProcessVisitors.docs

    def source_stage(self) -> Stage:
        return {"source": {"doNotProcessAccounts": None}}


class FeedbackItems(SourceObjects):
    """Feedback and ideas of Pendo Listen.

    The type `feedback` is documented, the type `idea` is inferred: if Pendo refuses it, the stream has feedback only.
    Whether Pendo filters by the type is not known, so an item that comes for both types is emitted once, with the type
    that Pendo gives it. The ids of the feedback are kept in memory for that: about 100 bytes each.
    """

    keeps_raw = True
    docs = replace(SourceObjects.docs, requests="two requests, more for more than `record_limit` rows")

    def source_stage(self, type_: str = "feedback") -> Stage:
        """Without an application Pendo answers for the default one only (documented); applications are a list."""
        apps: list[int | str] = [int(app) for app in self.config.app_ids] or [ALL_APPS]
        return {"source": {"vocItems": {"appId": apps, "type": type_}}}

    def pages(self) -> Iterator[list[Row]]:
        emitted: set[str] = set()
        for rows in self.pages_of(self.source_stage()):
            emitted.update(str(row.get("id")) for row in rows)
            yield [_typed(row, "feedback") for row in rows]
        ideas = self.pages_of(self.source_stage("idea"))
        try:
            first = next(ideas, [])
        except REFUSALS as error:
            self.logger.warning(
                f"Stream {self.name}: Pendo refuses the items of type idea, so the stream has those of type feedback "
                f"only ({error.internal_message})"
            )
            return
        for rows in chain((first,), ideas):
            yield [_typed(row, "idea") for row in rows if str(row.get("id")) not in emitted]


def _typed(item: Row, type_: str) -> Row:
    return {**item, "type": item.get("type") or type_}


class FeedbackVotes(SourceObjects):
    """Votes of visitors, accounts and users for the items of Pendo Listen."""

    keeps_raw = True

    def source_stage(self) -> Stage:
        return {"source": {"votes": None}}


class BulkDeletions(Objects):
    """Requests to delete many visitors or accounts, as long as they are outstanding.

    The documentation does not show the answer: it may be the list, `null` for an empty one as elsewhere at Pendo, or an
    object that holds one list.
    """

    keeps_raw = True
    docs = replace(
        Objects.docs,
        deletes="a finished one is no longer listed; the sync mode full refresh, append keeps it",
        requests="one request",
    )

    def pages(self) -> Iterator[list[Row]]:
        answer = self.client.call("/bulkdelete").json()
        members = answer.values() if isinstance(answer, dict) else ([] if answer is None else answer,)
        lists = [member for member in members if isinstance(member, list)]
        if len(lists) != 1:
            raise self.misshapen(f"GET /bulkdelete: neither a list nor an object with one: {_shape(answer)}")
        yield from lists

    def probe(self) -> None:
        self.client.call("/bulkdelete").close()


def _shape(value: Any) -> str:
    """What may be shown of a value: ids in it name people."""
    return shorten(f"an object with {', '.join(sorted(value))}" if isinstance(value, dict) else type(value).__name__)
