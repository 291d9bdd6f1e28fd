"""Addresses that the vendor's own mail service does not send to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from source_kit.stream import SliceItem, StreamDocs

from source_customerio.client import PageTokens
from source_customerio.streams.base import CustomerIoStream

#: Certain: vendor documentation
SUPPRESSION_TYPES = ("bounces", "blocks", "spam_reports", "invalid_emails")


class SuppressionList(NamedTuple):
    """One of the four lists of one sending domain; the empty domain is the account's default list."""

    suppression_type: str
    domain: str

    def __str__(self) -> str:
        return f"{self.suppression_type} of {self.domain or 'the default domain'}"


class EspSuppressions(CustomerIoStream):
    """Suppressed addresses: one row for each list, sending domain and address.

    The lists are paged by offset, in order of address: an address that is added or removed while they are read may come
    twice or be missed once, until the next sync. They cover all workspaces that send from the domain. An unknown domain
    is answered with an empty list and no error, so a domain without any row is worth a warning.

    `suppression_type` is the list that was asked for. The answer's `category` is not: it knows bounces and spam only
    (documented: vendor's specification of August 2026), for four lists.
    """

    endpoint = "esp/suppression/{}"
    envelope = "suppressions"
    permission = "email suppressions"
    key = ("suppression_type", "domain", "email")
    page_size = 1000  # the most there are (certain: vendor documentation)
    parallel_slices = slices_fail_alone = True
    whole = True
    docs = StreamDocs(
        read_again="everything",
        deletes="addresses that were taken off a list are gone with the next sync",
        requests="4 for each domain, and 1 for each 1,000 addresses",
    )

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        self._empty: list[SuppressionList] = []

    def slices(self) -> Iterator[SuppressionList]:
        """Each list of each configured domain, or of the default one."""
        for domain in self.config.esp_suppression_domains or ("",):
            for kind in SUPPRESSION_TYPES:
                yield SuppressionList(kind, domain)

    def read_slice(self, slice_: SuppressionList) -> Iterator[SliceItem]:
        """One list, to its first empty page: the server may cap the size of pages. Past the end the list is null.

        A `next`, which this list does not have by the documentation, would be followed.
        """
        kind, domain = slice_
        params = {"limit": str(self.page_size)} | ({"domain": domain} if domain else {})
        tokens, offset, more = PageTokens(f"{self.name} ({slice_})", params), 0, True
        while more:
            count, position = 0, {} if "start" in tokens.query else {"offset": str(offset)}
            answer = self.client.call(self.endpoint.format(kind), params={**tokens.query, **position})
            for rows in self.client.rows_in(answer, self.envelope):
                if not count:  # a server that ignores the offset would go on for ever
                    tokens.require_new(f"page that begins with {rows[0]}")
                count += len(rows)
                yield [{"suppression_type": kind, "domain": domain, **row} for row in rows]
            offset += count
            more = tokens.advance(answer.envelope.get("next"), count) or bool(count and position)
        if not offset:
            self._empty.append(slice_)

    def probe(self) -> None:
        self.client.probe(self.endpoint.format(SUPPRESSION_TYPES[0]), self.envelope)

    def finish(self) -> None:
        """Warn of domains without any suppressed address: a mistyped domain looks like that."""
        empty = Counter(found.domain for found in self._empty if found.domain)
        for domain in sorted(name for name, lists in empty.items() if lists == len(SUPPRESSION_TYPES)):
            self.logger.warning(
                f"Stream {self.name}: no list has an address for the domain {domain}. If you send mail from it, check "
                "its spelling in esp_suppression_domains."
            )
