"""Where senders are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from source_kit.stream import Record

from source_customerio.streams.children import Children
from source_customerio.streams.lists import SenderIdentities
from source_customerio.streams.parents import Parent

_USERS = ("campaigns", "sent_newsletters", "draft_newsletters")


class SenderIdentityUsage(Children):
    """Which campaigns and newsletters use a sender, hidden senders included: one row for each sender.

    A sender that nothing uses has empty lists. Paths and shapes are documented, and were never seen live.
    """

    parent = SenderIdentities
    own_key = ()
    endpoint = "sender_identities/{}/used_by"
    documented_only = True
    docs = replace(Children.docs, requests="1 for each sender, and the shared lists of senders")

    def rows_of(self, parent: Parent) -> Iterator[list[Record]]:
        """One row. A list that the answer lacks, or that is null, is an empty one; other lists alone are a mistake."""
        document = self.client.document(self.path_of(parent), "")
        known = {name: document.get(name) or [] for name in _USERS}
        elsewhere = not document.keys() & known.keys() and any(isinstance(v, list | dict) for v in document.values())
        if elsewhere or not set(map(type, known.values())) <= {list}:
            self.client.misshapen("no lists of campaigns and newsletters, or they lie elsewhere")
        yield self.with_parent([{**document, **known}], parent)
