"""Lists without a parent, read whole at every sync."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from source_kit.stream import Checkpoint, Record, SliceItem, StreamDocs

from source_customerio.client import KEYLESS
from source_customerio.streams.base import CustomerIoStream, integer_or_same
from source_customerio.streams.cursor import Cursor

SETTINGS = "the workspace's settings"


class FullList(CustomerIoStream, ABC):
    """A list without a usable time of change, emitted whole."""

    docs = StreamDocs(read_again="everything", deletes="deleted objects are gone with the next sync", requests="1")

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        for rows in self.raw_pages(slice_):
            yield self.shaped(rows)


class ChangingList(CustomerIoStream, ABC):
    """A list that is read whole and filtered here by its time of change, since the server cannot.

    The list is unsorted, so the cursor moves once, when the list was read to its end.
    """

    cursor_field = "updated"
    docs = StreamDocs(
        resolution="1 s",
        read_again="rows of the hour before the saved cursor",
        deletes="deleted objects vanish from the list: a full refresh removes them, an incremental sync keeps them",
        requests="1",
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._cursor = Cursor(self.client, self.cursor_field, self.key, sync_start)
        self._saved = self._cursor.saved(state)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """Rows that changed since the cursor, then the cursor."""
        cursor, newest = self._cursor, 0
        floor = cursor.floor(self._saved)
        for rows in self.raw_pages(slice_):
            recent, latest = cursor.split(rows, floor)
            newest = max(newest, latest)
            yield self.shaped(recent)
        yield Checkpoint({cursor.field: cursor.advanced(self._saved, newest)})

    def finish(self) -> None:
        self._cursor.report()


class Campaigns(ChangingList):
    """Automations, as the vendor's pages call them now: current state, all in one answer."""

    endpoint = envelope = "campaigns"
    permission = "campaigns"
    id_in_children = "campaign_id"


class Broadcasts(ChangingList):
    """API-triggered broadcasts.

    `msg_template_ids` are objects with `id` and `type` (documented: vendor's specification of August 2026). Earlier
    descriptions have bare numbers: these become objects with that id, so that the column has one type.
    """

    endpoint = envelope = "broadcasts"
    permission = "broadcasts"
    id_in_children = "broadcast_id"

    def transform(self, row: Record) -> Record:
        if isinstance(templates := row.get("msg_template_ids"), list):
            row["msg_template_ids"] = [
                item if isinstance(item, dict | None) else {"id": integer_or_same(item)} for item in templates
            ]
        return row


class Newsletters(ChangingList):
    """One-time sends. The largest page is not documented, so a short page ends nothing."""

    endpoint = envelope = "newsletters"
    permission = "newsletters"
    id_in_children = "newsletter_id"
    empty_page_ends = True
    page_size = 100
    docs = replace(ChangingList.docs, requests="1 for each 100 newsletters, and 1")


class TransactionalMessages(ChangingList):
    """Templates. Their deliveries are in `messages`, which the envelope is called too (certain: recorded answers)."""

    endpoint = "transactional"
    envelope = "messages"
    permission = "transactional messages"
    id_in_children = "transactional_id"
    cursor_field = "updated_at"
    created_field = "created_at"


class Segments(ChangingList):
    """Segments, without archived ones, which the vendor does not list."""

    endpoint = envelope = "segments"
    permission = "segments"
    id_in_children = "segment_id"
    cursor_field = "updated_at"
    created_field = "created_at"


class Snippets(ChangingList):
    """Texts by name; there is no id, and a snippet cannot be renamed."""

    endpoint = envelope = "snippets"
    permission = SETTINGS
    key = ("name",)
    cursor_field = "updated_at"


class Exports(ChangingList):
    """Exports that people started. The connector starts none and downloads none, which would raise their counter."""

    endpoint = envelope = "exports"
    permission = "exports"
    cursor_field = "updated_at"


class Collections(FullList):
    """Names, columns and sizes of collections. Full refresh, since `updated_at` need not move when the content does."""

    endpoint = envelope = "collections"
    permission = SETTINGS


class Workspaces(FullList):
    """All workspaces of the account, also those that the key does not open. Counts are up to two hours old."""

    endpoint = envelope = "workspaces"
    permission = SETTINGS
    docs = replace(FullList.docs, late_rows="counts are up to two hours old")


class Topics(FullList):
    """Topics of the subscription center; none until it is set up."""

    endpoint = "subscription_topics"
    envelope = "topics"
    permission = SETTINGS


class SubscriptionChannels(FullList):
    """Channels of the subscription center."""

    endpoint = "subscription_channels"
    envelope = "channels"
    permission = SETTINGS


class Types(FullList):
    """Object types. The id is a text here, while `campaigns.object_type_id` is a number."""

    endpoint = "object_types"
    envelope = "types"
    permission = SETTINGS
    id_in_children = "object_type_id"


class ReportingWebhooks(FullList):
    """Reporting webhooks. The endpoint loses its user name and password; a token in its path or query stays."""

    endpoint = envelope = "reporting_webhooks"
    permission = SETTINGS

    def transform(self, row: Record) -> Record:
        if isinstance(row.get("endpoint"), str):
            row["endpoint"] = without_credentials(row["endpoint"])
        return row


class SenderIdentities(FullList):
    """Senders, visible and hidden.

    `hidden=true` gives hidden ones only, although the documentation says that it includes them (certain: recorded
    answers). So both lists are read, and senders of the first are dropped from the second: the key is unique in either
    case.
    """

    endpoint = envelope = "sender_identities"
    permission = SETTINGS
    id_in_children = "sender_identity_id"
    lists = ({"hidden": "false"}, {"hidden": "true"})
    empty_page_ends = True
    page_size = 100
    slices_fail_alone = True
    whole = True
    docs = replace(FullList.docs, requests="2 for each 100 senders, and 2")

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._seen: set[Any] = set()

    def slices(self) -> Iterator[str]:
        yield from ("false", "true")

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """The senders of one list that were in none before."""
        for rows in map(self.shape, self.pages(self.endpoint, {"hidden": slice_})):
            yield [row for row in rows if row.get("id") is None or row["id"] not in self._seen]
            self._seen.update(row.get("id") for row in rows)


class IpAddresses(FullList):
    """Addresses that the vendor sends from. The list needs no key, so it proves nothing about one."""

    endpoint = envelope = KEYLESS
    permission = "the list of IP addresses"
    key = ("ip_address",)

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        """The addresses, which are bare texts."""
        for document in self.client.documents(slice_, "ip_addresses"):
            addresses = document["ip_addresses"] or []
            if not isinstance(addresses, list) or not set(map(type, addresses)) <= {str}:
                self.client.misshapen("'ip_addresses' is no list of texts")
            yield [{"ip_address": address} for address in addresses]


class Optouts(FullList):
    """People who opted out of SMS or WhatsApp: one row a person, with all channels."""

    endpoint = envelope = "optouts"
    permission = "people"
    key = ("cio_id",)
    page_size = 1000
    docs = replace(FullList.docs, requests="1 for each 1,000 people who opted out")


_USER_INFO = re.compile(r"^(\s*[a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)


def without_credentials(url: str) -> str:
    """A URL without `user:password@`; an `@` in path, query or fragment stays."""
    return _USER_INFO.sub(r"\1", url)
