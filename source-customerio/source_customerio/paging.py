"""How the vendor's lists continue and end: `next` of an answer is `start` of the following request.

The token is opaque and goes back byte for byte; an altered one is answered with 200 and wrong rows. A list ends with an
empty, null or absent `next`. A page that is shorter than its limit ends nothing: the server may cap pages silently. Nor
does an empty one: deliveries and memberships may have it in the middle. But one-time sends and senders give a token
after their last row (certain: recorded answers), so there, and in activities, an empty page ends the list too.

Lists that come in one answer are read in the same way: that the vendor declares no `next` for one proves nothing, since
it declares none for deliveries either, which have it.
"""

from __future__ import annotations

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException


class PageTokens:
    """The page tokens of one list while it is read. `what` names the list in the error that a repeated one raises."""

    def __init__(self, what: str, empty_page_ends: bool = False) -> None:
        self._what = what
        self._empty_page_ends = empty_page_ends
        self._seen: set[str] = set()

    def following(self, token: object, rows: int) -> str | None:
        """The token to ask for the next page with, None after the last.

        `token` is what came as `next`, `rows` how many rows came with it. Raises a system_error for a token that was
        sent before: the list would never end.
        """
        if token is None or token == "" or (self._empty_page_ends and rows == 0):
            return None
        self.require_new(str(token))
        return str(token)

    def require_new(self, text: str) -> None:
        """Raises a system_error for a token, or another mark of a page, that came before."""
        if text in self._seen:
            raise AirbyteTracedException(
                message=f"Customer.io gave the same page of {self._what} twice, so the list cannot be read to its end. "
                "Run the sync again; if it happens again, report it to Customer.io's support.",
                internal_message=f"{self._what}: page token repeated after {len(self._seen)} pages",
                failure_type=FailureType.system_error,
            )
        self._seen.add(text)
