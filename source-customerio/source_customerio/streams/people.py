"""People: found by search, a thousand at a time, and fetched with all they have, a hundred at a time."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import orjson
from source_kit.disk import store
from source_kit.http.body import SPOOL_MEMORY_BYTES
from source_kit.stream import Record, SliceItem, StreamDocs

from source_customerio.errors import contradiction
from source_customerio.streams.base import CustomerIoStream

#: Certain: vendor documentation
HYDRATE_AT_MOST = 100
#: Everybody has a `cio_id`; a search by `id` would miss people who are known by e-mail alone (certain: recorded
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
    page_size = 1000
    parallel_slices = slices_fail_alone = True
    docs = StreamDocs(
        read_again="everything",
        deletes="deleted people are gone with the next sync",
        requests="11 for each 1,000 people",
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._found = self._nameless = self._asked = self._fetched = 0
        self._lock = threading.Lock()

    def slices(self) -> Iterator[Batch]:
        """The people of one request each.

        The search is read to its end before any profile, so that it is soon over: when a person is deleted meanwhile,
        those behind move up, and one of them is not found. The ids wait in a file, 10 bytes a person.
        """
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES) as found:
            search = self._search()
            while ids := list(islice(search, HYDRATE_AT_MOST)):
                store(found, orjson.dumps(ids, option=orjson.OPT_APPEND_NEWLINE))
            store(found, b"")
            self.logger.info(f"Stream {self.name}: {self._found} people to read")
            for number, line in enumerate(found):
                yield Batch(number, orjson.loads(line))

    def _search(self) -> Iterator[str]:
        """The ids of all people."""
        for rows in self.pages(self.endpoint, method="POST", json=EVERYBODY):
            known = [str(row["cio_id"]) for row in rows if row.get("cio_id") is not None]
            self._found += len(known)
            self._nameless += len(rows) - len(known)
            yield from known

    def read_slice(self, slice_: Batch) -> Iterator[SliceItem]:
        """The profiles of one request. The server drops who was deleted since the search, without an error."""
        answer = self.client.call(
            "customers/attributes", method="POST", params={"id_type": "cio_id"}, json={"ids": slice_.ids}
        )
        fetched = 0
        for rows in self.client.rows_in(answer, "customers"):
            fetched += len(rows)
            profiles = [profile(row) for row in rows]
            if any(person["cio_id"] is None for person in profiles):
                self.client.misshapen("a profile without a cio_id")
            yield profiles
        with self._lock:
            self._asked += len(slice_.ids)
            self._fetched += fetched

    def probe(self) -> None:
        self.client.probe(self.endpoint, self.envelope, method="POST", json=EVERYBODY)

    def finish(self) -> None:
        """Warn of people who are missing, or fail where the search finds people and nobody can be fetched."""
        if self._nameless:
            self.logger.warning(
                f"Stream {self.name}: {self._nameless} people were found without a cio_id, so their profiles could not "
                "be fetched. Report it to Customer.io's support."
            )
        if not self._fetched and (self._asked or (self._nameless and not self._found)):
            found = self._asked + self._nameless
            raise contradiction(
                self.name,
                f"Customer.io found {found} people and returned the profile of none. Run the sync again; if it "
                "happens again, report it to Customer.io's support.",
                "the requests returned no profile",
            )
        missing = self._asked - self._fetched
        if missing > 0:
            self.logger.warning(
                f"Stream {self.name}: Customer.io returned no profile for {missing} of the {self._asked} people that "
                "the search found. They were deleted or merged during the sync; the next sync looks for them again."
            )


def profile(row: Record) -> Record:
    """A profile with its key as the first column.

    The vendor's specification wraps it in `customer`, recorded answers do not: both are read.
    """
    person = row["customer"] if isinstance(row.get("customer"), dict) else row
    maps = [found for found in (person.get("identifiers"), person.get("attributes")) if isinstance(found, dict)]
    cio_id = next((found["cio_id"] for found in maps if found.get("cio_id")), None)
    return {"cio_id": None if cio_id is None else str(cio_id), **person}
