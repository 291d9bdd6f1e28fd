"""People: found by search, a thousand at a time, and fetched with all they have, a hundred at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from source_kit.items import Record, SliceItem

from source_customerio.paging import End
from source_customerio.streams.base import CustomerIoStream

#: Certain: vendor documentation
HYDRATE_AT_MOST = 100
#: Everybody has a `cio_id`; a search by `id` would leave out people who are known by e-mail alone (certain: recorded
#: answers found 121 of 121 against 119).
EVERYBODY: Mapping[str, Any] = {"filter": {"and": [{"attribute": {"field": "cio_id", "operator": "exists"}}]}}


class Batch(NamedTuple):
    """People to fetch in one request, by `cio_id`."""

    number: int
    ids: list[str]

    def __str__(self) -> str:
        return f"people {self.number * HYDRATE_AT_MOST + 1} to {self.number * HYDRATE_AT_MOST + len(self.ids)}"


class Customers(CustomerIoStream):
    """Profiles: one row for each person with identifiers, attributes, devices and subscription.

    Profiles carry no time of change, so every sync reads everybody. Both requests are POSTs that change nothing and are
    repeated like any read. The `cio_id` stays a text: `30e00001` is not a number.
    """

    endpoint = "customers"
    envelope = "identifiers"
    permission = "people"
    key = ("cio_id",)
    end = End.TOKEN
    params: ClassVar[Mapping[str, str]] = {"limit": "1000"}
    page_size = 1000
    parallel_slices = True
    opt_in = True
    reread = "everything"
    deletes = "deleted people are gone with the next sync"
    cost = "11 for each 1,000 people"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """Nobody was found or fetched yet."""
        self._found = self._nameless = 0
        self._fetched: dict[int, int] = {}

    def slices(self) -> Iterator[Batch]:
        """The people of one request each; the search goes on while earlier ones are fetched."""
        number, waiting = 0, []
        for rows in self.pages(self.endpoint, method="POST", json=EVERYBODY):
            found = [str(row["cio_id"]) for row in rows if row.get("cio_id") is not None]
            self._found += len(found)
            self._nameless += len(rows) - len(found)
            waiting += found
            while len(waiting) >= HYDRATE_AT_MOST:
                yield Batch(number, waiting[:HYDRATE_AT_MOST])
                number, waiting = number + 1, waiting[HYDRATE_AT_MOST:]
        if waiting:
            yield Batch(number, waiting)

    def read_slice(self, slice_: Batch) -> Iterator[SliceItem]:
        """The profiles of one request. Who was deleted since the search is left out by the server, without an error."""
        answer = self.call(
            "customers/attributes", method="POST", params={"id_type": "cio_id"}, json={"ids": slice_.ids}
        )
        fetched = 0
        for rows in self.rows(answer, "customers"):
            fetched += len(rows)
            yield [profile(row) for row in rows]
        self._fetched[slice_.number] = fetched
        if fetched != len(slice_.ids):
            self.logger.debug(f"Stream {self.name}: {slice_}: {len(slice_.ids) - fetched} are gone since the search")

    def probe(self) -> None:
        """A search for one person."""
        self.accept(self.call(self.endpoint, method="POST", params={"limit": "1"}, json=EVERYBODY))

    def finish(self) -> None:
        """Tell who was left out, or fail where the search finds people and nobody can be fetched."""
        if self._nameless:
            self.logger.warning(
                f"Stream {self.name}: {self._nameless} people were found without a cio_id, so their profiles could not "
                "be fetched. Report it to Customer.io's support."
            )
        fetched, found = sum(self._fetched.values()), self._found + self._nameless
        if found and not fetched:
            message = (
                f"Customer.io found {found} people and returned the profile of none. Run the sync again; if it "
                "happens again, report it to Customer.io's support."
            )
            raise self.bug_of_theirs(message, f"{len(self._fetched)} requests returned no profile")
        if fetched < self._found:
            self.logger.info(
                f"Stream {self.name}: {self._found - fetched} people were deleted during the sync and skipped"
            )


def profile(row: Record) -> Record:
    """A profile with its key on top.

    The vendor's specification wraps it in `customer`, recorded answers do not: both are read.
    """
    person = row["customer"] if isinstance(row.get("customer"), dict) else row
    identifiers, attributes = person.get("identifiers") or {}, person.get("attributes") or {}
    cio_id = identifiers.get("cio_id") or attributes.get("cio_id")
    return {"cio_id": None if cio_id is None else str(cio_id), **person}
