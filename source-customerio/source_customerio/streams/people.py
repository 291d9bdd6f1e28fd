"""People: found by search, a thousand at a time, and fetched with all they have, a hundred at a time."""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from source_kit.stream import Record, SliceItem, StreamDocs

from source_customerio.errors import contradiction
from source_customerio.streams.base import CustomerIoStream

#: Certain: vendor documentation
HYDRATE_AT_MOST = 100
#: Everybody has a `cio_id`; a search by `id` would miss people who are known by e-mail alone (certain: recorded
#: answers found 121 of 121 against 119).
EVERYBODY: Mapping[str, Any] = {"filter": {"and": [{"attribute": {"field": "cio_id", "operator": "exists"}}]}}
#: Attributes with what a person chose of the topics, and with what applies to the person by that and by the topics'
#: defaults (certain: vendor's specification). The time of the first one is the time of the choice.
CHOSEN, COMPUTED = "cio_subscription_preferences", "_cio_subscription_preferences_computed"


class Batch(NamedTuple):
    """People to fetch in one request, by `cio_id`."""

    number: int
    ids: list[str]

    def __str__(self) -> str:
        return f"people {self.number * HYDRATE_AT_MOST + 1} to {self.number * HYDRATE_AT_MOST + len(self.ids)}"


class Profiles(CustomerIoStream, ABC):
    """A stream that is made of the profiles of everybody. The first such stream of a sync searches for all.

    Both requests are POSTs that change nothing and are repeated like any read.
    """

    endpoint = "customers"
    envelope = "identifiers"
    permission = "people"
    page_size = 1000
    parallel_slices = slices_fail_alone = True
    whole = True

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._found = self._nameless = self._asked = self._fetched = 0
        self._lock = threading.Lock()

    def slices(self) -> Iterator[Any]:
        """The people of one request each.

        The search is read to its end before any profile, so that it is soon over: when a person is deleted meanwhile,
        those behind move up, and one of them is not found. The ids wait in a file, 5 bytes a person.
        """
        people = self.client.connection.people
        if not people.ended:
            people.ids.clear()
            search, number = self._search(), 0
            while ids := list(islice(search, HYDRATE_AT_MOST)):
                people.ids.add([number, ids])
                number += 1
            people.ended = True
            self.logger.info(f"Stream {self.name}: {self._found} people to read")
        for number, ids in people.ids:
            yield Batch(number, ids)

    def _search(self) -> Iterator[str]:
        """The ids of all people."""
        for rows in self.pages(self.endpoint, method="POST", json=EVERYBODY):
            known = [str(row["cio_id"]) for row in rows if row.get("cio_id") is not None]
            self._found += len(known)
            self._nameless += len(rows) - len(known)
            yield from known

    def profiles(self, batch: Batch) -> Iterator[list[Record]]:
        """The profiles of one request. The server drops who was deleted since the search, without an error."""
        answer = self.client.call(
            "customers/attributes", method="POST", params={"id_type": "cio_id"}, json={"ids": batch.ids}
        )
        fetched = 0
        for rows in self.client.rows_in(answer, "customers"):
            fetched += len(rows)
            profiles = [profile(row) for row in rows]
            if any(person["cio_id"] is None for person in profiles):
                self.client.misshapen("a profile without a cio_id")
            yield profiles
        with self._lock:
            self._asked += len(batch.ids)
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

    def close(self) -> None:
        super().close()
        self.client.connection.people.clear()


class Customers(Profiles):
    """Profiles: one row for each person with identifiers, attributes, devices and subscription.

    Profiles carry no time of change, so every sync reads everybody. The `cio_id` stays a text: `30e00001` is not a
    number. In a workspace that knows people by an id only, or by phone numbers, `identifiers` lacks what is not used.
    Where the sync reads `customer_topics` too, preferences are kept for it.
    """

    key = ("cio_id",)
    docs = StreamDocs(
        read_again="everything",
        deletes="deleted people are gone with the next sync",
        requests="11 for each 1,000 people",
    )

    def read_slice(self, slice_: Batch) -> Iterator[SliceItem]:
        """The profiles of one request. Their preferences are kept when all of them came."""
        connection, kept = self.client.connection, []
        topics = "customer_topics" in connection.chosen
        for profiles in self.profiles(slice_):
            if topics:
                kept += preferences_of(profiles)
            yield profiles
        if topics:
            connection.people.keep(slice_.number, kept)


def profile(row: Record) -> Record:
    """A profile with its key as the first column.

    The vendor's specification wraps it in `customer`, recorded answers do not: both are read.
    """
    person = row["customer"] if isinstance(row.get("customer"), dict) else row
    maps = (found for found in (person.get("identifiers"), person.get("attributes"), person) if isinstance(found, dict))
    cio_id = next((found["cio_id"] for found in maps if found.get("cio_id")), None)
    shown = {"cio_id": None, **person}
    shown["cio_id"] = None if cio_id is None else str(cio_id)
    return shown


def preferences_of(profiles: list[Record]) -> list[list[Any]]:
    """For each person with preferences: `cio_id`, both attributes as they came, and the time of the choice."""
    kept = []
    for person in profiles:
        attributes, times = person.get("attributes"), person.get("timestamps")
        if not isinstance(attributes, dict):
            continue
        chosen, computed = attributes.get(CHOSEN), attributes.get(COMPUTED)
        if chosen or computed:
            kept.append([person["cio_id"], chosen, computed, times.get(CHOSEN) if isinstance(times, dict) else None])
    return kept
