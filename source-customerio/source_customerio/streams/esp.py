"""Addresses that the vendor's own mail service does not send to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.items import SliceItem

from source_customerio.client import Unaccepted
from source_customerio.streams.base import CustomerIoStream

#: Rows a page, the most there are (certain: vendor documentation)
_PAGE = 1000
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
    """

    endpoint = "esp/suppression/{}"
    envelope = "suppressions"
    permission = "email suppressions"
    key = ("suppression_type", "domain", "email")
    page_size = _PAGE
    parallel_slices = True
    opt_in = True
    #: The lists are those of the vendor's own mail service; what a workspace that sends through another one gets is not
    #: documented.
    refusals: ClassVar[tuple[type[AirbyteTracedException], ...]] = (*CustomerIoStream.refusals, Unaccepted)
    reread = "everything"
    deletes = "addresses that were taken off a list are gone with the next sync"
    cost = "4 for each domain, and 1 for each 1,000 addresses"

    def start(self, state: Mapping[str, Any], full_refresh: bool, sync_start: datetime) -> None:
        """No domain has shown an address yet."""
        self._silent = set(self.config.esp_suppression_domains)

    def slices(self) -> Iterator[SuppressionList]:
        """Each list of each configured domain, or of the default one."""
        for domain in self.config.esp_suppression_domains or ("",):
            for kind in SUPPRESSION_TYPES:
                yield SuppressionList(kind, domain)

    def read_slice(self, slice_: SuppressionList) -> Iterator[SliceItem]:
        """One list. Only here a short page ends it: there is no token, and past the end the list is null."""
        kind, domain = slice_
        params = {"limit": str(_PAGE)} | ({"domain": domain} if domain else {})
        offset, count = 0, _PAGE
        while count >= _PAGE:
            count = 0
            answer = self.call(self.endpoint.format(kind), params={**params, "offset": str(offset)})
            for rows in self.rows(answer):
                count += len(rows)
                yield [{"suppression_type": kind, "domain": domain, **row} for row in rows]
            offset += count
        if offset:
            self._silent.discard(domain)

    def probe(self) -> None:
        """The first list."""
        self.accept(self.call(self.endpoint.format(SUPPRESSION_TYPES[0]), params={"limit": "1"}))

    def finish(self) -> None:
        """Name the domains that have no suppressed address at all: one that is mistyped looks like that."""
        for domain in sorted(self._silent):
            self.logger.warning(
                f"Stream {self.name}: no list has an address for the domain {domain}. If you send mail from it, check "
                "its spelling in esp_suppression_domains."
            )
